/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "engine.h"

enum { INDENT = 4, WIDTH = 78 };

static const struct conf_enum context_names[] = {
    {"main", CONF_MAIN},
    {"events", CONF_EVENTS},
    {"http", CONF_HTTP},
    {"server", CONF_SERVER},
    {"location", CONF_LOCATION},
    {"upstream", CONF_UPSTREAM},
    {"backend", CONF_BACKEND},
    {"if in server", CONF_SERVER_IF},
    {"if in location", CONF_LOCATION_IF},
    {"limit_except", CONF_LIMIT_EXCEPT},
    {NULL, 0},
};

/* Text in a column from INDENT to WIDTH. */
static void put_wrapped(struct buf *out, struct str text)
{
    size_t column = 0;
    while (text.p) {
        struct str word = str_cut(&text, ' ');
        if (!word.n)
            continue;
        if (column && column + 1 + word.n > WIDTH) {
            buf_put_u8(out, '\n');
            column = 0;
        }
        if (column == 0) {
            buf_printf(out, "%*s", INDENT, "");
            column = INDENT;
        } else {
            buf_put_u8(out, ' ');
            column++;
        }
        buf_put_str(out, word);
        column += word.n;
    }
    buf_put_u8(out, '\n');
}

/* One argument, as far as the setter knows it. */
static const char *argument_name(const struct directive *row)
{
    if (row->set == conf_set_size)
        return "SIZE";
    if (row->set == conf_set_ms || row->set == conf_set_sec)
        return "TIME";
    if (row->set == conf_set_number)
        return "NUMBER";
    if (row->set == conf_set_path)
        return "PATH";
    if (row->set == conf_set_str)
        return "TEXT";
    return "VALUE";
}

static void put_names(struct buf *out, const struct conf_enum *names)
{
    for (size_t i = 0; names[i].name; i++)
        buf_printf(out, "%s%s", i ? " | " : " ", names[i].name);
}

/* " VALUE [VALUE [VALUE]]" from the bits of arity. */
static void put_counted(struct buf *out, const struct directive *row)
{
    const char *name = argument_name(row);
    unsigned least = 0, most = 5;
    while (least < 5 && !(row->arity & 1u << least))
        least++;
    while (most > least && !(row->arity & 1u << most))
        most--;
    for (unsigned i = 0; i < most; i++)
        buf_printf(out, i < least ? " %s" : " [%s", name);
    for (unsigned i = least; i < most; i++)
        buf_put_u8(out, ']');
}

static void put_arguments(struct buf *out, const struct directive *row)
{
    const char *name = argument_name(row);
    if (row->syntax) {
        buf_printf(out, "%s%s", *row->syntax ? " " : "", row->syntax);
    } else if (row->arity & ARGS_FLAG || row->set == conf_set_flag) {
        buf_printf(out, " on | off");
    } else if (row->set == conf_set_enum) {
        put_names(out, row->data);
    } else if (row->set == conf_set_bits) {
        put_names(out, row->data);
        buf_printf(out, " ...");
    } else if (row->arity & ARGS_ANY) {
        buf_printf(out, " [%s ...]", name);
    } else if (row->arity & ARGS_1_MORE) {
        buf_printf(out, row->arity & ARGS_0 ? " [%s ...]" : " %s ...", name);
    } else if (row->arity & ARGS_2_MORE) {
        buf_printf(out, row->arity & ARGS_1 ? " %s [%s ...]" : " %s %s ...",
                   name, name);
    } else {
        put_counted(out, row);
    }
}

static void put_bounds(struct buf *out, const struct directive *row)
{
    char low[32], high[32];
    if ((!row->min && !row->max) ||
        !setter_show(row, row->min, low, sizeof low))
        return;
    setter_show(row, row->max, high, sizeof high);
    if (!row->max)
        buf_printf(out, "    range:    at least %s\n", low);
    else
        buf_printf(out, "    range:    %s to %s\n", low, high);
}

static void put_row(struct buf *out, const struct directive *row)
{
    buf_printf(out, "%s", row->name);
    put_arguments(out, row);
    buf_printf(out, row->flags & CONF_BLOCK ? " { ... }\n" : ";\n");
    if (row->default_text)
        buf_printf(out, "    default:  %s\n",
                   *row->default_text ? row->default_text : "\"\"");
    put_bounds(out, row);

    const char *between = "    context:  ";
    for (size_t i = 0; context_names[i].name; i++)
        if (row->contexts & context_names[i].value) {
            buf_printf(out, "%s%s", between, context_names[i].name);
            between = ", ";
        }
    buf_put_u8(out, '\n');
    if (row->flags & CONF_IGNORED)
        buf_printf(out, "    Accepted and ignored, with a warning.\n");
    if (row->help)
        put_wrapped(out, str_c(row->help));
    buf_put_u8(out, '\n');
}

void conf_print_reference(struct conf_module *const *list, struct buf *out)
{
    for (; *list; list++) {
        const struct directive *row = (*list)->directives;
        if (!row || !row->name)
            continue;
        buf_printf(out, "%s\n", (*list)->name);
        for (size_t i = strlen((*list)->name); i > 0; i--)
            buf_put_u8(out, '=');
        buf_printf(out, "\n\n");
        for (; row->name; row++)
            put_row(out, row);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "conf/conf.h"

static const struct {
    unsigned context;
    const char *name;
} context_names[] = {
    {CONF_MAIN, "main"},
    {CONF_EVENTS, "events"},
    {CONF_HTTP, "http"},
    {CONF_SERVER, "server"},
    {CONF_LOCATION, "location"},
    {CONF_UPSTREAM, "upstream"},
    {CONF_BACKEND, "backend"},
    {CONF_SERVER_IF, "if in server"},
    {CONF_LOCATION_IF, "if in location"},
    {CONF_LIMIT_EXCEPT, "limit_except"},
};

static const struct {
    conf_setter *set;
    const char *argument;
} setter_arguments[] = {
    {conf_set_flag, "on | off"}, {conf_set_number, "NUMBER"},
    {conf_set_size, "SIZE"},     {conf_set_ms, "TIME"},
    {conf_set_sec, "TIME"},      {conf_set_str, "TEXT"},
    {conf_set_path, "PATH"},
};

/* "off | on | build", from the setter's own table. */
static void put_enum(struct buf *out, const struct directive *d)
{
    const struct conf_enum *names = d->data;
    for (const struct conf_enum *e = names; e->name; e++)
        buf_printf(out, "%s%s", e == names ? "" : " | ", e->name);
    if (d->set == conf_set_bits)
        buf_put_str(out, STR(" ..."));
}

static void put_by_arity(struct buf *out, unsigned arity)
{
    static const struct {
        unsigned arity;
        const char *text;
    } shapes[] = {
        {ARGS_FLAG, "on | off"},    {ARGS_1, "VALUE"},
        {ARGS_2, "VALUE VALUE"},    {ARGS_3, "VALUE VALUE VALUE"},
        {ARGS_1_MORE, "VALUE ..."}, {ARGS_2_MORE, "VALUE VALUE ..."},
        {ARGS_ANY, "[VALUE ...]"},
    };
    bool first = true;
    for (size_t i = 0; i < COUNT(shapes); i++)
        if (arity & shapes[i].arity) {
            buf_printf(out, "%s%s", first ? "" : " | ", shapes[i].text);
            first = false;
        }
}

static void put_arguments(struct buf *out, const struct directive *d)
{
    if (d->syntax) {
        buf_put_str(out, str_c(d->syntax));
        return;
    }
    if (d->set == conf_set_enum || d->set == conf_set_bits) {
        put_enum(out, d);
        return;
    }
    for (size_t i = 0; i < COUNT(setter_arguments); i++)
        if (d->set == setter_arguments[i].set) {
            buf_put_str(out, str_c(setter_arguments[i].argument));
            return;
        }
    put_by_arity(out, d->arity);
}

static void put_contexts(struct buf *out, unsigned contexts)
{
    bool first = true;
    for (size_t i = 0; i < COUNT(context_names); i++)
        if (contexts & context_names[i].context) {
            buf_printf(out, "%s%s", first ? "" : ", ", context_names[i].name);
            first = false;
        }
}

static void put_row(struct buf *out, const struct directive *d)
{
    struct buf arguments = {0};

    put_arguments(&arguments, d);
    buf_printf(out, "%s%s%.*s%s\n", d->name, arguments.n ? " " : "",
               STR_ARG(buf_str(&arguments)),
               d->flags & CONF_BLOCK ? " { ... }" : ";");
    buf_fini(&arguments);
    if (d->help)
        buf_printf(out, "    %s\n", d->help);
    if (d->default_text)
        buf_printf(out, "    default: %s\n", d->default_text);
    buf_put_str(out, STR("    context: "));
    put_contexts(out, d->contexts);
    buf_put_str(out, STR("\n\n"));
}

void conf_print_reference(struct conf_module *const *list, struct buf *out)
{
    for (; *list; list++) {
        const struct conf_module *m = *list;
        if (!m->directives || !m->directives->name)
            continue;
        buf_printf(out, "== %s\n\n", m->name);
        for (const struct directive *d = m->directives; d->name; d++)
            put_row(out, d);
    }
}

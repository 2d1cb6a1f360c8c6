/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "engine.h"

/* ---- text to value: what a setter and a default have in common ---- */

static bool find_name(const struct conf_enum *names, struct str text,
                      unsigned *value)
{
    for (; names && names->name; names++)
        if (str_eq_nocase(str_c(names->name), text)) {
            *value = names->value;
            return true;
        }
    return false;
}

static bool parse_number(struct str s, uint64_t *value)
{
    return str_to_u64(s, INT64_MAX, value);
}

static bool parse_flag(struct str s, bool *value)
{
    *value = str_eq_nocase(s, STR("on"));
    return *value || str_eq_nocase(s, STR("off"));
}

/* How a uint64_t is written, and how its bounds are shown. */
struct quantity {
    conf_setter *set;
    bool (*parse)(struct str s, uint64_t *value);
    const char *wrong; /* nginx's words for it */
    const char *expected;
    struct {
        const char *suffix;
        uint64_t scale;
    } units[8]; /* largest first */
};

static const struct quantity quantities[] = {
    {.set = conf_set_number,
     .parse = parse_number,
     .wrong = "invalid number",
     .expected = "a number"},
    {.set = conf_set_size,
     .parse = conf_parse_size,
     .wrong = "invalid value",
     .expected = "a size such as 512, 8k, 1m or 1g",
     .units = {{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}}},
    {.set = conf_set_ms,
     .parse = conf_parse_ms,
     .wrong = "invalid value",
     .expected = "a time such as 500ms, 30s, 5m or \"1h 30m\"",
     .units = {{"d", 86400000},
               {"h", 3600000},
               {"m", 60000},
               {"s", 1000},
               {"ms", 1}}},
    {.set = conf_set_sec,
     .parse = conf_parse_sec,
     .wrong = "invalid value",
     .expected = "a time in whole seconds such as 30s, 5m or \"1h 30m\"",
     .units = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}},
};

static const struct quantity *quantity_of(conf_setter *set)
{
    for (size_t i = 0; i < COUNT(quantities); i++)
        if (quantities[i].set == set)
            return &quantities[i];
    return NULL;
}

bool setter_show(const struct directive *row, uint64_t value, char *out,
                 size_t n)
{
    const struct quantity *q = quantity_of(row->set);
    if (!q)
        return false;
    for (size_t i = 0; q->units[i].suffix; i++)
        if (value && value % q->units[i].scale == 0) {
            snprintf(out, n, "%" PRIu64 "%s", value / q->units[i].scale,
                     q->units[i].suffix);
            return true;
        }
    snprintf(out, n, "%" PRIu64, value);
    return true;
}

size_t setter_field_size(const struct directive *row)
{
    if (quantity_of(row->set))
        return sizeof(uint64_t);
    if (row->set == conf_set_flag)
        return sizeof(bool);
    if (row->set == conf_set_enum || row->set == conf_set_bits)
        return sizeof(unsigned);
    if (row->set == conf_set_str)
        return sizeof(struct str);
    if (row->set == conf_set_path)
        return sizeof(const char *);
    return 0;
}

static bool parse_bits(const struct conf_enum *names, struct str text,
                       unsigned *bits)
{
    unsigned all = 0, bit = 0;
    while (text.p) {
        struct str word = str_cut(&text, ' ');
        if (word.n && !find_name(names, word, &bit))
            return false;
        all |= word.n ? bit : 0;
    }
    *bits = all;
    return true;
}

bool setter_put_default(struct conf *conf, const struct directive *row,
                        void *module_conf)
{
    if (!row->default_text || !setter_field_size(row) || !module_conf)
        return true;
    struct str text = str_c(row->default_text);
    void *field = (char *)module_conf + row->offset;
    bool flag;

    if (str_eq(text, STR("\"\"")))
        text = STR("");
    if (quantity_of(row->set))
        return quantity_of(row->set)->parse(text, field);
    if (row->set == conf_set_enum)
        return find_name(row->data, text, field);
    if (row->set == conf_set_bits)
        return parse_bits(row->data, text, field);
    if (row->set == conf_set_flag) {
        if (!parse_flag(text, &flag))
            return false;
        *(bool *)field = flag;
    } else if (row->set == conf_set_str) {
        *(struct str *)field = text;
    } else {
        *(const char **)field = conf_full_path(conf, text, false);
    }
    return true;
}

/* ---- the setters ---- */

static int fail_bounds(struct conf *conf, const struct directive *row)
{
    char low[32], high[32];
    setter_show(row, row->min, low, sizeof low);
    setter_show(row, row->max, high, sizeof high);
    if (!row->max)
        return conf_fail(conf,
                         "value must be equal to or greater than %s in "
                         "\"%s\" directive",
                         low, row->name);
    if (!row->min)
        return conf_fail(conf,
                         "value must be equal to or less than %s in \"%s\" "
                         "directive",
                         high, row->name);
    return conf_fail(conf,
                     "value must be between %s and %s in \"%s\" directive", low,
                     high, row->name);
}

static int set_quantity(struct conf *conf, const struct directive *row,
                        const struct conf_node *node, void *field,
                        conf_setter *set)
{
    const struct quantity *q = quantity_of(set);
    struct str text = conf_arg(node, 1);
    uint64_t value;

    if (!q->parse(text, &value))
        return conf_fail(conf, "\"%s\" directive %s \"%.*s\", expected %s",
                         row->name, q->wrong, STR_ARG(text), q->expected);
    if (value < row->min || (row->max && value > row->max))
        return fail_bounds(conf, row);
    *(uint64_t *)field = value;
    return 0;
}

int conf_set_number(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)scope;
    return set_quantity(conf, row, node, field, conf_set_number);
}

int conf_set_size(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    (void)scope;
    return set_quantity(conf, row, node, field, conf_set_size);
}

int conf_set_ms(struct conf *conf, struct conf_scope *scope,
                const struct directive *row, const struct conf_node *node,
                void *field)
{
    (void)scope;
    return set_quantity(conf, row, node, field, conf_set_ms);
}

int conf_set_sec(struct conf *conf, struct conf_scope *scope,
                 const struct directive *row, const struct conf_node *node,
                 void *field)
{
    (void)scope;
    return set_quantity(conf, row, node, field, conf_set_sec);
}

int conf_set_flag(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    bool value;
    (void)scope;
    if (!parse_flag(conf_arg(node, 1), &value))
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"%s\" directive, it must "
                         "be \"on\" or \"off\"",
                         STR_ARG(conf_arg(node, 1)), row->name);
    *(bool *)field = value;
    return 0;
}

int conf_set_str(struct conf *conf, struct conf_scope *scope,
                 const struct directive *row, const struct conf_node *node,
                 void *field)
{
    (void)conf, (void)scope, (void)row;
    *(struct str *)field = conf_arg(node, 1);
    return 0;
}

int conf_set_path(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    (void)scope, (void)row;
    *(const char **)field = conf_full_path(conf, conf_arg(node, 1), false);
    return 0;
}

/* invalid value "x" in "y" directive, it must be "a", "b" or "c" */
static int fail_name(struct conf *conf, const struct directive *row,
                     struct str text)
{
    const struct conf_enum *names = row->data;
    struct buf list;
    buf_init(&list, ERR_TEXT_MAX);
    for (size_t i = 0; names[i].name; i++)
        buf_printf(&list, "%s\"%s\"",
                   i == 0              ? ""
                   : names[i + 1].name ? ", "
                                       : " or ",
                   names[i].name);
    conf_fail(conf,
              "invalid value \"%.*s\" in \"%s\" directive, it must be %.*s",
              STR_ARG(text), row->name, STR_ARG(buf_str(&list)));
    buf_fini(&list);
    return -1;
}

int conf_set_enum(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    (void)scope;
    if (!find_name(row->data, conf_arg(node, 1), field))
        return fail_name(conf, row, conf_arg(node, 1));
    return 0;
}

int conf_set_bits(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    unsigned bits = 0, bit = 0;
    (void)scope;
    for (size_t i = 1; i < node->words_n; i++) {
        if (!find_name(row->data, conf_arg(node, i), &bit))
            return fail_name(conf, row, conf_arg(node, i));
        if (bit && (bits & bit) == bit)
            conf_warn(conf, "duplicate value \"%.*s\"",
                      STR_ARG(conf_arg(node, i)));
        bits |= bit;
    }
    *(unsigned *)field = bits;
    return 0;
}

int conf_set_ignored(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    (void)scope, (void)node, (void)field;
    conf_warn(conf, "the \"%s\" directive has no effect here, ignored",
              row->name);
    return 0;
}

/* ---- words ---- */

const char *conf_full_path(struct conf *conf, struct str path, bool conf_prefix)
{
    const char *prefix = conf_prefix ? conf->tree.prefix : conf->prefix;
    if ((path.n && path.p[0] == '/') || !prefix)
        prefix = "";
    return arena_printf(conf->arena, "%s%.*s", prefix, STR_ARG(path)).p;
}

const char *conf_arg_c(struct conf *conf, const struct conf_node *node,
                       size_t n)
{
    return arena_cstr(conf->arena, conf_arg(node, n));
}

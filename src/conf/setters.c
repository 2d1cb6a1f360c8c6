/* SPDX-License-Identifier: BSD-2-Clause */
#include <inttypes.h>

#include "base/check.h"
#include "conf/conf.h"
#include "engine.h"

/* ---- bounds ---- */

static int in_bounds(struct conf *conf, const struct directive *row,
                     struct str word, uint64_t value)
{
    if (value < row->min)
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"%s\" directive, "
                         "it must be at least %" PRIu64,
                         STR_ARG(word), row->name, row->min);
    if (row->max && value > row->max)
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"%s\" directive, "
                         "it must be at most %" PRIu64,
                         STR_ARG(word), row->name, row->max);
    return 0;
}

/* ---- setters ---- */

int conf_set_flag(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    bool *flag = field;
    struct str word = conf_arg(node, 1);
    (void)scope;

    if (!str_eq_nocase(word, STR("on")) && !str_eq_nocase(word, STR("off")))
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"%s\" directive, "
                         "it must be \"on\" or \"off\"",
                         STR_ARG(word), row->name);
    *flag = str_eq_nocase(word, STR("on"));
    return 0;
}

int conf_set_number(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct str word = conf_arg(node, 1);
    uint64_t value;
    (void)scope;

    if (!str_to_u64(word, INT64_MAX, &value))
        return conf_fail(conf, "invalid number \"%.*s\" in \"%s\" directive",
                         STR_ARG(word), row->name);
    if (in_bounds(conf, row, word, value) == -1)
        return -1;
    *(uint64_t *)field = value;
    return 0;
}

typedef bool parse_fn(struct str s, uint64_t *out);

static int set_unit(struct conf *conf, const struct directive *row,
                    const struct conf_node *node, void *field, parse_fn *parse,
                    const char *expected)
{
    struct str word = conf_arg(node, 1);
    uint64_t value;

    if (!parse(word, &value))
        return conf_fail(conf,
                         "\"%s\" directive invalid value \"%.*s\", "
                         "expected %s",
                         row->name, STR_ARG(word), expected);
    if (in_bounds(conf, row, word, value) == -1)
        return -1;
    *(uint64_t *)field = value;
    return 0;
}

int conf_set_size(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    (void)scope;
    return set_unit(conf, row, node, field, conf_parse_size,
                    "a size such as 512, 8k or 1m");
}

int conf_set_ms(struct conf *conf, struct conf_scope *scope,
                const struct directive *row, const struct conf_node *node,
                void *field)
{
    (void)scope;
    return set_unit(conf, row, node, field, conf_parse_ms,
                    "a time such as 500ms, 30s or \"1h 30m\"");
}

int conf_set_sec(struct conf *conf, struct conf_scope *scope,
                 const struct directive *row, const struct conf_node *node,
                 void *field)
{
    (void)scope;
    return set_unit(conf, row, node, field, conf_parse_sec,
                    "a time such as 30s, 5m or 1d");
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

static int find_enum(struct conf *conf, const struct directive *row,
                     struct str word, unsigned *value)
{
    const struct conf_enum *names = row->data;
    struct buf expected = {0};

    for (const struct conf_enum *e = names; e->name; e++)
        if (str_eq(word, str_c(e->name))) {
            *value = e->value;
            return 0;
        }
    for (const struct conf_enum *e = names; e->name; e++)
        buf_printf(&expected, "%s\"%s\"", e == names ? "" : ", ", e->name);
    conf_fail(conf,
              "invalid value \"%.*s\" in \"%s\" directive, expected one "
              "of %.*s",
              STR_ARG(word), row->name, STR_ARG(buf_str(&expected)));
    buf_fini(&expected);
    return -1;
}

int conf_set_enum(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    (void)scope;
    return find_enum(conf, row, conf_arg(node, 1), field);
}

int conf_set_bits(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    unsigned bits = 0;
    (void)scope;

    for (size_t i = 1; i < node->words_n; i++) {
        unsigned bit;
        if (find_enum(conf, row, conf_arg(node, i), &bit) == -1)
            return -1;
        if (bits & bit)
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
    conf_warn(conf, "the \"%s\" directive has no meaning here and is ignored",
              row->name);
    return 0;
}

/* ---- defaults ---- */

bool conf_setter_is_common(conf_setter *set)
{
    return set == conf_set_flag || set == conf_set_number ||
           set == conf_set_size || set == conf_set_ms || set == conf_set_sec ||
           set == conf_set_str || set == conf_set_path ||
           set == conf_set_enum || set == conf_set_bits;
}

enum { DEFAULT_WORDS_MAX = 16 };

/* An emptiness that is written "" or — stands for an unset field. */
int conf_set_default(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, void *field)
{
    struct conf_word words[1 + DEFAULT_WORDS_MAX] = {
        {.text = str_c(row->name)}};
    struct conf_node node = {.words = words, .words_n = 1};
    struct str rest = str_c(row->default_text);

    while (rest.p && node.words_n < COUNT(words)) {
        struct str word = str_cut(&rest, ' ');
        if (word.n)
            words[node.words_n++].text = word;
    }
    if (node.words_n == 2 && str_eq(words[1].text, STR("\"\"")))
        words[1].text = STR("");
    return row->set(conf, scope, row, &node, field);
}

/* ---- paths ---- */

const char *conf_full_path(struct conf *conf, struct str path, bool conf_prefix)
{
    if (path.n && path.p[0] == '/')
        return arena_cstr(conf->arena, path);
    const char *prefix = conf_prefix ? conf->tree.prefix : conf->prefix;
    struct str full = arena_printf(conf->arena, "%s%.*s", prefix ? prefix : "",
                                   STR_ARG(path));
    return full.p;
}

const char *conf_arg_c(struct conf *conf, const struct conf_node *node,
                       size_t n)
{
    return arena_cstr(conf->arena, conf_arg(node, n));
}

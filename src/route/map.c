/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/map.h"

#include "route/hosts.h"
#include "route/value.h"

struct map_regex {
    struct regex *regex;
    struct regex_names *groups;
    struct value *value;
    struct map_regex *next;
};

/* One map block. */
struct lookup {
    struct value *source;
    struct hosts keys; /* to struct value */
    struct map_regex *regexes;
    struct map_regex **last;
    struct value *fallback; /* NULL: "" */
    bool hostnames;
    bool is_volatile;
    bool computes; /* some result has variables in it */
};

/* ---- at run time ---- */

static const struct value *find(const struct lookup *l, struct str key,
                                struct evaluation *e)
{
    struct str name = key;

    if (l->hostnames && key.n && key.p[key.n - 1] == '.')
        name.n--;
    const struct value *value = hosts_find(&l->keys, name);
    if (value)
        return value;
    for (const struct map_regex *r = l->regexes; key.n && r; r = r->next)
        if (regex_match(r->regex, key, &e->captures)) {
            regex_names_store(r->groups, e);
            return r->value;
        }
    return l->fallback;
}

static bool get_mapped(struct evaluation *e, const struct variable *v,
                       struct str *out)
{
    const struct lookup *l = (const struct lookup *)v->arg;
    struct str key = value_eval(l->source, e);
    const struct value *value = find(l, key, e);

    *out = value ? value_eval(value, e) : STR("");
    return true;
}

/* ---- at load ---- */

static int add_regex(struct conf *conf, struct lookup *l, struct str text,
                     struct value *value)
{
    bool nocase = text.n > 1 && text.p[1] == '*';
    struct str pattern = str_slice(text, nocase ? 2 : 1, text.n);
    struct map_regex *item = arena_calloc(conf->arena, sizeof *item);

    item->regex = regex_compile(conf->arena, pattern, nocase, conf->err);
    if (!item->regex)
        return -1;
    item->groups = regex_names_define(conf->variables, item->regex, conf->err);
    if (!item->groups)
        return -1;
    item->value = value;
    *l->last = item;
    l->last = &item->next;
    return 0;
}

static int add_key(struct conf *conf, struct lookup *l, struct str key,
                   struct value *value)
{
    if (key.n && key.p[0] == '~')
        return add_regex(conf, l, key, value);
    /* What would be a word of ours, or a regex, is meant literally. */
    if (key.n && key.p[0] == '\\')
        key = str_slice(key, 1, key.n);
    switch (l->hostnames ? hosts_add(&l->keys, key, value)
                         : hosts_add_text(&l->keys, key, value)) {
    case HOSTS_ADDED:
        return 0;
    case HOSTS_TAKEN:
        return conf_fail(conf, "conflicting parameter \"%.*s\"", STR_ARG(key));
    case HOSTS_INVALID:
        break;
    }
    return conf_fail(conf, "invalid hostname or wildcard \"%.*s\"",
                     STR_ARG(key));
}

static int add_entry(struct conf *conf, struct lookup *l,
                     const struct conf_node *entry)
{
    struct str key = conf_arg(entry, 0);

    if (entry->words_n == 1 && str_eq(key, STR("hostnames"))) {
        l->hostnames = true;
        return 0;
    }
    if (entry->words_n == 1 && str_eq(key, STR("volatile"))) {
        l->is_volatile = true;
        return 0;
    }
    if (entry->words_n != 2)
        return conf_fail(conf, "invalid number of the map parameters");
    struct value *value =
        value_compile(conf, conf->variables, conf_arg(entry, 1));
    if (!value)
        return -1;
    l->computes |= !value_is_constant(value);
    if (!str_eq(key, STR("default")))
        return add_key(conf, l, key, value);
    if (l->fallback)
        return conf_fail(conf, "duplicate default map parameter");
    l->fallback = value;
    return 0;
}

static int set_map(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    (void)scope;
    (void)row;
    (void)field;
    struct str name = conf_arg(node, 2);
    struct lookup *l = arena_calloc(conf->arena, sizeof *l);
    const struct conf_node *entry = NULL;
    int more;

    l->last = &l->regexes;
    hosts_init(&l->keys, conf->arena);
    l->source = value_compile(conf, conf->variables, conf_arg(node, 1));
    if (!l->source)
        return -1;
    if (name.n < 2 || name.p[0] != '$')
        return conf_fail(conf, "invalid variable name \"%.*s\"", STR_ARG(name));
    name = str_slice(name, 1, name.n);
    struct variable *v = variables_define(conf->variables, name, get_mapped,
                                          VARIABLE_CHANGEABLE);
    if (!v)
        return conf_fail(conf, "the duplicate \"%.*s\" variable",
                         STR_ARG(name));
    while ((more = conf_entry_next(conf, node, &entry)) == 1)
        if (add_entry(conf, l, entry) == -1)
            return -1;
    /* A later map of the same variable takes it over, as in nginx. */
    v->arg = (uintptr_t)l;
    v->source = l->computes ? NULL : l->source;
    v->flags &= ~(unsigned)(VARIABLE_VOLATILE | VARIABLE_CACHED);
    v->flags |= l->is_volatile ? VARIABLE_VOLATILE : VARIABLE_CACHED;
    return more;
}

static const struct directive directives[] = {
    {
        .name = "map",
        .contexts = CONF_HTTP,
        .arity = ARGS_2,
        .flags = CONF_BLOCK | CONF_REPEATABLE | CONF_DEFINES,
        .set = set_map,
        .help = "Makes a variable whose value is looked up by another text.",
        .syntax = "TEXT $VARIABLE",
    },
    {
        .name = "map_hash_max_size",
        .contexts = CONF_HTTP,
        .arity = ARGS_1,
        .flags = CONF_IGNORED,
        .help = "Tables of maps grow as they need.",
    },
    {
        .name = "map_hash_bucket_size",
        .contexts = CONF_HTTP,
        .arity = ARGS_1,
        .flags = CONF_IGNORED,
        .help = "Tables of maps grow as they need.",
    },
    {0},
};

struct conf_module map_module = {.name = "map", .directives = directives};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/geo.h"

#include <arpa/inet.h>

#include "base/bytes.h"
#include "base/check.h"
#include "geo_table.h"
#include "serve/real_ip.h"
#include "serve/request.h"

/* One geo block. */
struct geo {
    struct value *source; /* NULL: who asks */
    struct geo_table table;
    const struct str *fallback;
    struct conf_list proxies; /* struct access_rule */
    bool proxy_recursive;
    bool ranges, entries; /* `ranges` was said, something was added */
};

/* ---- at run time ---- */

static struct address address_for(const struct geo *g, struct evaluation *e)
{
    const struct request *r = e->request;
    struct address a = {0};

    if (g->source) {
        if (address_from_ip(&a, value_eval(g->source, e), 0) == -1)
            a = (struct address){0};
    } else {
        a = *request_remote(r);
    }
    if (g->proxies.n) {
        struct str list =
            http_head_join(&r->head, STR("X-Forwarded-For"), r->arena);
        if (list.p)
            real_ip_from_list(&a, list, &g->proxies, g->proxy_recursive);
    }
    return a;
}

static bool get_geo(struct evaluation *e, const struct variable *v,
                    struct str *out)
{
    const struct geo *g = (const struct geo *)v->arg;
    struct address a = address_for(g, e);
    const struct str *found = geo_table_find(&g->table, &a);

    if (!found)
        found = g->fallback;
    *out = found ? *found : STR("");
    return true;
}

/* ---- entries ---- */

static int read_network(struct conf *conf, struct str text,
                        struct access_rule *rule)
{
    *rule = (struct access_rule){0};
    int got = access_rule_read(rule, text);
    if (got == -1 || (rule->family != ACCESS_V4 && rule->family != ACCESS_V6))
        return conf_fail(conf, "invalid network \"%.*s\"", STR_ARG(text));
    if (got == 1)
        conf_warn(conf, "low address bits of %.*s are meaningless",
                  STR_ARG(text));
    return 0;
}

static int add_network(struct conf *conf, struct geo *g, struct str text,
                       const struct str *value)
{
    struct access_rule rule;

    if (read_network(conf, text, &rule) == -1)
        return -1;
    const struct str *before = geo_table_put(&g->table, &rule, value);
    if (!value && !before)
        conf_warn(conf, "no network \"%.*s\" to delete", STR_ARG(text));
    else if (value && before)
        conf_warn(conf,
                  "duplicate network \"%.*s\", value: \"%.*s\", old value: "
                  "\"%.*s\"",
                  STR_ARG(text), STR_ARG(*value), STR_ARG(*before));
    return 0;
}

static bool read_v4(struct conf *conf, struct str text, uint32_t *ip)
{
    uint8_t bytes[4];
    if (text.n >= INET_ADDRSTRLEN ||
        inet_pton(AF_INET, arena_cstr(conf->arena, text), bytes) != 1)
        return false;
    *ip = be32_get(bytes);
    return true;
}

static int add_range(struct conf *conf, struct geo *g, struct str text,
                     const struct str *value)
{
    struct str rest = text, begin = str_cut(&rest, '-');
    uint32_t first, last;

    if (!read_v4(conf, begin, &first) || !read_v4(conf, rest, &last) ||
        first > last)
        return conf_fail(conf, "invalid range \"%.*s\"", STR_ARG(text));
    bool before = geo_table_put_range(&g->table, first, last, value);
    if (!value && !before)
        conf_warn(conf, "no address range \"%.*s\" to delete", STR_ARG(text));
    else if (value && before)
        conf_warn(conf, "range \"%.*s\" overlaps another", STR_ARG(text));
    return 0;
}

static int add_proxy(struct conf *conf, struct conf_scope *scope, struct geo *g,
                     struct str text)
{
    struct access_rule rule;
    if (read_network(conf, text, &rule) == -1)
        return -1;
    conf_list_add(conf, scope, &g->proxies,
                  arena_copy(conf->arena, &rule, sizeof rule));
    return 0;
}

static int add_word(struct conf *conf, struct geo *g, struct variable *v,
                    struct str word)
{
    if (str_eq(word, STR("ranges"))) {
        if (g->entries)
            return conf_fail(conf, "the \"ranges\" directive must be the "
                                   "first directive inside \"geo\" block");
        g->ranges = true;
        return 0;
    }
    if (str_eq(word, STR("proxy_recursive"))) {
        g->proxy_recursive = true;
        return 0;
    }
    if (str_eq(word, STR("volatile"))) {
        v->flags |= VARIABLE_VOLATILE;
        return 0;
    }
    return conf_fail(conf, "invalid number of the geo parameters");
}

static int add_entry(struct conf *conf, struct conf_scope *scope, struct geo *g,
                     struct variable *v, const struct conf_node *entry)
{
    struct str key = conf_arg(entry, 0);
    struct str text;

    if (entry->words_n == 1)
        return add_word(conf, g, v, key);
    if (entry->words_n != 2)
        return conf_fail(conf, "invalid number of the geo parameters");
    text = conf_arg(entry, 1);
    struct str *value = arena_copy(conf->arena, &text, sizeof text);
    if (str_eq(key, STR("proxy")))
        return add_proxy(conf, scope, g, text);
    g->entries = true;
    if (str_eq(key, STR("default"))) {
        if (g->fallback)
            conf_warn(conf, "duplicate default geo value");
        g->fallback = value;
        return 0;
    }
    bool out = str_eq(key, STR("delete"));
    return g->ranges
               ? add_range(conf, g, out ? text : key, out ? NULL : value)
               : add_network(conf, g, out ? text : key, out ? NULL : value);
}

/* ---- the block ---- */

static int set_geo(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    struct geo *g = arena_calloc(conf->arena, sizeof *g);
    struct str name = conf_arg(node, node->words_n - 1);
    const struct conf_node *entry = NULL;
    int more;
    (void)row, (void)field;

    geo_table_init(&g->table, conf->arena);
    if (node->words_n == 3) {
        g->source = value_compile(conf, conf->variables, conf_arg(node, 1));
        if (!g->source)
            return -1;
    }
    if (name.n < 2 || name.p[0] != '$')
        return conf_fail(conf, "invalid variable name \"%.*s\"", STR_ARG(name));
    name = str_slice(name, 1, name.n);
    struct variable *v =
        variables_define(conf->variables, name, get_geo, VARIABLE_CHANGEABLE);
    if (!v)
        return conf_fail(conf, "the duplicate \"%.*s\" variable",
                         STR_ARG(name));
    while ((more = conf_entry_next(conf, node, &entry)) == 1)
        if (add_entry(conf, scope, g, v, entry) == -1)
            return -1;
    v->arg = (uintptr_t)g;
    return more;
}

static const struct directive directives[] = {
    {.name = "geo",
     .contexts = CONF_HTTP,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_BLOCK | CONF_REPEATABLE | CONF_DEFINES,
     .set = set_geo,
     .syntax = "[ADDRESS] $VARIABLE",
     .help = "Makes a variable whose value depends on who asks, by networks "
             "or, with `ranges`, from one address to another."},
    {.name = NULL},
};

struct conf_module geo_module = {.name = "geo", .directives = directives};

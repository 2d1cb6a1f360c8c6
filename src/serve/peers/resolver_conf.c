/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "peers/peers.h"
#include "serve/resolving.h"

enum { DNS_PORT = 53 };

static void defaults(void *module_conf)
{
    struct resolving *c = module_conf;
    c->timeout_ms = 30000;
}

static void on_death(void *arg)
{
    struct resolver_conf *c = arg;
    resolver_destroy(c->live);
    c->live = NULL;
}

struct resolver *resolving_start(const struct resolving *c, struct loop *loop,
                                 const struct log_ctx *log)
{
    struct resolver_conf *r = c->resolver;

    if (!r || r->live)
        return r ? r->live : NULL;
    r->live = resolver_create(loop, &r->setup);
    if (!r->live)
        log_errno(log, LEVEL_ALERT, errno, "no resolver could be made");
    return r->live;
}

/* ---- the directive ---- */

static int set_family(struct conf *conf, struct str word, struct str value,
                      bool *on)
{
    if (str_eq(value, STR("on")) || str_eq(value, STR("off"))) {
        *on = value.n == 2;
        return 0;
    }
    return conf_fail(conf, "invalid parameter: %.*s", STR_ARG(word));
}

/* 1: the word was no parameter. */
static int set_parameter(struct conf *conf, struct resolver_setup *setup,
                         struct str word)
{
    struct str value = word;
    struct str name = str_cut(&value, '=');

    if (str_eq(name, STR("valid"))) {
        if (conf_parse_ms(value, &setup->valid_ms) && setup->valid_ms)
            return 0;
        return conf_fail(conf, "invalid parameter: %.*s", STR_ARG(word));
    }
    if (str_eq(name, STR("ipv4")))
        return set_family(conf, word, value, &setup->ipv4);
    if (str_eq(name, STR("ipv6")))
        return set_family(conf, word, value, &setup->ipv6);
    if (str_eq(name, STR("status_zone")))
        return conf_fail(conf, "the \"status_zone\" parameter of \"resolver\" "
                               "is not supported");
    return 1;
}

static int add_server(struct conf *conf, struct peer_list *list,
                      struct str word)
{
    if (str_starts(word, STR("unix:")))
        return conf_fail(conf, "a name server has no unix socket: %.*s",
                         STR_ARG(word));
    return peers_add(conf, word, DNS_PORT, list, &peer_model);
}

static int set_resolver(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field)
{
    struct resolving *c = field;
    struct resolver_conf *r = arena_calloc(conf->arena, sizeof *r);
    struct peer_list list = {0};
    (void)scope, (void)row;

    c->resolver = NULL;
    if (node->words_n == 2 && str_eq(conf_arg(node, 1), STR("off")))
        return 0;
    r->setup.ipv4 = r->setup.ipv6 = true;
    for (size_t i = 1; i < node->words_n; i++) {
        int is_server = set_parameter(conf, &r->setup, conf_arg(node, i));
        if (is_server == 1)
            is_server = add_server(conf, &list, conf_arg(node, i));
        if (is_server == -1)
            return -1;
    }
    if (!list.n)
        return conf_fail(conf, "no name servers defined");
    if (!r->setup.ipv4 && !r->setup.ipv6)
        return conf_fail(conf, "\"ipv4\" and \"ipv6\" cannot both be \"off\"");
    struct address *servers =
        arena_alloc(conf->arena, list.n * sizeof *servers);
    for (size_t i = 0; i < list.n; i++)
        servers[i] = *(struct address *)list.items[i].object;
    r->setup.servers = servers;
    r->setup.servers_n = list.n;
    arena_on_destroy(conf->arena, on_death, r);
    c->resolver = r;
    return 0;
}

static const struct directive resolver_directives[] = {
    {.name = "resolver",
     .syntax = "ADDRESS ... [valid=TIME] [ipv4=on|off] [ipv6=on|off]",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION | CONF_UPSTREAM,
     .arity = ARGS_1_MORE,
     .set = set_resolver,
     .help = "Name servers for names that are known only at run time; off: "
             "none.  valid: how long answers are kept, instead of their TTL."},
    {.name = "resolver_timeout",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION | CONF_UPSTREAM,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = offsetof(struct resolving, timeout_ms),
     .default_text = "30s",
     .help = "How long a name may take to be resolved."},
    {.name = NULL},
};

struct conf_module resolver_module = {
    .name = "resolver",
    .size = sizeof(struct resolving),
    .defaults = defaults,
    .directives = resolver_directives,
};

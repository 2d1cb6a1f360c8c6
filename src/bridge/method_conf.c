/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "bridge/pool.h"

static struct pool_settings *settings_of(struct conf_scope *scope)
{
    return conf_get(scope, &backend_module);
}

static int use_method(struct conf *conf, struct conf_scope *scope,
                      const struct balance_method *method)
{
    struct pool_settings *set = settings_of(scope);
    if (set->method_said)
        conf_warn(conf, "load balancing method redefined");
    set->method_said = true;
    set->method = method;
    return 0;
}

static int set_method(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    (void)node, (void)field;
    return use_method(conf, scope, row->data);
}

static int set_key(struct conf *conf, const struct conf_node *node,
                   struct value **key)
{
    *key = value_compile(conf, conf->variables, conf_arg(node, 1));
    return *key ? 0 : -1;
}

static int set_hash(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    bool consistent = node->words_n == 3;
    (void)row, (void)field;

    if (consistent && !str_eq(conf_arg(node, 2), STR("consistent")))
        return conf_fail(conf, "invalid parameter \"%.*s\"",
                         STR_ARG(conf_arg(node, 2)));
    if (set_key(conf, node, &settings_of(scope)->hash_key) == -1)
        return -1;
    return use_method(conf, scope,
                      consistent ? &balance_consistent : &balance_hash);
}

static int set_claim(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    (void)row, (void)field;
    return set_key(conf, node, &settings_of(scope)->claim_key);
}

static int set_sticky(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct sticky_cookie *c = arena_calloc(conf->arena, sizeof *c);
    (void)row, (void)field;

    if (!str_eq(conf_arg(node, 1), STR("cookie")))
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected "
                         "\"cookie\"",
                         STR_ARG(conf_arg(node, 1)));
    settings_of(scope)->cookie = c;
    return sticky_cookie_read(conf, node, 2, c);
}

int method_check(struct conf *conf, const struct pool_conf *p)
{
    for (size_t i = 0; p->set.method->no_backups && i < p->servers_n; i++)
        if (p->servers[i].backup)
            return conf_fail_at(conf, p->node,
                                "balancing method does not support parameter "
                                "\"backup\"");
    return 0;
}

static const struct directive method_directives[] = {
    {.name = "least_conn",
     .contexts = CONF_BACKEND,
     .arity = ARGS_0,
     .set = set_method,
     .data = &balance_least_conn,
     .help = "The backend with the fewest clients gets the next one; this is "
             "the default."},
    {.name = "round_robin",
     .contexts = CONF_BACKEND,
     .arity = ARGS_0,
     .set = set_method,
     .data = &balance_round_robin,
     .help = "Backends get clients in turn, by weight."},
    {.name = "ip_hash",
     .contexts = CONF_BACKEND,
     .arity = ARGS_0,
     .set = set_method,
     .data = &balance_ip_hash,
     .help = "The client's address decides: three bytes of IPv4, all of "
             "IPv6."},
    {.name = "hash",
     .syntax = "KEY [consistent]",
     .contexts = CONF_BACKEND,
     .arity = ARGS_1 | ARGS_2,
     .set = set_hash,
     .help = "A text with variables decides; consistent: a backend that comes "
             "or goes moves only its own keys."},
    {.name = "sticky",
     .syntax = "cookie NAME [expires=TIME] [domain=DOMAIN] [httponly] "
               "[samesite=VALUE] [secure] [path=PATH]",
     .contexts = CONF_BACKEND,
     .arity = ARGS_2_MORE,
     .set = set_sticky,
     .help = "Who was served by one backend comes back to it while it lives, "
             "by a cookie of ours."},
    {.name = "claim",
     .syntax = "KEY",
     .contexts = CONF_BACKEND,
     .arity = ARGS_1,
     .set = set_claim,
     .help = "A request whose KEY a backend has claimed goes to that backend; "
             "others go by the method."},
    {.name = NULL},
};

struct conf_module backend_method_module = {
    .name = "backend_method",
    .directives = method_directives,
};

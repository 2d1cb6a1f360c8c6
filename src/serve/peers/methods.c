/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/peers.h"

static int use_method(struct conf *conf, struct conf_scope *scope,
                      const struct balance_method *method)
{
    struct upstream *u = upstream_of_scope(scope);
    if (u->balance.method != &balance_round_robin)
        conf_warn(conf, "load balancing method redefined");
    u->balance.method = method;
    return 0;
}

static int bad_parameter(struct conf *conf, const struct conf_node *node,
                         size_t i)
{
    return conf_fail(conf, "invalid parameter \"%.*s\"",
                     STR_ARG(conf_arg(node, i)));
}

static int set_method(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    (void)node, (void)field;
    return use_method(conf, scope, row->data);
}

static int set_hash(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct upstream *u = upstream_of_scope(scope);
    bool consistent = node->words_n == 3;
    (void)row, (void)field;

    if (consistent && !str_eq(conf_arg(node, 2), STR("consistent")))
        return bad_parameter(conf, node, 2);
    u->hash_key = value_compile(conf, conf->variables, conf_arg(node, 1));
    if (!u->hash_key)
        return -1;
    return use_method(conf, scope,
                      consistent ? &balance_consistent : &balance_hash);
}

static int set_random(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct balance *b = &upstream_of_scope(scope)->balance;
    (void)row, (void)field;

    b->measure = MEASURE_CONNS;
    b->two = node->words_n > 1;
    if (b->two && !str_eq(conf_arg(node, 1), STR("two")))
        return bad_parameter(conf, node, 1);
    if (node->words_n == 3) {
        struct str how = conf_arg(node, 2);
        if (str_eq(how, STR("least_time=header")))
            b->measure = MEASURE_HEADER;
        else if (str_eq(how, STR("least_time=last_byte")))
            b->measure = MEASURE_LAST_BYTE;
        else if (!str_eq(how, STR("least_conn")))
            return bad_parameter(conf, node, 2);
    }
    return use_method(conf, scope, &balance_random);
}

static int set_least_time(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct balance *b = &upstream_of_scope(scope)->balance;
    (void)row, (void)field;

    if (str_eq(conf_arg(node, 1), STR("header")))
        b->measure = MEASURE_HEADER;
    else if (str_eq(conf_arg(node, 1), STR("last_byte")))
        b->measure = MEASURE_LAST_BYTE;
    else
        return bad_parameter(conf, node, 1);
    b->inflight = node->words_n == 3;
    if (b->inflight && !str_eq(conf_arg(node, 2), STR("inflight")))
        return bad_parameter(conf, node, 2);
    return use_method(conf, scope, &balance_least_time);
}

int methods_check(struct conf *conf, const struct upstream_block *b)
{
    if (!b->upstream->balance.method->no_backups)
        return 0;
    if (b->backup_node)
        return conf_fail_at(conf, b->backup_node,
                            "balancing method does not support parameter "
                            "\"backup\"");
    if (b->slow_node)
        return conf_fail_at(conf, b->slow_node,
                            "balancing method does not support parameter "
                            "\"slow_start\"");
    return 0;
}

static const struct directive method_directives[] = {
    {.name = "least_conn",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_0,
     .set = set_method,
     .data = &balance_least_conn,
     .help = "Choose the server with the fewest active requests."},
    {.name = "ip_hash",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_0,
     .set = set_method,
     .data = &balance_ip_hash,
     .help = "Choose by the client's address: three bytes of IPv4, all of "
             "IPv6."},
    {.name = "hash",
     .syntax = "KEY [consistent]",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1 | ARGS_2,
     .set = set_hash,
     .help = "Choose by a text with variables; consistent: a server that "
             "comes or goes moves only its own keys."},
    {.name = "random",
     .syntax = "[two [least_conn | least_time=header | "
               "least_time=last_byte]]",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_0 | ARGS_1 | ARGS_2,
     .set = set_random,
     .help = "Choose by chance; two: the better of two."},
    {.name = "least_time",
     .syntax = "header | last_byte [inflight]",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1 | ARGS_2,
     .set = set_least_time,
     .help = "Choose the server that answers soonest, by its response times "
             "and active requests; inflight: unfinished ones count too."},
    {.name = NULL},
};

struct conf_module upstream_method_module = {
    .name = "upstream_method",
    .directives = method_directives,
};

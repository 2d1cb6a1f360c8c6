/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/tuning.h"

static int ignore_size(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    uint64_t size;
    if (conf_set_size(conf, scope, row, node, &size) == -1)
        return -1;
    return conf_set_ignored(conf, scope, row, node, field);
}

static int ignore_number(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    uint64_t number;
    if (conf_set_number(conf, scope, row, node, &number) == -1)
        return -1;
    return conf_set_ignored(conf, scope, row, node, field);
}

static int ignore_buffers(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    uint64_t number, size;
    if (!str_to_u64(conf_arg(node, 1), INT64_MAX, &number) || !number ||
        !conf_parse_size(conf_arg(node, 2), &size) || !size)
        return conf_fail(conf,
                         "\"%s\" directive invalid value, expected a number "
                         "and a size such as \"2 32k\"",
                         row->name);
    return conf_set_ignored(conf, scope, row, node, field);
}

static int ignore_directio(struct conf *conf, struct conf_scope *scope,
                           const struct directive *row,
                           const struct conf_node *node, void *field)
{
    if (!str_eq(conf_arg(node, 1), STR("off")))
        return ignore_size(conf, scope, row, node, field);
    return conf_set_ignored(conf, scope, row, node, field);
}

static int ignore_aio(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct str text = conf_arg(node, 1);
    if (!str_eq(text, STR("on")) && !str_eq(text, STR("off")) &&
        !str_eq(text, STR("threads")) && !str_starts(text, STR("threads=")))
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"aio\", expected \"on\", "
                         "\"off\" or \"threads[=POOL]\"",
                         STR_ARG(text));
    return conf_set_ignored(conf, scope, row, node, field);
}

enum {
    SERVERS = CONF_HTTP | CONF_SERVER,
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

#define ROW(directive, where, args, setter, words, why)                        \
    {                                                                          \
        .name = directive, .contexts = where, .arity = args, .set = setter,    \
        .syntax = words, .help = why                                           \
    }
#define SIZE(directive, where, why)                                            \
    ROW(directive, where, ARGS_1, ignore_size, "SIZE", why)
#define TABLE(directive, where)                                                \
    ROW(directive, where, ARGS_1, ignore_number, "NUMBER",                     \
        "Accepted; tables grow by themselves here.")

static const struct directive tuning_directives[] = {
    SIZE("connection_pool_size", SERVERS,
         "Accepted; memory is taken as it is needed."),
    SIZE("request_pool_size", SERVERS,
         "Accepted; memory is taken as it is needed."),
    TABLE("server_names_hash_max_size", CONF_HTTP),
    TABLE("server_names_hash_bucket_size", CONF_HTTP),
    TABLE("variables_hash_max_size", CONF_HTTP),
    TABLE("variables_hash_bucket_size", CONF_HTTP),
    TABLE("proxy_headers_hash_max_size", ANYWHERE),
    TABLE("proxy_headers_hash_bucket_size", ANYWHERE),
    ROW("output_buffers", ANYWHERE, ARGS_2, ignore_buffers, "NUMBER SIZE",
        "Accepted; the kernel sends files."),
    ROW("aio", ANYWHERE, ARGS_1, ignore_aio, "on | off | threads[=POOL]",
        "Accepted; the kernel sends files."),
    ROW("directio", ANYWHERE, ARGS_1, ignore_directio, "SIZE | off",
        "Accepted; the kernel sends files."),
    {.name = NULL},
};

struct conf_module tuning_module = {
    .name = "tuning",
    .directives = tuning_directives,
};

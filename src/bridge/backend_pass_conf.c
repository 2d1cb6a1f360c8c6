/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/exchange.h"
#include "pass.h"
#include "serve/core.h"

static conf_setter set_pass;

static const struct directive backend_pass_directives[] = {
    {
        .name = "backend_pass",
        .syntax = "NAME [app=NAME]",
        .contexts = CONF_LOCATION | CONF_LOCATION_IF,
        .arity = ARGS_1 | ARGS_2,
        .set = set_pass,
        .help = "HTTP requests here are answered by this backend: NAME "
                "[app=NAME].",
    },
    {
        .name = "backend_read_timeout",
        .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
        .arity = ARGS_1,
        .set = conf_set_ms,
        .offset = offsetof(struct backend_pass_conf, read_timeout_ms),
        .default_text = "60s",
        .min = 1,
        .help = "How long a backend that has an HTTP request may say "
                "nothing; then the client gets 504.",
    },
    {0},
};

static int set_pass(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct backend_pass_conf *c = conf_get(scope, &backend_pass_module);
    (void)row;
    (void)field;

    location_of_scope(scope)->handler = &backend_handler;
    return pass_read(conf, scope, node, &c->pool, &c->app, &c->pattern);
}

struct conf_module backend_pass_module = {
    .name = "backend_pass",
    .size = sizeof(struct backend_pass_conf),
    .directives = backend_pass_directives,
};

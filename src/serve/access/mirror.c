/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/mirror.h"

#include "serve/subrequest.h"

/* ---- at run time ---- */

static void on_end(void *owner, struct request *sub, bool complete)
{
    (void)owner, (void)sub, (void)complete;
}

static const struct subrequest_events mirror_events = {.on_end = on_end};

int mirror_run(struct request *r)
{
    const struct mirror_conf *c = request_conf(r, &mirror_module);
    unsigned flags = SUBREQUEST_BACKGROUND | SUBREQUEST_METHOD;

    if (c->request_body && !r->body_received)
        flags |= SUBREQUEST_BODY;
    for (size_t i = 0; i < c->uris.n; i++) {
        const struct str *uri = c->uris.items[i];
        struct request *sub =
            subrequest_create(r, *uri, r->args, flags, &mirror_events, r);
        if (sub && flags & SUBREQUEST_BODY)
            subrequest_start(sub); /* before the body comes */
    }
    return VERDICT_DECLINED;
}

/* ---- configuration ---- */

static int set_mirror(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct mirror_conf *c = field;
    struct str uri = conf_arg(node, 1);
    (void)row;

    bool is_first = c->uris.owner != scope;
    if (str_eq(uri, STR("off"))) {
        if (!is_first)
            return conf_fail(conf, "is duplicate");
        conf_list_clear(scope, &c->uris);
        c->off = true;
        return 0;
    }
    if (!is_first && c->off)
        return conf_fail(conf, "is duplicate");
    c->off = false;
    conf_list_add(conf, scope, &c->uris,
                  arena_copy(conf->arena, &uri, sizeof uri));
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive mirror_directives[] = {
    {.name = "mirror",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = set_mirror,
     .default_text = "off",
     .syntax = "URI | off",
     .help = "Make the same request there too and ignore what it says."},
    {.name = "mirror_request_body",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct mirror_conf, request_body),
     .default_text = "on",
     .help = "Give the copies the request's body."},
    {.name = NULL},
};

struct conf_module mirror_module = {
    .name = "mirror",
    .size = sizeof(struct mirror_conf),
    .directives = mirror_directives,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "encoding.h"
#include "serve/body_filters.h"
#include "splice.h"

struct addition_conf {
    struct str before, after; /* n 0: none */
    struct type_set types;
};

struct addition {
    struct splice splice;
    const struct addition_conf *conf;
    bool begun, appended;
};

static bool include(struct addition *a, struct str uri)
{
    return !uri.n || splice_include(&a->splice, uri, STR(""));
}

static int take(struct filter *f, struct str *in, bool last)
{
    struct addition *a = f->state;

    if (!a->begun) {
        a->begun = true;
        if (!include(a, a->conf->before))
            return -1;
    }
    if (in->n && !splice_has_room(&a->splice))
        return 0;
    splice_text(&a->splice, *in);
    in->n = 0;
    if (!last)
        return splice_has_room(&a->splice) ? 1 : 0;
    if (!a->appended) {
        a->appended = true;
        if (!include(a, a->conf->after))
            return -1;
    }
    return splice_end(&a->splice) ? 1 : 0;
}

static void drain(struct filter *f)
{
    splice_drain(&((struct addition *)f->state)->splice);
}

static const struct filter_type addition_type = {
    .name = "addition",
    .take = take,
    .drain = drain,
};

void addition_filter(struct request *r)
{
    const struct addition_conf *c = request_conf(r, &addition_module);

    if ((!c->before.n && !c->after.n) || r->response.status != 200 ||
        request_is_sub(r) ||
        !type_set_has(&c->types, NULL, r->response.content_type))
        return;
    struct addition *a = arena_calloc(r->arena, sizeof *a);
    a->conf = c;
    response_body_changes(r);
    splice_init(&a->splice, filters_add(r, &addition_type, a));
}

/* ---- configuration ---- */

bool addition_is_on(const struct conf_scope *scope)
{
    const struct addition_conf *c = conf_get(scope, &addition_module);
    return c->before.n || c->after.n;
}

static int set_uri(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    struct str *uri = field;
    (void)conf, (void)scope, (void)row;
    *uri = conf_arg(node, 1);
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive addition_directives[] = {
    {.name = "add_before_body",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_uri,
     .offset = offsetof(struct addition_conf, before),
     .syntax = "URI | \"\"",
     .help = "Put what is there in front of the body."},
    {.name = "add_after_body",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_uri,
     .offset = offsetof(struct addition_conf, after),
     .syntax = "URI | \"\"",
     .help = "Put what is there behind the body."},
    {.name = "addition_types",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = type_set_set,
     .offset = offsetof(struct addition_conf, types),
     .syntax = "TYPE ... | *",
     .help = "Media types that get it, beside text/html."},
    {.name = NULL},
};

struct conf_module addition_module = {
    .name = "addition",
    .size = sizeof(struct addition_conf),
    .directives = addition_directives,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/types.h"

struct type {
    struct str text;
};

static struct map *new_map(struct conf *conf)
{
    struct map *m = arena_alloc(conf->arena, sizeof *m);
    map_init(m, conf->arena, true);
    return m;
}

/* The later of two wins, as in nginx, and says so. */
static void add_type(struct conf *conf, struct map *m, struct str extension,
                     struct str text)
{
    struct type *t = map_find(m, extension);
    if (t) {
        conf_warn(conf,
                  "duplicate extension \"%.*s\", content type: \"%.*s\", "
                  "previous content type: \"%.*s\"",
                  STR_ARG(extension), STR_ARG(text), STR_ARG(t->text));
        t->text = text;
        return;
    }
    t = arena_alloc(conf->arena, sizeof *t);
    t->text = text;
    map_add(m, extension, t);
}

static int set_types(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct types_conf *c = field;
    (void)row;

    if (c->owner != scope) {
        c->owner = scope;
        c->by_extension = new_map(conf);
    }
    const struct conf_node *line = NULL;
    int got;
    while ((got = conf_entry_next(conf, node, &line)) == 1)
        for (size_t i = 1; i < line->words_n; i++)
            add_type(conf, c->by_extension, conf_arg(line, i),
                     conf_arg(line, 0));
    return got;
}

static int types_on_scope(struct conf *conf, struct conf_scope *scope,
                          void *module_conf)
{
    struct types_conf *c = module_conf;
    if (scope->context != CONF_HTTP || c->by_extension)
        return 0;
    c->by_extension = new_map(conf);
    add_type(conf, c->by_extension, STR("html"), STR("text/html"));
    add_type(conf, c->by_extension, STR("gif"), STR("image/gif"));
    add_type(conf, c->by_extension, STR("jpg"), STR("image/jpeg"));
    return 0;
}

static void types_defaults(void *module_conf)
{
    struct types_conf *c = module_conf;
    c->default_type = STR("text/plain");
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive types_directives[] = {
    {.name = "types",
     .contexts = ANYWHERE,
     .arity = ARGS_0,
     /* No child scope: it must be there before the siblings that copy it. */
     .flags = CONF_BLOCK | CONF_REPEATABLE | CONF_DEFINES,
     .set = set_types,
     .default_text = "{ text/html html; image/gif gif; image/jpeg jpg; }",
     .help = "Media types and their file name extensions."},
    {.name = "default_type",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_str,
     .offset = offsetof(struct types_conf, default_type),
     .default_text = "text/plain",
     .help = "Media type of what has an unknown extension, or none."},
    {.name = "types_hash_max_size",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_IGNORED,
     .help = "Accepted; tables grow by themselves here."},
    {.name = "types_hash_bucket_size",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_IGNORED,
     .help = "Accepted; tables grow by themselves here."},
    {.name = NULL},
};

struct conf_module types_module = {
    .name = "types",
    .size = sizeof(struct types_conf),
    .defaults = types_defaults,
    .directives = types_directives,
    .on_scope = types_on_scope,
};

struct str types_extension(struct str uri)
{
    for (size_t i = uri.n; i-- > 1;) {
        if (uri.p[i] == '/')
            break;
        if (uri.p[i] == '.')
            return uri.p[i - 1] == '/' ? (struct str){NULL, 0}
                                       : str_slice(uri, i + 1, uri.n);
    }
    return (struct str){NULL, 0};
}

struct str types_find(const struct types_conf *c, struct str uri)
{
    struct str extension = types_extension(uri);
    const struct type *t =
        extension.n ? map_find(c->by_extension, extension) : NULL;
    return t ? t->text : c->default_type;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "blocks.h"

#include <unistd.h>

#include "base/check.h"
#include "serve/core.h"

/* The http{} scope's object: the servers in order of the file. */
struct http_block {
    struct server_block *first, **end;
};

static struct conf_scope *http_scope(struct conf *conf)
{
    for (struct conf_scope *s = conf->main->children; s; s = s->next)
        if (s->context == CONF_HTTP)
            return s;
    return NULL;
}

int block_http(struct conf *conf, struct conf_scope *scope,
               const struct directive *row, const struct conf_node *node,
               void *field)
{
    (void)row, (void)field;
    struct http_block *http = arena_calloc(conf->arena, sizeof *http);
    http->end = &http->first;
    return conf_block(conf, scope, CONF_HTTP, node, http, NULL);
}

int block_server(struct conf *conf, struct conf_scope *scope,
                 const struct directive *row, const struct conf_node *node,
                 void *field)
{
    (void)row, (void)field;
    struct http_block *http = scope->object;
    struct server_block *b = arena_calloc(conf->arena, sizeof *b);

    b->node = node;
    b->names_end = &b->names;
    b->listens_end = &b->listens;
    b->server.locations = locations_create(conf->arena);
    b->server.root = &b->root;
    b->root.server = &b->server;
    *http->end = b;
    http->end = &b->next;
    if (conf_block(conf, scope, CONF_SERVER, node, b, &b->server.scope) == -1)
        return -1;
    b->root.scope = b->server.scope;
    return 0;
}

int server_name_set(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)row, (void)field;
    struct server_block *b = scope->object;

    for (size_t i = 1; i < node->words_n; i++) {
        struct server_name *n = arena_calloc(conf->arena, sizeof *n);
        n->text = conf_arg(node, i);
        n->node = node;
        if (str_eq(n->text, STR("$hostname"))) {
            char host[256] = "";
            gethostname(host, sizeof host - 1);
            n->text = arena_str(conf->arena, str_c(host));
        }
        if (str_find(n->text, '/', 0) < n->text.n && n->text.p[0] != '~')
            conf_warn(conf, "server name \"%.*s\" has suspicious symbols",
                      STR_ARG(n->text));
        *b->names_end = n;
        b->names_end = &n->next;
    }
    return 0;
}

/* ---- location ---- */

static const struct {
    const char *sign;
    enum location_kind kind;
} location_signs[] = {
    {"=", LOCATION_EXACT},
    {"^~", LOCATION_PREFIX_ONLY},
    {"~", LOCATION_REGEX},
    {"~*", LOCATION_REGEX_NOCASE},
};

/* `location =/x` and `location ~x` may be written in one word. */
static bool split_sign(struct str word, enum location_kind *kind,
                       struct str *text)
{
    for (size_t i = COUNT(location_signs); i-- > 0;) {
        struct str sign = str_c(location_signs[i].sign);
        if (str_starts(word, sign)) {
            *kind = location_signs[i].kind;
            *text = str_slice(word, sign.n, word.n);
            return true;
        }
    }
    return false;
}

static int read_location_words(struct conf *conf, const struct conf_node *node,
                               struct location *l)
{
    struct str word = conf_arg(node, 1);

    if (node->words_n == 3) {
        struct str rest;
        if (!split_sign(word, &l->kind, &rest) || rest.n)
            return conf_fail(conf, "invalid location modifier \"%.*s\"",
                             STR_ARG(word));
        l->text = conf_arg(node, 2);
        return 0;
    }
    if (split_sign(word, &l->kind, &l->text))
        return 0;
    l->kind = word.n && word.p[0] == '@' ? LOCATION_NAMED : LOCATION_PREFIX;
    l->text = word;
    return 0;
}

static bool is_regex(enum location_kind kind)
{
    return kind == LOCATION_REGEX || kind == LOCATION_REGEX_NOCASE;
}

/* What may stand inside what, in nginx's words. */
static int check_nesting(struct conf *conf, const struct location *l,
                         const struct location *outer)
{
    if (outer->kind == LOCATION_EXACT)
        return conf_fail(conf,
                         "location \"%.*s\" cannot be inside the exact "
                         "location \"%.*s\"",
                         STR_ARG(l->text), STR_ARG(outer->text));
    if (outer->kind == LOCATION_NAMED)
        return conf_fail(conf,
                         "location \"%.*s\" cannot be inside the named "
                         "location \"%.*s\"",
                         STR_ARG(l->text), STR_ARG(outer->text));
    if (l->kind == LOCATION_NAMED)
        return conf_fail(conf,
                         "named location \"%.*s\" can be on the server "
                         "level only",
                         STR_ARG(l->text));
    if (!is_regex(l->kind) && !is_regex(outer->kind) &&
        !str_starts(l->text, outer->text))
        return conf_fail(conf, "location \"%.*s\" is outside location \"%.*s\"",
                         STR_ARG(l->text), STR_ARG(outer->text));
    return 0;
}

struct location *location_of_scope(const struct conf_scope *scope)
{
    switch (scope->context) {
    case CONF_SERVER:
    case CONF_SERVER_IF:
        while (scope->context != CONF_SERVER)
            scope = scope->parent;
        return &((struct server_block *)scope->object)->root;
    case CONF_LOCATION:
    case CONF_LOCATION_IF:
    case CONF_LIMIT_EXCEPT:
        return scope->object;
    case CONF_MAIN:
    case CONF_EVENTS:
    case CONF_HTTP:
    case CONF_UPSTREAM:
    case CONF_BACKEND:
        break;
    }
    return NULL;
}

int block_location(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    (void)row, (void)field;
    struct location_block *b = arena_calloc(conf->arena, sizeof *b);
    struct location *l = &b->location;
    struct conf_scope *server_scope = scope;

    if (read_location_words(conf, node, l) == -1)
        return -1;
    while (server_scope->context != CONF_SERVER)
        server_scope = server_scope->parent;
    l->server = &((struct server_block *)server_scope->object)->server;
    b->nested = locations_create(conf->arena);

    struct locations *into = l->server->locations;
    if (scope->context == CONF_LOCATION) {
        struct location_block *outer = scope->object;
        if (check_nesting(conf, l, &outer->location) == -1)
            return -1;
        l->parent = &outer->location;
        into = outer->nested;
    }
    if (locations_add(into, conf->variables, l->kind, l->text, l, b->nested,
                      conf->err) == -1)
        return -1;
    return conf_block(conf, scope, CONF_LOCATION, node, l, &l->scope);
}

/* ---- the end ---- */

int blocks_on_end(struct conf *conf)
{
    struct conf_scope *scope = http_scope(conf);
    if (!scope)
        return 0;
    struct http_block *http = scope->object;
    return listens_on_end(conf, http->first);
}

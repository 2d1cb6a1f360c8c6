/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/referer.h"

#include "base/check.h"
#include "blocks.h"
#include "route/hosts.h"
#include "serve/request.h"

enum {
    HOST_MAX = 256, /* bytes of a host that is looked up, as in nginx */
    URL_MIN = 11,   /* bytes of "http://i.ru"; less is no URL, as there */
};

/* What a host must go on with; path n 0: anything. */
struct referer {
    struct str path;
};

struct referer_regex {
    struct regex *regex;
    struct referer_regex *next;
};

struct referer_conf {
    const struct conf_scope *owner;       /* who said valid_referers */
    struct hosts *hosts;                  /* NULL: nobody did */
    struct referer_regex *regexes;        /* on what follows "http://" */
    struct referer_regex *server_regexes; /* on the host */
    bool none, blocked, server_names, some;
};

/* ---- at run time ---- */

static bool match_one(const struct referer_regex *list, struct str subject)
{
    for (; list; list = list->next)
        if (regex_match(list->regex, subject, NULL))
            return true;
    return false;
}

static struct str lower(struct arena *arena, struct str s)
{
    char *copy = arena_cstr(arena, s);
    for (size_t i = 0; i < s.n; i++)
        copy[i] = ascii_lower(copy[i]);
    return str_n(copy, s.n);
}

static bool is_valid(const struct request *r, const struct referer_conf *c)
{
    struct str url = http_head_find(&r->head, STR("Referer"));

    if (!url.p)
        return c->none;
    size_t scheme = str_starts_nocase(url, STR("http://"))    ? 7
                    : str_starts_nocase(url, STR("https://")) ? 8
                                                              : 0;
    if (!scheme || url.n < URL_MIN)
        return c->blocked;
    struct str rest = str_slice(url, scheme, url.n);
    size_t slash = str_find(rest, '/', 0);
    struct str host = str_slice(rest, 0, slash);
    host = str_slice(host, 0, str_find(host, ':', 0));
    if (!host.n || host.n > HOST_MAX)
        return false;
    host = lower(r->arena, host);
    const struct referer *found = hosts_find(c->hosts, host);
    if (found && (!found->path.n ||
                  str_starts(str_slice(rest, slash, rest.n), found->path)))
        return true;
    if (found)
        return false;
    return match_one(c->server_regexes, host) ||
           match_one(c->regexes, lower(r->arena, rest));
}

static bool get_invalid(struct evaluation *e, const struct variable *v,
                        struct str *out)
{
    const struct referer_conf *c = request_conf(e->request, &referer_module);
    (void)v;
    *out = !c->hosts || is_valid(e->request, c) ? STR("") : STR("1");
    return true;
}

const struct variable referer_variables[] = {
    {.name = "invalid_referer", .get = get_invalid},
    {.name = NULL},
};

/* ---- configuration ---- */

static int add_regex(struct conf *conf, struct referer_regex **list,
                     struct str pattern)
{
    struct referer_regex *item = arena_calloc(conf->arena, sizeof *item);
    item->regex = regex_compile(conf->arena, pattern, true, conf->err);
    if (!item->regex)
        return -1;
    while (*list)
        list = &(*list)->next;
    *list = item;
    return 0;
}

static int add_host(struct conf *conf, struct referer_conf *c, struct str text)
{
    struct referer *item = arena_calloc(conf->arena, sizeof *item);
    size_t slash = str_find(text, '/', 0);
    struct str host = lower(conf->arena, str_slice(text, 0, slash));

    item->path = str_slice(text, slash, text.n);
    switch (hosts_add(c->hosts, host, item)) {
    case HOSTS_ADDED:
        return 0;
    case HOSTS_TAKEN:
        return conf_fail(conf, "conflicting parameter \"%.*s\"", STR_ARG(text));
    case HOSTS_INVALID:
        break;
    }
    return conf_fail(conf, "invalid hostname or wildcard \"%.*s\"",
                     STR_ARG(text));
}

static int add_word(struct conf *conf, struct referer_conf *c, struct str word)
{
    bool odd = str_eq(word, STR("none")) || str_eq(word, STR("blocked"));
    c->some = c->some || !odd;
    if (str_eq(word, STR("none")))
        c->none = true;
    else if (str_eq(word, STR("blocked")))
        c->blocked = true;
    else if (str_eq(word, STR("server_names")))
        c->server_names = true;
    else if (str_starts(word, STR("~")))
        return word.n > 1
                   ? add_regex(conf, &c->regexes, str_slice(word, 1, word.n))
                   : conf_fail(conf, "empty regex in \"%.*s\"", STR_ARG(word));
    else if (str_starts_nocase(word, STR("http://")))
        return conf_fail(conf,
                         "a referer \"%.*s\" is written without its "
                         "scheme",
                         STR_ARG(word));
    else
        return add_host(conf, c, word);
    return 0;
}

static int set_valid(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct referer_conf *c = field;
    (void)row;

    if (c->owner != scope) {
        *c = (struct referer_conf){.owner = scope};
        c->hosts = arena_alloc(conf->arena, sizeof *c->hosts);
        hosts_init(c->hosts, conf->arena);
    }
    for (size_t i = 1; i < node->words_n; i++)
        if (add_word(conf, c, conf_arg(node, i)) == -1)
            return -1;
    return 0;
}

/* The server's names are known when its own directives were read. */
static int add_server_names(struct conf *conf, struct conf_scope *scope,
                            void *module_conf)
{
    struct referer_conf *c = module_conf;
    const struct conf_scope *server = scope;

    if (c->owner != scope)
        return 0;
    if ((c->none || c->blocked) && !c->some)
        return conf_fail_at(conf, scope->node,
                            "the \"none\" or \"blocked\" referers are "
                            "specified in the \"valid_referers\" directive "
                            "without any valid referer");
    if (!c->server_names)
        return 0;
    while (server && server->context != CONF_SERVER)
        server = server->parent;
    if (!server)
        return 0;
    const struct server_block *b = server->object;
    for (const struct server_name *n = b->names; n; n = n->next) {
        struct referer *item = arena_calloc(conf->arena, sizeof *item);
        if (n->text.n && n->text.p[0] == '~') {
            if (add_regex(conf, &c->server_regexes,
                          str_slice(n->text, 1, n->text.n)) == -1)
                return -1;
        } else if (n->text.n) {
            hosts_add(c->hosts, lower(conf->arena, n->text), item);
        }
    }
    return 0;
}

static const struct directive directives[] = {
    {.name = "valid_referers",
     .contexts = CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_valid,
     .syntax = "none | blocked | server_names | HOST[/PATH] | ~REGEX ...",
     .help = "With other Referer fields $invalid_referer is 1."},
    {.name = "referer_hash_max_size",
     .contexts = CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1,
     .flags = CONF_IGNORED,
     .help = "Tables grow as they need."},
    {.name = "referer_hash_bucket_size",
     .contexts = CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1,
     .flags = CONF_IGNORED,
     .help = "Tables grow as they need."},
    {.name = NULL},
};

struct conf_module referer_module = {
    .name = "referer",
    .size = sizeof(struct referer_conf),
    .directives = directives,
    .on_scope = add_server_names,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/sticky.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/shm_dict.h"
#include "http/head.h"
#include "peers/peers.h"
#include "proxy/proxy_parts.h"
#include "serve/fields.h"
#include "serve/zone.h"

enum {
    KEY_MAX = 255,    /* bytes of a session's name */
    EXPIRED_MAX = 2,  /* old sessions that go when a new one comes */
    LEARN_S = 10 * 60 /* timeout */
};

enum sticky_kind { STICKY_COOKIE = 1, STICKY_ROUTE, STICKY_LEARN };

struct sticky {
    enum sticky_kind kind;
    struct sticky_cookie cookie;
    struct value **routes; /* of route; of learn: lookup */
    size_t routes_n;
    struct value **creates;
    size_t creates_n;
    struct zone *zone;
    uint64_t timeout_ms;
};

/* ---- sessions that were learnt ---- */

struct session {
    uint64_t used_ms;
    size_t id_n;
    char id[];
};

static const struct zone_kind sticky_zone_kind = {.name = "sticky"};

static struct shm_dict *sessions_of(struct shm *s)
{
    struct shm_dict *d = shm_at(s, shm_root(s));
    if (!d && (d = shm_dict_create(s)))
        shm_set_root(s, shm_ref_of(s, d));
    return d;
}

static bool is_over(const struct sticky *c, const struct session *e)
{
    return clock_now_ms() - e->used_ms > c->timeout_ms;
}

/* The peer's id, in the arena; p NULL: no such session. */
static struct str recall(const struct sticky *c, struct arena *arena,
                         struct str key)
{
    struct shm *s = c->zone->memory;
    struct str id = {NULL, 0};

    shm_lock(s);
    struct shm_dict *d = sessions_of(s);
    struct session *e = d ? shm_dict_find(s, d, key) : NULL;
    if (e && !is_over(c, e)) {
        e->used_ms = clock_now_ms();
        shm_dict_touch(s, d, e);
        id = arena_str(arena, str_n(e->id, e->id_n));
    }
    shm_unlock(s);
    return id;
}

static void forget_old(const struct sticky *c, struct shm *s,
                       struct shm_dict *d)
{
    for (int i = 0; i < EXPIRED_MAX; i++) {
        struct session *e = shm_dict_oldest(s, d);
        if (!e || !is_over(c, e))
            return;
        shm_dict_remove(s, d, e);
    }
}

static void learn_locked(const struct sticky *c, struct shm *s, struct str key,
                         struct str id)
{
    struct shm_dict *d = sessions_of(s);
    struct session *e;

    if (!d)
        return;
    forget_old(c, s, d);
    if ((e = shm_dict_find(s, d, key)))
        shm_dict_remove(s, d, e);
    while (!(e = shm_dict_add(s, d, key, sizeof *e + id.n))) {
        struct session *oldest = shm_dict_oldest(s, d);
        if (!oldest)
            return;
        shm_dict_remove(s, d, oldest);
    }
    e->used_ms = clock_now_ms();
    e->id_n = id.n;
    memcpy(e->id, id.p, id.n);
}

static void learn(const struct sticky *c, struct str key, struct str id)
{
    if (!key.n || key.n > KEY_MAX)
        return;
    shm_lock(c->zone->memory);
    learn_locked(c, c->zone->memory, key, id);
    shm_unlock(c->zone->memory);
}

/* ---- a request ---- */

static struct str find_cookie(const struct request *r, struct str name)
{
    struct str value;
    for (size_t i = 0; i < r->head.fields_n; i++)
        if (str_eq_nocase(r->head.fields[i].name, STR("Cookie")) &&
            fields_find_cookie(r->head.fields[i].value, name, &value))
            return value;
    return str_n(NULL, 0);
}

static struct str first_value(struct value *const *values, size_t n,
                              struct evaluation *e)
{
    for (size_t i = 0; i < n; i++) {
        struct str text = value_eval(values[i], e);
        if (text.n)
            return text;
    }
    return str_n(NULL, 0);
}

/* What the request says of where it belongs; *said: it said something. */
static struct str id_of(const struct sticky *c, struct request *r, bool *said)
{
    struct str text = c->kind == STICKY_COOKIE
                          ? find_cookie(r, c->cookie.name)
                          : first_value(c->routes, c->routes_n, &r->eval);

    *said = text.n > 0;
    if (c->kind == STICKY_LEARN && *said)
        return text.n > KEY_MAX ? str_n(NULL, 0) : recall(c, r->arena, text);
    return text;
}

struct peer *sticky_pick(struct proxy *p)
{
    const struct sticky *c = p->upstream->sticky;
    struct balance *b = &p->upstream->balance;
    bool said;

    p->sticky_id = id_of(c, p->request, &said);
    struct peer *wanted = sticky_find(b, p->sticky_id);
    struct peer *got = wanted ? balance_pick_this(b, &p->ask, wanted) : NULL;
    p->trace->sticky = !said ? "NEW" : got ? "HIT" : "MISS";
    return got;
}

void sticky_on_head(struct proxy *p)
{
    const struct sticky *c = p->upstream->sticky;
    const struct peer *peer = p->conn->peer;
    struct request *r = p->request;

    switch (c->kind) {
    case STICKY_COOKIE:
        if (!str_eq(p->sticky_id, peer->route))
            response_add(r, STR("Set-Cookie"),
                         sticky_cookie_text(&c->cookie, &r->eval,
                                            arena_str(r->arena, peer->route)));
        break;
    case STICKY_LEARN:
        learn(c, first_value(c->creates, c->creates_n, &r->eval), peer->route);
        break;
    case STICKY_ROUTE:
        break;
    }
}

/* ---- the directive ---- */

static int add_value(struct conf *conf, struct str text, struct value ***list,
                     size_t *n)
{
    struct value **longer = arena_alloc(conf->arena, (*n + 1) * sizeof *longer);

    if (!text.n || text.p[0] != '$')
        return conf_fail(conf, "invalid variable name \"%.*s\"", STR_ARG(text));
    if (*n)
        memcpy(longer, *list, *n * sizeof *longer);
    *list = longer;
    longer[*n] = value_compile(conf, conf->variables, text);
    return longer[(*n)++] ? 0 : -1;
}

static int read_learn_word(struct conf *conf, struct str word, struct sticky *c)
{
    struct str value = word;
    struct str name = str_cut(&value, '=');

    if (str_eq(name, STR("create")))
        return add_value(conf, value, &c->creates, &c->creates_n);
    if (str_eq(name, STR("lookup")))
        return add_value(conf, value, &c->routes, &c->routes_n);
    if (str_eq(name, STR("timeout")) && conf_parse_ms(value, &c->timeout_ms) &&
        c->timeout_ms)
        return 0;
    if (str_eq(name, STR("zone"))) {
        c->zone = zone_declare_text(conf, value, word, &sticky_zone_kind);
        return c->zone ? 0 : -1;
    }
    if (str_eq(word, STR("header")))
        return 0; /* sessions are always learnt from the response's head */
    if (str_eq(word, STR("sync")))
        return conf_fail(conf, "the \"sync\" parameter of \"sticky learn\" is "
                               "not supported");
    return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
}

static int read_learn(struct conf *conf, const struct conf_node *node,
                      struct sticky *c)
{
    c->timeout_ms = LEARN_S * 1000;
    for (size_t i = 2; i < node->words_n; i++)
        if (read_learn_word(conf, conf_arg(node, i), c) == -1)
            return -1;
    if (c->zone && c->creates_n && c->routes_n)
        return 0;
    return conf_fail(conf, "\"sticky learn\" needs %s",
                     !c->creates_n  ? "create="
                     : !c->routes_n ? "lookup="
                                    : "zone=NAME:SIZE");
}

static int set_sticky(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct upstream *u = upstream_of_scope(scope);
    struct sticky *c = arena_calloc(conf->arena, sizeof *c);
    struct str kind = conf_arg(node, 1);
    (void)row, (void)field;

    u->sticky = c;
    if (str_eq(kind, STR("cookie"))) {
        c->kind = STICKY_COOKIE;
        return sticky_cookie_read(conf, node, 2, &c->cookie);
    }
    if (str_eq(kind, STR("learn"))) {
        c->kind = STICKY_LEARN;
        return read_learn(conf, node, c);
    }
    if (!str_eq(kind, STR("route")))
        return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(kind));
    c->kind = STICKY_ROUTE;
    for (size_t i = 2; i < node->words_n; i++)
        if (add_value(conf, conf_arg(node, i), &c->routes, &c->routes_n) == -1)
            return -1;
    return 0;
}

static const struct directive sticky_directives[] = {
    {.name = "sticky",
     .syntax = "cookie NAME [expires=TIME] [domain=DOMAIN] [httponly] "
               "[samesite=VALUE] [secure] [path=PATH] | route $VARIABLE ... | "
               "learn create=$VARIABLE lookup=$VARIABLE zone=NAME:SIZE "
               "[timeout=TIME]",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_2_MORE,
     .set = set_sticky,
     .help = "Who was served by one server comes back to it: by a cookie of "
             "ours, by a server's route= in a variable, or by what a response "
             "called the session."},
    {.name = NULL},
};

struct conf_module upstream_sticky_module = {
    .name = "upstream_sticky",
    .directives = sticky_directives,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server NAME resolve: addresses that change while requests are served.
 *
 * Each such server has places for as many peers as an answer can have
 * addresses.  An address that goes leaves its place vacant: requests that are
 * under way there end in peace, and the place is taken again after them.
 */
#include "base/check.h"
#include "base/clock.h"
#include "peers/health.h"
#include "peers/peers.h"
#include "serve/resolving.h"
#include "serve/sticky.h"

enum {
    PLACES = 64, /* addresses of one name */
    RETRY_MS = 5000,
    TTL_MIN_MS = 1000,
};

struct place {
    struct address address;
    char text[ADDRESS_TEXT_MAX];
    char id[STICKY_ID_SIZE];
};

struct server_name {
    struct upstream *upstream;
    struct str host, server; /* "app.example", "app.example:8080" */
    uint16_t port;
    size_t first; /* of the upstream's peers */
    struct place *places;
    struct loop *loop;
    struct resolver_wait wait;
    struct timer timer;
    bool answered;
    bool route_said; /* route=, for all of its addresses */
    struct server_name *next;
};

static void ask(struct server_name *s);

/* ---- places ---- */

static struct peer *peer_at(struct server_name *s, size_t i)
{
    return &s->upstream->balance.peers[s->first + i];
}

static void vacate(struct server_name *s, size_t i)
{
    struct peer *p = peer_at(s, i);

    p->vacant = true;
    LIST_EACH(link, after, &s->upstream->idle)
    {
        struct upstream_conn *c = CONTAINER(link, struct upstream_conn, link);
        if (c->peer == p)
            upstream_conn_close(c);
    }
}

static void occupy(struct server_name *s, size_t i, const struct address *a)
{
    struct peer *p = peer_at(s, i);
    struct place *place = &s->places[i];
    char text[ADDRESS_TEXT_MAX];

    place->address = *a;
    struct str name = address_text(a, text);
    memcpy(place->text, name.p, name.n);
    p->name = str_n(place->text, name.n);
    p->vacant = false;
    if (!s->route_said)
        sticky_identify(p, place->id);
    p->own = (struct peer_state){0};
    p->state = &p->own;
    p->in_zone = false;
    /* The first answer is a start, what comes later is a newcomer. */
    if (s->answered && p->slow_start_ms)
        p->own.since_ms = clock_now_ms();
}

static bool has_address(const struct address *list, size_t n,
                        const struct address *a)
{
    for (size_t i = 0; i < n; i++)
        if (address_eq(&list[i], a))
            return true;
    return false;
}

/* The place that has the address, or one that is free; PLACES: none. */
static size_t place_for(struct server_name *s, const struct address *a)
{
    size_t found = PLACES;

    for (size_t i = 0; i < PLACES; i++) {
        const struct peer *p = peer_at(s, i);
        if (p->name.n && address_eq(&s->places[i].address, a))
            return i;
        if (found == PLACES && p->vacant && !p->users)
            found = i;
    }
    return found;
}

/* With a mandatory health_check they wait for its verdict. */
static void check_newcomers(struct server_name *s)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct peer *p = peer_at(s, i);
        if (!p->vacant && p->state->health == PEER_UNCHECKED)
            balance_set_health(&s->upstream->balance, p, PEER_CHECKING);
    }
}

static void use(struct server_name *s, const struct address *found, size_t n)
{
    struct address wanted[PLACES];
    struct upstream *u = s->upstream;
    bool changed = false;

    if (n > PLACES)
        n = PLACES;
    for (size_t i = 0; i < n; i++) {
        wanted[i] = found[i];
        address_set_port(&wanted[i], s->port);
    }
    for (size_t i = 0; i < PLACES; i++) {
        if (peer_at(s, i)->vacant ||
            has_address(wanted, n, &s->places[i].address))
            continue;
        vacate(s, i);
        changed = true;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = place_for(s, &wanted[i]);
        if (at == PLACES || !peer_at(s, at)->vacant)
            continue;
        if (peer_at(s, at)->users)
            peer_at(s, at)->vacant = false; /* it is back already */
        else
            occupy(s, at, &wanted[i]);
        changed = true;
    }
    s->answered = true;
    if (!changed)
        return;
    balance_init(&u->balance, NULL);
    if (u->zone)
        shared_use(u);
    if (u->check && u->check->mandatory)
        check_newcomers(s);
}

/* ---- asking, for ever ---- */

static void log_failure(const struct server_name *s, unsigned code,
                        const char *why)
{
    log_err(&log_process,
            "%.*s could not be resolved (%u: %s), in upstream "
            "\"%.*s\"",
            STR_ARG(s->host), code, why, STR_ARG(s->upstream->name));
}

static void ask_later(struct server_name *s, uint64_t wait_ms)
{
    timer_set(s->loop, &s->timer, wait_ms);
}

static void on_answer(struct resolver_wait *w, const struct resolver_answer *a)
{
    struct server_name *s = CONTAINER(w, struct server_name, wait);
    const struct resolving *c = s->upstream->resolving;
    uint64_t least_ms = c->resolver->setup.valid_ms;

    if (a->n) {
        use(s, a->addresses, a->n);
        if (!least_ms)
            least_ms = TTL_MIN_MS;
        ask_later(s, a->fresh_ms > least_ms ? a->fresh_ms : least_ms);
        return;
    }
    log_failure(s, a->code, a->error);
    /* That there is no such name is an answer; silence is none. */
    if (a->code == RESOLVE_FORMAT_ERROR || a->code == RESOLVE_NO_SUCH_NAME)
        use(s, NULL, 0);
    ask_later(s, c->timeout_ms < RETRY_MS ? c->timeout_ms : RETRY_MS);
}

static void on_timer(struct timer *timer)
{
    ask(CONTAINER(timer, struct server_name, timer));
}

static void ask(struct server_name *s)
{
    const struct resolving *c = s->upstream->resolving;
    struct resolver *r = resolving_start(c, s->loop, &log_process);

    s->wait.done = on_answer;
    if (r && resolver_ask(r, &s->wait, s->host, c->timeout_ms))
        return;
    log_failure(s, RESOLVE_FORMAT_ERROR, "Format error");
    ask_later(s, RETRY_MS);
}

/* What the generation before knew is used until there is an answer. */
static void inherit(struct server_name *s, const struct upstream *old)
{
    struct address known[PLACES];
    size_t n = 0;
    struct server_name *before = old ? old->names : NULL;

    while (before && !str_eq(before->server, s->server))
        before = before->next;
    for (size_t i = 0; before && i < PLACES; i++)
        if (!peer_at(before, i)->vacant)
            known[n++] = before->places[i].address;
    if (n)
        use(s, known, n);
}

void resolved_start(struct upstream *u, struct loop *loop,
                    const struct upstream *old)
{
    for (struct server_name *s = u->names; s; s = s->next) {
        s->loop = loop;
        timer_init(&s->timer, on_timer);
        inherit(s, old);
        ask(s);
    }
}

void resolved_stop(struct upstream *u)
{
    for (struct server_name *s = u->names; s; s = s->next) {
        resolver_cancel(&s->wait);
        timer_clear(&s->timer);
    }
}

bool resolved_wait(const struct upstream *u, struct resolver_wait *w)
{
    struct server_name *pending = NULL;

    for (size_t i = 0; i < u->balance.peers_n; i++)
        if (!u->balance.peers[i].vacant)
            return false;
    for (struct server_name *s = u->names; s; s = s->next)
        if (!s->answered && list_is_linked(&s->wait.link))
            pending = s;
    /* Behind the name's own wait: the places are taken when w is told. */
    return pending && resolver_ask(pending->wait.resolver, w, pending->host,
                                   u->resolving->timeout_ms);
}

/* ---- at load ---- */

void resolved_add(struct conf *conf, struct upstream_block *b,
                  struct str server, struct str host, uint16_t port,
                  const struct peer *model)
{
    struct server_name *s = arena_calloc(conf->arena, sizeof *s);
    struct peer vacant = *model;
    static const struct address nowhere;

    *s = (struct server_name){
        .upstream = b->upstream,
        .host = host,
        .server = server,
        .port = port,
        .first = b->peers.n,
        .route_said = model->route.p != NULL,
        .places = arena_calloc(conf->arena, PLACES * sizeof *s->places),
        .next = b->upstream->names,
    };
    vacant.vacant = vacant.changes = true;
    vacant.server = server;
    if (!vacant.route.p)
        vacant.route = STR(""); /* nobody's */
    for (size_t i = 0; i < PLACES; i++) {
        struct peer *p = peers_add_address(conf, &b->peers, &vacant, &nowhere);
        p->name = str_n(NULL, 0);
        p->object = &s->places[i].address;
    }
    b->upstream->names = s;
}

int resolved_check(struct conf *conf, const struct upstream_block *b)
{
    if (!b->upstream->names || b->upstream->resolving->resolver)
        return 0;
    return conf_fail(conf,
                     "no resolver defined to resolve names at run time "
                     "in upstream \"%.*s\"",
                     STR_ARG(b->upstream->name));
}

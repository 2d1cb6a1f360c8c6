/* SPDX-License-Identifier: BSD-2-Clause */
#include "offer.h"

#include "base/check.h"
#include "base/clock.h"
#include "bridge/session.h"
#include "bridge/upgrade.h"
#include "claim.h"
#include "serve/fields.h"

#define RETRY_AFTER "5" /* seconds, to who finds no room */

/* ---- what the request brings ---- */

static struct str find_cookie(const struct request *r, struct str name)
{
    struct str value;
    for (size_t i = 0; i < r->head.fields_n; i++)
        if (str_eq_nocase(r->head.fields[i].name, STR("Cookie")) &&
            fields_find_cookie(r->head.fields[i].value, name, &value))
            return value;
    return str_n(NULL, 0);
}

static struct peer *claimant(const struct offer *o, struct str key)
{
    struct link *l = claim_find(o->pool, key);
    int i = l ? l->backend->index : -1;
    return i >= 0 ? &o->pool->balance.peers[i] : NULL;
}

static void bring(struct offer *o)
{
    const struct pool_settings *set = &o->pool->conf->set;
    struct request *r = o->request;

    if (set->method->needs & BALANCE_NEEDS_KEY)
        o->ask.key = value_eval(set->hash_key, &r->eval);
    if (set->method->needs & BALANCE_NEEDS_ADDRESS)
        o->ask.address = request_remote(r);
    if (set->claim_key)
        o->wanted = claimant(o, value_eval(set->claim_key, &r->eval));
    if (set->cookie && !o->wanted)
        o->wanted =
            sticky_find(&o->pool->balance, find_cookie(r, set->cookie->name));
}

struct str offer_cookie(struct request *r, const struct backend *b)
{
    const struct sticky_cookie *c = b->pool->conf->set.cookie;
    struct str id = str_n(b->id, STICKY_ID_SIZE);

    if (!c || str_eq(find_cookie(r, c->name), id))
        return str_n(NULL, 0);
    return sticky_cookie_text(c, &r->eval, id);
}

/* ---- room ---- */

/* NULL: the request is no handshake. */
static struct session *session_of(const struct request *r)
{
    return r->handler == &websocket_handler ? r->handler_state : NULL;
}

static bool has_room(const struct pool *p, const struct request *r)
{
    const struct session *s = session_of(r);

    /* One that is offered again is counted already. */
    return !p->conf->set.max_clients || p->clients < p->conf->set.max_clients ||
           (s && s->cid);
}

/* Only for another of its kind: a request ends by itself soon. */
static bool make_room(struct pool *p, const struct request *r)
{
    if (!p->conf->set.evict_oldest || !session_of(r) ||
        list_is_empty(&p->sessions))
        return false;
    p->counters.evicted++;
    session_fail(CONTAINER(p->sessions.next, struct session, in_pool),
                 ENDING_EVICTED);
    return true;
}

/* ---- who is asked ---- */

static struct peer *pick(struct offer *o)
{
    struct balance *b = &o->pool->balance;
    struct peer *wanted = o->wanted;

    o->wanted = NULL;
    o->peer = wanted ? balance_pick_this(b, &o->ask, wanted) : NULL;
    if (!o->peer)
        o->peer = balance_pick(b, &o->ask);
    return o->peer;
}

bool offer_begin(struct offer *o, struct request *r, struct str pool,
                 struct str app)
{
    struct pool *p = pool_find(pool);

    *o = (struct offer){.request = r,
                        .pool = p,
                        .app = app,
                        .origin = http_head_find(&r->head, STR("Origin")),
                        .status = 503};
    if (bridge.draining)
        return false;
    if (!p || p->retired) {
        log_err(&r->log, "backend \"%.*s\" is not running", STR_ARG(pool));
        return false;
    }
    if (!has_room(p, r) && !make_room(p, r)) {
        log_err(&r->log, "backend \"%.*s\" has %zu clients already",
                STR_ARG(p->name), p->clients);
        p->counters.refused++;
        response_add(r, STR("Retry-After"), STR(RETRY_AFTER));
        return false;
    }
    o->ask.tried = arena_calloc(r->arena, p->balance.peers_n);
    o->ask.now_ms = clock_now_ms();
    bring(o);
    return true;
}

void offer_declined(struct offer *o, unsigned status)
{
    balance_release(&o->pool->balance, o->peer, o->ask.now_ms);
    o->declined = true;
    o->status = status;
}

struct link *offer_next(struct offer *o, struct app **app)
{
    struct request *r = o->request;
    struct pool *p = o->pool;
    unsigned status;

    while (pick(o)) {
        struct link *l = ((struct backend *)o->peer->object)->link;
        struct app_ask ask = {
            .name = o->app,
            .host = r->host,
            .path = r->uri,
            .origin = o->origin,
            .version = o->version,
        };
        *app = link_find_app(l, &ask, &status);
        if (!status && (l->features & o->features) != o->features)
            status = 501;
        if (!status &&
            stream_queued(l->stream) > l->window_in + LINK_QUEUE_SOFT)
            status = 503;
        if (!status)
            return l;
        offer_declined(o, status);
    }
    if (o->declined && o->status == 503)
        response_add(r, STR("Retry-After"), STR(RETRY_AFTER));
    if (!o->declined)
        log_err(&r->log, "no live backend in \"%.*s\"", STR_ARG(p->name));
    else
        log_info(&r->log, "no backend in \"%.*s\" takes the request (%u)",
                 STR_ARG(p->name), o->status);
    return NULL;
}

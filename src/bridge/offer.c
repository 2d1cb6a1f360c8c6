/* SPDX-License-Identifier: BSD-2-Clause */
#include "offer.h"

#include "base/check.h"
#include "base/clock.h"

bool offer_begin(struct offer *o, struct request *r, struct str pool,
                 struct str app)
{
    struct pool *p = pool_find(pool);

    *o = (struct offer){.request = r,
                        .pool = p,
                        .app = app,
                        .origin = http_head_find(&r->head, STR("Origin")),
                        .status = 502};
    if (bridge.draining) {
        o->status = 503;
        return false;
    }
    if (!p || p->retired) {
        log_err(&r->log, "backend \"%.*s\" is not running", STR_ARG(pool));
        return false;
    }
    if (p->conf->set.max_clients && p->clients >= p->conf->set.max_clients) {
        log_err(&r->log, "backend \"%.*s\" has %zu clients already",
                STR_ARG(p->name), p->clients);
        o->status = 503;
        return false;
    }
    o->ask.tried = arena_calloc(r->arena, p->balance.peers_n);
    o->ask.now_ms = clock_now_ms();
    return true;
}

void offer_declined(struct offer *o, unsigned status)
{
    balance_release(&o->pool->balance, o->peer, o->ask.now_ms);
    o->status = status;
}

struct link *offer_next(struct offer *o, struct app **app)
{
    struct request *r = o->request;
    struct pool *p = o->pool;
    unsigned status;

    while ((o->peer = balance_pick(&p->balance, &o->ask))) {
        struct link *l = ((struct backend *)o->peer->object)->link;
        *app = link_find_app(l, o->app, r->host, r->uri, o->origin, o->version,
                             &status);
        if (!status && (l->features & o->features) != o->features)
            status = 501;
        if (!status &&
            stream_queued(l->stream) > l->window_in + LINK_QUEUE_SOFT)
            status = 503;
        if (!status)
            return l;
        offer_declined(o, status);
    }
    if (o->status == 502)
        log_err(&r->log, "no live backend in \"%.*s\"", STR_ARG(p->name));
    else
        log_info(&r->log, "no backend in \"%.*s\" takes the request (%u)",
                 STR_ARG(p->name), o->status);
    return NULL;
}

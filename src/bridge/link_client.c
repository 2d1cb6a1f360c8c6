/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "bridge/exchange.h"
#include "bridge/session.h"

bool link_client_bind(struct link_client *c, struct link *l, struct app *app)
{
    if (!c->cid) {
        c->cid = slots_take(&bridge.slots, c);
        if (!c->cid)
            return false;
        c->pool = l->backend->pool;
        c->pool->clients++;
        if (c->kind == LINK_SESSION)
            c->pool->counters.sessions++;
        else
            c->pool->counters.exchanges++;
    }
    c->link = l;
    c->app = app;
    list_push_back(c->kind == LINK_SESSION ? &l->sessions : &l->exchanges,
                   &c->on_link);
    l->clients_n++;
    if (app)
        app->clients++;
    return true;
}

void link_client_settle(struct link_client *c)
{
    struct link *l = c->link;

    l->outstanding_in -= c->outstanding_in;
    l->outstanding_out -= c->outstanding_out;
    c->outstanding_in = c->outstanding_out = c->flushed_out = 0;
    list_remove(&c->owing);
    list_remove(&c->starved);
    if (l->state != LINK_CLOSED)
        link_wake_starved(l);
}

void link_client_leave(struct link_client *c)
{
    struct link *l = c->link;
    struct backend *b = l->backend;

    link_client_settle(c);
    list_remove(&c->on_link);
    l->clients_n--;
    if (c->app)
        c->app->clients--;
    if (b->index >= 0)
        balance_release(&b->pool->balance, &b->pool->balance.peers[b->index],
                        0);
    c->link = NULL;
    c->app = NULL;
    link_client_gone(l);
}

void link_client_release(struct link_client *c)
{
    struct pool *p = c->pool;

    if (!c->cid)
        return;
    slots_give(&bridge.slots, c->cid);
    c->cid = 0;
    c->pool = NULL;
    p->clients--;
    pool_destroy_if_done(p);
}

void link_client_unbind(struct link_client *c)
{
    link_client_leave(c);
    link_client_release(c);
}

struct link_client *link_client_find(struct link *l, uint64_t cid)
{
    struct link_client *c = slots_find(&bridge.slots, cid);
    return c && c->link == l ? c : NULL;
}

void link_client_wake(struct link_client *c)
{
    if (c->kind == LINK_SESSION)
        session_wake((struct session *)c);
    else
        exchange_wake((struct exchange *)c);
}

void link_client_lost(struct link_client *c)
{
    if (c->kind == LINK_SESSION)
        session_lost((struct session *)c);
    else
        exchange_lost((struct exchange *)c);
}

int link_client_acked(struct link_client *c, uint32_t bytes, uint32_t seq)
{
    struct session *s = c->kind == LINK_SESSION ? (struct session *)c : NULL;

    /* An ACK that crossed CLOSED returns what CLOSED has returned already. */
    if (s && session_is_over(s))
        bytes = 0;
    if (bytes > c->outstanding_in)
        return -SLUICE_ERROR_PROTOCOL;
    c->outstanding_in -= bytes;
    c->link->outstanding_in -= bytes;
    if (s && s->at_least_once)
        return session_acked(s, seq);
    if (c->kind == LINK_EXCHANGE)
        exchange_acked((struct exchange *)c);
    if (bytes)
        link_client_wake(c);
    return 0;
}

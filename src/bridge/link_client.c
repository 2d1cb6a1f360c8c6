/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "bridge/exchange.h"
#include "bridge/session.h"

bool link_client_bind(struct link_client *c, struct link *l, struct app *app)
{
    c->cid = slots_take(&bridge.slots, c);
    if (!c->cid)
        return false;
    c->link = l;
    c->app = app;
    list_push_back(c->kind == LINK_SESSION ? &l->sessions : &l->exchanges,
                   &c->on_link);
    l->clients_n++;
    l->backend->pool->clients++;
    if (app)
        app->clients++;
    return true;
}

static void settle(struct link_client *c)
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

void link_client_unbind(struct link_client *c)
{
    struct link *l = c->link;
    struct backend *b = l->backend;

    settle(c);
    slots_give(&bridge.slots, c->cid);
    list_remove(&c->on_link);
    l->clients_n--;
    b->pool->clients--;
    if (c->app)
        c->app->clients--;
    if (b->index >= 0)
        balance_release(&b->pool->balance, &b->pool->balance.peers[b->index],
                        0);
    c->link = NULL;
    c->app = NULL;
    link_client_gone(l);
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

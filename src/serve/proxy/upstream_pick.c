/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"
#include "base/random.h"
#include "peers/peers.h"
#include "proxy_parts.h"

void upstream_ask(struct proxy *p)
{
    const struct upstream *u = p->upstream;
    struct request *r = p->request;
    unsigned needs = u->balance.method->needs;

    p->ask.tried = arena_calloc(r->arena, u->balance.peers_n);
    if (needs & BALANCE_NEEDS_KEY)
        p->ask.key = value_eval(u->hash_key, &r->eval);
    if (needs & BALANCE_NEEDS_ADDRESS)
        p->ask.address = request_remote(r);
    if (needs & BALANCE_NEEDS_SEED)
        p->ask.seed = random_u64() | 1;
}

struct peer *upstream_pick(struct proxy *p)
{
    struct upstream *u = p->upstream;
    struct peer *peer = NULL;

    p->ask.now_ms = p->picked_ms = clock_now_ms();
    if (u->sticky && !p->sticky_asked) {
        p->sticky_asked = true;
        peer = sticky_pick(p);
    }
    if (!peer)
        peer = balance_pick(&u->balance, &p->ask);
    if (peer)
        p->trace->last_server = peer->server;
    return peer;
}

void upstream_on_head(struct proxy *p)
{
    if (p->upstream->sticky)
        sticky_on_head(p);
}

/* What the try came to, for the method and for those who look. */
static void report(struct proxy *p, struct peer *peer)
{
    const struct upstream_try *t = &p->trace->tries[p->trace->n - 1];
    struct balance_report r = {
        .status = t->status, .sent = t->sent, .received = t->received};

    if (t->head_us) {
        r.header_us = t->head_us - t->started_us;
        r.response_us = t->ended_us - t->started_us;
    }
    balance_count(&p->upstream->balance, peer, &r);
}

void upstream_release(struct proxy *p, struct peer *peer)
{
    report(p, peer);
    balance_release(&p->upstream->balance, peer, p->picked_ms);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"
#include "base/random.h"
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
    p->ask.now_ms = p->picked_ms = clock_now_ms();
    return balance_pick(&p->upstream->balance, &p->ask);
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

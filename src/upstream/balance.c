/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/balance.h"

#include "base/check.h"

/* Has it failed too often, too lately? */
static bool is_resting(const struct peer *p, uint64_t now_ms)
{
    return !p->alone && p->max_fails && p->fails >= p->max_fails &&
           now_ms - p->checked_ms <= p->fail_timeout_ms;
}

bool peer_is_usable(const struct peer *p, uint64_t now_ms)
{
    return !p->down && !p->unready && !is_resting(p, now_ms) &&
           (!p->max_conns || p->active < p->max_conns);
}

struct peer *balance_pick(struct balance *b, bool *tried, uint64_t now_ms)
{
    /* With a single peer there is nobody to spare it for: nginx then asks it
     * however often it failed. */
    if (b->peers_n == 1)
        b->peers[0].alone = true;

    struct peer *p = b->method->pick(b, tried, now_ms, false);
    if (!p)
        p = b->method->pick(b, tried, now_ms, true);
    if (!p)
        return NULL;
    /* A new window: when the peer does well now its old failures are
     * forgotten (balance_succeeded). */
    if (now_ms - p->checked_ms > p->fail_timeout_ms)
        p->checked_ms = now_ms;
    p->active++;
    if (tried)
        tried[p - b->peers] = true;
    return p;
}

void balance_release(struct peer *p)
{
    check(p->active > 0);
    p->active--;
}

void balance_succeeded(struct peer *p, uint64_t now_ms)
{
    (void)now_ms;
    if (p->failed_ms < p->checked_ms)
        p->fails = 0;
}

bool balance_failed(struct peer *p, uint64_t now_ms)
{
    if (p->alone)
        return false;
    if (p->fails < UINT32_MAX)
        p->fails++;
    p->failed_ms = now_ms;
    p->checked_ms = now_ms;
    if (!p->max_fails)
        return false;
    uint32_t loss = p->weight / p->max_fails;
    p->lost_weight =
        p->weight - p->lost_weight > loss ? p->lost_weight + loss : p->weight;
    return p->fails >= p->max_fails;
}

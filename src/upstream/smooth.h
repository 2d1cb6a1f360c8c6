/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upstream/smooth.h - one step of nginx's smooth weighted round robin.
 *
 * Every peer that takes part gains its weight, the one with the most is
 * chosen and pays what all gained.  A peer that failed has lost weight and
 * regains one at each step.
 */
#ifndef PENSTOCK_UPSTREAM_SMOOTH_H
#define PENSTOCK_UPSTREAM_SMOOTH_H

#include "upstream/balance.h"

struct smooth {
    struct peer *best;
    int64_t total;
};

/* Is the i-th peer one of those that may be chosen now? */
static inline bool balance_candidate(const struct balance *b, size_t i,
                                     const bool *tried, uint64_t now_ms,
                                     bool backup)
{
    const struct peer *p = &b->peers[i];
    return p->backup == backup && !(tried && tried[i]) &&
           peer_is_usable(p, now_ms);
}

static inline void smooth_offer(struct smooth *s, struct peer *p)
{
    int64_t gain = (int64_t)p->weight - p->lost_weight;
    p->current_weight += gain;
    s->total += gain;
    if (p->lost_weight)
        p->lost_weight--;
    if (!s->best || p->current_weight > s->best->current_weight)
        s->best = p;
}

static inline struct peer *smooth_choose(struct smooth *s)
{
    if (s->best)
        s->best->current_weight -= s->total;
    return s->best;
}

#endif

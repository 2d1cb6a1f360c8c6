/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upstream/pick.h - what the methods share.
 *
 * Above all one step of nginx's smooth weighted round robin: every peer that
 * takes part gains its weight, the one with the most is chosen and pays what
 * all gained.  A peer that failed has lost weight and regains one at each
 * step; one that came back lately (slow_start) gains a part of it.
 */
#ifndef PENSTOCK_UPSTREAM_PICK_H
#define PENSTOCK_UPSTREAM_PICK_H

#include "upstream/balance.h"

enum {
    BALANCE_TURNS_MAX = 20, /* draws of a hash before it gives up and goes
                               round, as nginx */
    WEIGHT_SCALE = 256,     /* parts of a weight, when some start slowly */
};

struct smooth {
    struct peer *best;
    int64_t total;
};

/* Is the i-th peer one of those that may be chosen now? */
static inline bool balance_candidate(const struct balance *b, size_t i,
                                     const struct balance_ask *ask, bool backup)
{
    const struct peer *p = &b->peers[i];
    return p->backup == backup && !p->drain && !(ask->tried && ask->tried[i]) &&
           peer_is_usable(p, ask->now_ms);
}

/* The peer's weight now, in parts of WEIGHT_SCALE. */
static inline int64_t balance_slow_weight(const struct peer *p, int64_t weight,
                                          uint64_t now_ms)
{
    uint64_t age_ms = now_ms - p->state->since_ms;

    if (!p->state->since_ms || age_ms >= p->slow_start_ms)
        return weight * WEIGHT_SCALE;
    int64_t part = (int64_t)((double)weight * WEIGHT_SCALE * (double)age_ms /
                             (double)p->slow_start_ms);
    return part ? part : 1;
}

static inline void smooth_offer(struct smooth *s, const struct balance *b,
                                struct peer *p, uint64_t now_ms)
{
    struct peer_state *state = p->state;
    int64_t gain = (int64_t)p->weight - state->lost_weight;

    if (b->slow)
        gain = balance_slow_weight(p, gain, now_ms);
    state->current_weight += gain;
    s->total += gain;
    if (state->lost_weight)
        state->lost_weight--;
    if (!s->best || state->current_weight > s->best->state->current_weight)
        s->best = p;
}

static inline struct peer *smooth_choose(struct smooth *s)
{
    if (s->best)
        s->best->state->current_weight -= s->total;
    return s->best;
}

/* In turn, by weight: what every method falls back to. */
struct peer *balance_go_round(struct balance *b, struct balance_ask *ask,
                              bool backup);

/* The peer on which point falls when each that is no backup has as many as
 * its weight; point < total_weight. */
struct peer *balance_peer_at(struct balance *b, uint32_t point);

struct balance_ring *balance_ring_create(const struct balance *b,
                                         struct arena *arena);

/* <0: the first has a better claim than the second, by active requests or by
 * response time, for its weight. */
int balance_compare_load(const struct balance *b, const struct peer *first,
                         const struct peer *second, uint64_t now_ms);
int balance_compare_time(const struct balance *b, const struct peer *first,
                         const struct peer *second, uint64_t now_ms);

#endif

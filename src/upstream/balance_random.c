/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * By chance, by weight; with two, the better of two that chance names, which
 * spreads load almost as well as looking at all of them.
 */
#include "pick.h"

/* xorshift64: chance enough for this, and the caller's seed repeats it. */
static uint32_t next_random(uint64_t *seed)
{
    uint64_t x = *seed;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *seed = x;
    return (uint32_t)(x >> 32);
}

static bool is_better(const struct balance *b, const struct peer *p,
                      const struct peer *than, uint64_t now_ms)
{
    return b->measure == MEASURE_CONNS
               ? balance_compare_load(b, p, than, now_ms) <= 0
               : balance_compare_time(b, p, than, now_ms) <= 0;
}

static struct peer *pick(struct balance *b, struct balance_ask *ask,
                         bool backup)
{
    struct peer *first = NULL;

    if (b->primaries < 2 || backup)
        return balance_go_round(b, ask, backup);
    for (; ask->turns <= BALANCE_TURNS_MAX; ask->turns++) {
        uint32_t point = next_random(&ask->seed) % b->total_weight;
        struct peer *p = balance_peer_at(b, point);
        if (p == first ||
            !balance_candidate(b, (size_t)(p - b->peers), ask, false))
            continue;
        if (!b->two)
            return p;
        if (first)
            return is_better(b, p, first, ask->now_ms) ? p : first;
        first = p;
    }
    return first ? first : balance_go_round(b, ask, false);
}

const struct balance_method balance_random = {
    .name = "random",
    .pick = pick,
    .needs = BALANCE_NEEDS_SEED,
    .no_backups = true,
};

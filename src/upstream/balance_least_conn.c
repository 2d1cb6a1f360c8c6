/* SPDX-License-Identifier: BSD-2-Clause */
#include "pick.h"

int balance_compare_load(const struct balance *b, const struct peer *first,
                         const struct peer *second, uint64_t now_ms)
{
    uint64_t w1 = first->weight, w2 = second->weight;
    if (b->slow) {
        w1 = (uint64_t)balance_slow_weight(first, first->weight, now_ms);
        w2 = (uint64_t)balance_slow_weight(second, second->weight, now_ms);
    }
    uint64_t left = first->state->active * w2;
    uint64_t right = second->state->active * w1;
    return left < right ? -1 : left > right;
}

static struct peer *pick(struct balance *b, struct balance_ask *ask,
                         bool backup)
{
    const struct peer *least = NULL;
    for (size_t i = 0; i < b->peers_n; i++)
        if (balance_candidate(b, i, ask, backup) &&
            (!least ||
             balance_compare_load(b, &b->peers[i], least, ask->now_ms) < 0))
            least = &b->peers[i];
    if (!least)
        return NULL;

    /* Ties, and only they, go round. */
    struct smooth s = {0};
    for (size_t i = 0; i < b->peers_n; i++)
        if (balance_candidate(b, i, ask, backup) &&
            balance_compare_load(b, &b->peers[i], least, ask->now_ms) == 0)
            smooth_offer(&s, b, &b->peers[i], ask->now_ms);
    return smooth_choose(&s);
}

const struct balance_method balance_least_conn = {
    .name = "least_conn",
    .pick = pick,
};

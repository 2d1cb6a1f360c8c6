/* SPDX-License-Identifier: BSD-2-Clause */
#include "smooth.h"

/* <0: a is less busy for its weight than b. */
static int compare_load(const struct peer *a, const struct peer *b)
{
    uint64_t left = (uint64_t)a->active * b->weight;
    uint64_t right = (uint64_t)b->active * a->weight;
    return left < right ? -1 : left > right;
}

static struct peer *pick(struct balance *b, const bool *tried, uint64_t now_ms,
                         bool backup)
{
    const struct peer *least = NULL;
    for (size_t i = 0; i < b->peers_n; i++)
        if (balance_candidate(b, i, tried, now_ms, backup) &&
            (!least || compare_load(&b->peers[i], least) < 0))
            least = &b->peers[i];
    if (!least)
        return NULL;

    /* Ties, and only they, go round. */
    struct smooth s = {0};
    for (size_t i = 0; i < b->peers_n; i++)
        if (balance_candidate(b, i, tried, now_ms, backup) &&
            compare_load(&b->peers[i], least) == 0)
            smooth_offer(&s, &b->peers[i]);
    return smooth_choose(&s);
}

const struct balance_method balance_least_conn = {"least_conn", pick};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "smooth.h"

static struct peer *pick(struct balance *b, const bool *tried, uint64_t now_ms,
                         bool backup)
{
    struct smooth s = {0};
    for (size_t i = 0; i < b->peers_n; i++)
        if (balance_candidate(b, i, tried, now_ms, backup))
            smooth_offer(&s, &b->peers[i]);
    return smooth_choose(&s);
}

const struct balance_method balance_round_robin = {"round_robin", pick};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "pick.h"

struct peer *balance_go_round(struct balance *b, struct balance_ask *ask,
                              bool backup)
{
    struct smooth s = {0};
    for (size_t i = 0; i < b->peers_n; i++)
        if (balance_candidate(b, i, ask, backup))
            smooth_offer(&s, b, &b->peers[i], ask->now_ms);
    return smooth_choose(&s);
}

const struct balance_method balance_round_robin = {
    .name = "round_robin",
    .pick = balance_go_round,
};

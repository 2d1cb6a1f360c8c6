/* SPDX-License-Identifier: BSD-2-Clause */
/* Peers in an array, asked for the next one. */
#ifndef PENSTOCK_UNIT_UPSTREAM_PICKING_H
#define PENSTOCK_UNIT_UPSTREAM_PICKING_H

#include "support/test.h"
#include "upstream/balance.h"

static inline struct balance balance_of(const struct balance_method *method,
                                        struct peer *peers, size_t n)
{
    struct balance b = {.method = method, .peers = peers, .peers_n = n};
    for (size_t i = 0; i < n; i++)
        if (!peers[i].weight)
            peers[i].weight = 1;
    balance_init(&b, NULL);
    return b;
}

static inline struct peer *pick_at(struct balance *b, bool *tried,
                                   uint64_t now_ms)
{
    struct balance_ask ask = {.tried = tried, .now_ms = now_ms};
    return balance_pick(b, &ask);
}

#endif

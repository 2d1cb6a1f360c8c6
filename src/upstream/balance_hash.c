/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The key decides, so that equal keys meet at one peer.  The arithmetic is
 * Cache::Memcached's, which nginx uses too: the same key finds the same peer
 * with either.  When that peer can not be had, the key with a number in front
 * draws again, and the draws add up.
 */
#include <stdio.h>

#include "base/crc32.h"
#include "pick.h"

struct peer *balance_peer_at(struct balance *b, uint32_t point)
{
    for (size_t i = 0; i < b->peers_n; i++) {
        struct peer *p = &b->peers[i];
        if (p->backup || p->vacant)
            continue;
        if (point < p->weight)
            return p;
        point -= p->weight;
    }
    return NULL;
}

static uint32_t draw(struct str key, unsigned round)
{
    char number[12];
    uint32_t crc = crc32_begin();

    if (round) {
        int n = snprintf(number, sizeof number, "%u", round);
        crc = crc32_add(crc, str_n(number, (size_t)n));
    }
    return crc32_end(crc32_add(crc, key)) >> 16 & 0x7fff;
}

static struct peer *pick(struct balance *b, struct balance_ask *ask,
                         bool backup)
{
    if (b->primaries < 2 || !ask->key.n || backup)
        return balance_go_round(b, ask, backup);
    while (ask->turns <= BALANCE_TURNS_MAX) {
        ask->hash += draw(ask->key, ask->rounds++);
        struct peer *p = balance_peer_at(b, ask->hash % b->total_weight);
        if (balance_candidate(b, (size_t)(p - b->peers), ask, false))
            return p;
        ask->turns++;
    }
    return balance_go_round(b, ask, false);
}

const struct balance_method balance_hash = {
    .name = "hash",
    .pick = pick,
    .needs = BALANCE_NEEDS_KEY,
    .no_backups = true,
};

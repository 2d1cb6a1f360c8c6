/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's network decides: the first three bytes of an IPv4 address, all
 * of an IPv6 address.  The numbers are nginx's, so that both send a client to
 * the same peer.
 */
#include "pick.h"

enum { FIRST_HASH = 89, FACTOR = 113, MODULUS = 6271 };

static uint32_t mix(uint32_t hash, const struct address *a)
{
    static const uint8_t nowhere[3];
    const uint8_t *p = nowhere;
    size_t n = sizeof nowhere;

    if (a && a->sa.any.sa_family == AF_INET) {
        p = (const uint8_t *)&a->sa.in.sin_addr;
    } else if (a && a->sa.any.sa_family == AF_INET6) {
        p = (const uint8_t *)&a->sa.in6.sin6_addr;
        n = sizeof a->sa.in6.sin6_addr;
    }
    for (size_t i = 0; i < n; i++)
        hash = (hash * FACTOR + p[i]) % MODULUS;
    return hash;
}

static struct peer *pick(struct balance *b, struct balance_ask *ask,
                         bool backup)
{
    if (b->primaries < 2 || backup)
        return balance_go_round(b, ask, backup);
    if (!ask->begun) {
        ask->begun = true;
        ask->hash = FIRST_HASH;
    }
    while (ask->turns <= BALANCE_TURNS_MAX) {
        ask->hash = mix(ask->hash, ask->address);
        struct peer *p = balance_peer_at(b, ask->hash % b->total_weight);
        if (balance_candidate(b, (size_t)(p - b->peers), ask, false))
            return p;
        ask->turns++;
    }
    return balance_go_round(b, ask, false);
}

const struct balance_method balance_ip_hash = {
    .name = "ip_hash",
    .pick = pick,
    .needs = BALANCE_NEEDS_ADDRESS,
    .no_backups = true,
};

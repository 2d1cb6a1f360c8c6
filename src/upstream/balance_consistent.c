/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring of points (ketama): a key belongs to the server of the next point,
 * so a server that comes or goes moves only its own keys.  160 points for
 * each unit of weight, made as Cache::Memcached::Fast and nginx make them, so
 * that all three agree: the CRC of host, a zero, port, and the point before.
 */
#include <stdlib.h>

#include "base/crc32.h"
#include "pick.h"

enum { POINTS_PER_WEIGHT = 160 };

struct point {
    uint32_t hash;
    unsigned server_id;
};

struct balance_ring {
    struct point *points;
    size_t n;
};

/* "host:1234" is two parts, "unix:/path" and a host without port are one. */
static void split_server(struct str server, struct str *host, struct str *port)
{
    size_t digits = server.n;

    *port = str_n("", 0);
    *host = server;
    if (str_starts_nocase(server, STR("unix:"))) {
        *host = str_slice(server, strlen("unix:"), server.n);
        return;
    }
    while (digits && ascii_is_digit(server.p[digits - 1]))
        digits--;
    if (!digits || server.p[digits - 1] != ':')
        return;
    *host = str_slice(server, 0, digits - 1);
    *port = str_slice(server, digits, server.n);
}

static void put_points(struct balance_ring *ring, const struct peer *p)
{
    struct str host, port;
    uint8_t previous[4] = {0};

    split_server(p->server, &host, &port);
    uint32_t base = crc32_add(crc32_begin(), host);
    base = crc32_add(base, str_n("\0", 1));
    base = crc32_add(base, port);
    for (size_t i = 0; i < (size_t)p->weight * POINTS_PER_WEIGHT; i++) {
        uint32_t hash =
            crc32_end(crc32_add(base, str_n(previous, sizeof previous)));
        ring->points[ring->n++] = (struct point){hash, p->server_id};
        for (unsigned k = 0; k < 4; k++)
            previous[k] = (uint8_t)(hash >> 8 * k);
    }
}

/* Of equal points the server that stands first has it. */
static int compare_points(const void *first, const void *second)
{
    const struct point *a = first, *b = second;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->server_id < b->server_id ? -1 : a->server_id > b->server_id;
}

/* Several addresses of one server have the same points. */
static bool has_points(const struct balance *b, size_t i)
{
    const struct peer *p = &b->peers[i];
    if (p->backup)
        return false;
    for (size_t k = 0; k < b->peers_n; k++) {
        const struct peer *other = &b->peers[k];
        if (k == i || other->backup || other->server_id != p->server_id)
            continue;
        if (other->weight > p->weight || (other->weight == p->weight && k < i))
            return false;
    }
    return true;
}

struct balance_ring *balance_ring_create(const struct balance *b,
                                         struct arena *arena)
{
    struct balance_ring *ring = arena_calloc(arena, sizeof *ring);
    size_t most = 0;

    for (size_t i = 0; i < b->peers_n; i++)
        if (has_points(b, i))
            most += (size_t)b->peers[i].weight * POINTS_PER_WEIGHT;
    ring->points = arena_alloc(arena, (most + 1) * sizeof *ring->points);
    for (size_t i = 0; i < b->peers_n; i++)
        if (has_points(b, i))
            put_points(ring, &b->peers[i]);
    qsort(ring->points, ring->n, sizeof *ring->points, compare_points);

    size_t kept = 0;
    for (size_t i = 0; i < ring->n; i++)
        if (!kept || ring->points[i].hash != ring->points[kept - 1].hash)
            ring->points[kept++] = ring->points[i];
    ring->n = kept;
    return ring;
}

/* The first point at or after the hash. */
static size_t find_point(const struct balance_ring *ring, uint32_t hash)
{
    size_t low = 0, high = ring->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring->points[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct peer *pick_of_server(struct balance *b, struct balance_ask *ask,
                                   unsigned server_id)
{
    struct smooth s = {0};
    for (size_t i = 0; i < b->peers_n; i++)
        if (b->peers[i].server_id == server_id &&
            balance_candidate(b, i, ask, false))
            smooth_offer(&s, b, &b->peers[i], ask->now_ms);
    return smooth_choose(&s);
}

static struct peer *pick(struct balance *b, struct balance_ask *ask,
                         bool backup)
{
    struct balance_ring *ring = b->ring;

    if (b->primaries < 2 || !ask->key.n || !ring->n || backup)
        return balance_go_round(b, ask, backup);
    if (!ask->begun) {
        ask->begun = true;
        ask->hash = (uint32_t)find_point(ring, crc32_of(ask->key));
    }
    while (ask->turns <= BALANCE_TURNS_MAX) {
        struct point *point = &ring->points[ask->hash % ring->n];
        struct peer *p = pick_of_server(b, ask, point->server_id);
        if (p)
            return p;
        ask->hash++;
        ask->turns++;
    }
    return balance_go_round(b, ask, false);
}

const struct balance_method balance_consistent = {
    .name = "hash consistent",
    .pick = pick,
    .needs = BALANCE_NEEDS_KEY,
    .no_backups = true,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "geo_table.h"

#include "base/bytes.h"

struct geo_node {
    struct geo_node *next[2];
    const struct str *value;
};

void geo_table_init(struct geo_table *t, struct arena *arena)
{
    *t = (struct geo_table){
        .arena = arena,
        .v4 = arena_calloc(arena, sizeof(struct geo_node)),
        .v6 = arena_calloc(arena, sizeof(struct geo_node)),
    };
}

/* ---- networks ---- */

static unsigned bit_of(const uint8_t *p, unsigned i)
{
    return p[i / 8] >> (7 - i % 8) & 1;
}

const struct str *geo_table_put(struct geo_table *t,
                                const struct access_rule *network,
                                const struct str *value)
{
    struct geo_node *node = network->family == ACCESS_V4 ? t->v4 : t->v6;

    for (unsigned i = 0; i < network->bits; i++) {
        struct geo_node **next = &node->next[bit_of(network->prefix, i)];
        if (!*next)
            *next = arena_calloc(t->arena, sizeof **next);
        node = *next;
    }
    const struct str *before = node->value;
    node->value = value;
    return before;
}

static const struct str *find_network(const struct geo_node *node,
                                      const uint8_t *p, unsigned bits)
{
    const struct str *found = node->value;

    for (unsigned i = 0; i < bits && (node = node->next[bit_of(p, i)]); i++)
        if (node->value)
            found = node->value;
    return found;
}

/* ---- ranges ---- */

/* The first that ends at or after ip. */
static size_t first_from(const struct geo_table *t, uint32_t ip)
{
    size_t low = 0, high = t->ranges_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->ranges[middle].last < ip)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void reserve(struct geo_table *t)
{
    if (t->ranges_n + 2 <= t->ranges_capacity)
        return;
    size_t capacity = t->ranges_capacity ? 2 * t->ranges_capacity : 64;
    struct geo_range *bigger = arena_alloc(t->arena, capacity * sizeof *bigger);
    if (t->ranges_n)
        memcpy(bigger, t->ranges, t->ranges_n * sizeof *bigger);
    t->ranges = bigger;
    t->ranges_capacity = capacity;
}

/* Replace n ranges from at on by the k at r. */
static void replace(struct geo_table *t, size_t at, size_t n,
                    const struct geo_range *r, size_t k)
{
    memmove(t->ranges + at + k, t->ranges + at + n,
            (t->ranges_n - at - n) * sizeof *t->ranges);
    memcpy(t->ranges + at, r, k * sizeof *r);
    t->ranges_n = t->ranges_n - n + k;
}

bool geo_table_put_range(struct geo_table *t, uint32_t first, uint32_t last,
                         const struct str *value)
{
    struct geo_range made[3];
    size_t k = 0;

    reserve(t);
    size_t at = first_from(t, first), end = at;
    while (end < t->ranges_n && t->ranges[end].first <= last)
        end++;
    if (end > at && t->ranges[at].first < first) {
        made[k] = t->ranges[at];
        made[k++].last = first - 1;
    }
    if (value)
        made[k++] = (struct geo_range){first, last, value};
    if (end > at && t->ranges[end - 1].last > last) {
        made[k] = t->ranges[end - 1];
        made[k++].first = last + 1;
    }
    replace(t, at, end - at, made, k);
    return end > at;
}

static const struct str *find_range(const struct geo_table *t, uint32_t ip)
{
    size_t i = first_from(t, ip);
    if (i == t->ranges_n || t->ranges[i].first > ip)
        return NULL;
    return t->ranges[i].value;
}

/* ---- both ---- */

const struct str *geo_table_find(const struct geo_table *t,
                                 const struct address *a)
{
    static const uint8_t nobody[4] = {255, 255, 255, 255};
    const uint8_t *v4 = nobody; /* unix: and what is no address */

    if (a->sa.any.sa_family == AF_INET6) {
        const uint8_t *p = a->sa.in6.sin6_addr.s6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(&a->sa.in6.sin6_addr))
            return t->ranges ? find_range(t, be32_get(nobody))
                             : find_network(t->v6, p, 128);
        v4 = p + 12;
    } else if (a->sa.any.sa_family == AF_INET) {
        v4 = (const uint8_t *)&a->sa.in.sin_addr;
    }
    return t->ranges ? find_range(t, be32_get(v4))
                     : find_network(t->v4, v4, 32);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access/geo_table.h - addresses to values, by networks or by ranges.
 *
 * Networks: the longest prefix that fits decides.  Ranges (IPv4 only) do not
 * overlap: one that is added cuts its part out of those before it.
 */
#ifndef PENSTOCK_SERVE_GEO_TABLE_H
#define PENSTOCK_SERVE_GEO_TABLE_H

#include "base/address.h"
#include "base/arena.h"
#include "serve/access.h"

struct geo_node;

struct geo_range {
    uint32_t first, last; /* host order, both within */
    const struct str *value;
};

struct geo_table {
    struct arena *arena;
    struct geo_node *v4, *v6;
    struct geo_range *ranges; /* in order */
    size_t ranges_n, ranges_capacity;
};

void geo_table_init(struct geo_table *t, struct arena *arena);

/* NULL: take the network out.  Returns what it led to before, or NULL. */
const struct str *geo_table_put(struct geo_table *t,
                                const struct access_rule *network,
                                const struct str *value);

/* NULL: take the range out; only one that was added just so.  True when
 * something of it was there before. */
bool geo_table_put_range(struct geo_table *t, uint32_t first, uint32_t last,
                         const struct str *value);

/* The value, or NULL.  An IPv4 address mapped into IPv6 is IPv4. */
const struct str *geo_table_find(const struct geo_table *t,
                                 const struct address *a);

#endif

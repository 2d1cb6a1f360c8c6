/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/map.h - text to pointer, for what a configuration names.
 *
 * Open addressing, keys borrowed (they must outlive the map).  Filled while
 * loading and read after: there is no remove.  The hash is unkeyed, so keys
 * must be the operator's, never a peer's; looking a peer's text up is fine.
 */
#ifndef PENSTOCK_BASE_MAP_H
#define PENSTOCK_BASE_MAP_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

struct map_entry {
    struct str key; /* p NULL: free */
    void *value;
};

struct map {
    struct arena *arena; /* borrowed: where the table lives */
    struct map_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t n;
    bool nocase;
};

void map_init(struct map *m, struct arena *arena, bool nocase);

/* The value, or NULL. */
void *map_find(const struct map *m, struct str key);

/* False (and no change) when the key is there already.  value is not NULL. */
bool map_add(struct map *m, struct str key, void *value);

/* The next entry in no special order; *it starts at 0.  NULL at the end. */
const struct map_entry *map_next(const struct map *m, size_t *it);

#endif

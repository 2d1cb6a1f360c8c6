/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/map.h"

#include "base/check.h"

void map_init(struct map *m, struct arena *arena, bool nocase)
{
    *m = (struct map){.arena = arena, .nocase = nocase};
}

/* The entry of key, or the free one where it belongs.  The table is never
 * full, so the walk ends. */
static struct map_entry *place_of(const struct map *m, struct str key)
{
    uint32_t h = m->nocase ? str_hash_nocase(key) : str_hash(key);
    for (size_t i = h;; i++) {
        struct map_entry *e = &m->entries[i & (m->capacity - 1)];
        if (!e->key.p)
            return e;
        if (m->nocase ? str_eq_nocase(e->key, key) : str_eq(e->key, key))
            return e;
    }
}

void *map_find(const struct map *m, struct str key)
{
    if (!m->capacity)
        return NULL;
    struct map_entry *e = place_of(m, key);
    return e->key.p ? e->value : NULL;
}

static void grow(struct map *m)
{
    struct map_entry *old = m->entries;
    size_t old_capacity = m->capacity;

    m->capacity = old_capacity ? old_capacity * 2 : 8;
    m->entries = arena_calloc(m->arena, m->capacity * sizeof *m->entries);
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].key.p)
            *place_of(m, old[i].key) = old[i];
}

bool map_add(struct map *m, struct str key, void *value)
{
    check(value != NULL && key.p != NULL);
    if ((m->n + 1) * 2 > m->capacity)
        grow(m);
    struct map_entry *e = place_of(m, key);
    if (e->key.p)
        return false;
    *e = (struct map_entry){.key = key, .value = value};
    m->n++;
    return true;
}

const struct map_entry *map_next(const struct map *m, size_t *it)
{
    while (*it < m->capacity) {
        const struct map_entry *e = &m->entries[(*it)++];
        if (e->key.p)
            return e;
    }
    return NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/intern.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/random.h"
#include "base/siphash.h"

enum {
    ASKED = 1024 /* a power of two: how many questions are remembered */
};

static struct {
    struct interned **heads;
    size_t capacity; /* a power of two, or 0 */
    size_t n;
    uint64_t key[2];
    bool has_key;
    uint32_t asked[ASKED]; /* hashes */
} table;

static uint32_t hash_of(struct str s)
{
    if (!table.has_key)
        random_bytes(table.key, sizeof table.key);
    table.has_key = true;
    return (uint32_t)siphash(table.key, s.p, s.n);
}

static struct interned **head_of(uint32_t hash)
{
    return &table.heads[hash & (table.capacity - 1)];
}

static void grow(void)
{
    struct interned **old = table.heads;
    size_t n = table.capacity;

    table.capacity = n ? n * 2 : 64;
    table.heads = xcalloc(table.capacity, sizeof *table.heads);
    for (size_t i = 0; i < n; i++)
        while (old[i]) {
            struct interned *one = old[i];
            old[i] = one->next;
            one->next = *head_of(one->hash);
            *head_of(one->hash) = one;
        }
    free(old);
}

static struct interned *find(uint32_t hash, struct str s)
{
    struct interned *i = table.capacity ? *head_of(hash) : NULL;
    while (i && (i->hash != hash || !str_eq(interned_str(i), s)))
        i = i->next;
    return i;
}

bool intern_is_worth(struct str s)
{
    uint32_t hash = hash_of(s);
    uint32_t *asked = &table.asked[hash & (ASKED - 1)];
    bool again = *asked == hash;

    *asked = hash;
    return again || find(hash, s);
}

struct interned *intern(struct str s)
{
    check(s.n <= UINT32_MAX);
    if (table.n == table.capacity)
        grow();
    uint32_t hash = hash_of(s);
    struct interned *i = find(hash, s);

    if (i) {
        i->references++;
        return i;
    }
    struct interned **head = head_of(hash);
    i = xmalloc(sizeof *i + s.n);
    *i = (struct interned){
        .next = *head, .hash = hash, .references = 1, .n = (uint32_t)s.n};
    if (s.n)
        memcpy(i->bytes, s.p, s.n);
    *head = i;
    table.n++;
    return i;
}

void intern_unref(struct interned *i)
{
    if (!i || --i->references)
        return;
    struct interned **at = head_of(i->hash);
    while (*at != i)
        at = &(*at)->next;
    *at = i->next;
    free(i);
    if (--table.n)
        return;
    free(table.heads);
    table.heads = NULL;
    table.capacity = 0;
}

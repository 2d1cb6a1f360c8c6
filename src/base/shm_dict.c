/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/shm_dict.h"

#include "base/check.h"

struct shm_dict {
    uint32_t mask; /* buckets - 1 */
    uint32_t n;
    shm_ref oldest, newest;
    shm_ref buckets; /* shm_ref[mask + 1] */
};

struct entry {
    shm_ref next; /* in its bucket */
    shm_ref older, newer;
    uint32_t hash;
    uint32_t value_n; /* bytes, rounded up to 8 */
    uint16_t key_n;
    uint64_t value[];
};

enum {
    BYTES_A_BUCKET = 256 /* of the memory: two entries, when it is full */
};

struct shm_dict *shm_dict_create(struct shm *s)
{
    uint64_t n = 16;
    while (n * 2 <= shm_size(s) / BYTES_A_BUCKET && n < 1u << 28)
        n *= 2;
    struct shm_dict *d = shm_alloc(s, sizeof *d);
    if (!d)
        return NULL;
    d->mask = (uint32_t)(n - 1);
    d->buckets = shm_ref_of(s, shm_alloc(s, n * sizeof(shm_ref)));
    if (d->buckets)
        return d;
    shm_free(s, d);
    return NULL;
}

size_t shm_dict_count(const struct shm_dict *d)
{
    return d->n;
}

static struct entry *entry_at(const struct shm *s, shm_ref ref)
{
    return shm_at(s, ref);
}

static struct entry *entry_of(const void *value)
{
    return CONTAINER((void *)(uintptr_t)value, struct entry, value);
}

static struct str key_of(const struct entry *e)
{
    return str_n((const char *)e->value + e->value_n, e->key_n);
}

struct str shm_dict_key(const void *value)
{
    return key_of(entry_of(value));
}

static shm_ref *bucket_of(const struct shm *s, const struct shm_dict *d,
                          uint32_t hash)
{
    return (shm_ref *)shm_at(s, d->buckets) + (hash & d->mask);
}

void *shm_dict_find(const struct shm *s, const struct shm_dict *d,
                    struct str key)
{
    uint32_t hash = (uint32_t)shm_hash(s, key.p, key.n);
    shm_ref at = *bucket_of(s, d, hash);

    for (struct entry *e; (e = entry_at(s, at)); at = e->next)
        if (e->hash == hash && str_eq(key_of(e), key))
            return e->value;
    return NULL;
}

/* ---- order ---- */

static void order_out(struct shm *s, struct shm_dict *d, struct entry *e)
{
    struct entry *older = entry_at(s, e->older), *newer = entry_at(s, e->newer);
    if (older)
        older->newer = e->newer;
    else
        d->oldest = e->newer;
    if (newer)
        newer->older = e->older;
    else
        d->newest = e->older;
}

static void order_in(struct shm *s, struct shm_dict *d, struct entry *e)
{
    shm_ref ref = shm_ref_of(s, e);
    struct entry *newest = entry_at(s, d->newest);
    e->older = d->newest;
    e->newer = 0;
    if (newest)
        newest->newer = ref;
    else
        d->oldest = ref;
    d->newest = ref;
}

void shm_dict_touch(struct shm *s, struct shm_dict *d, void *value)
{
    struct entry *e = entry_of(value);
    if (d->newest == shm_ref_of(s, e))
        return;
    order_out(s, d, e);
    order_in(s, d, e);
}

void *shm_dict_oldest(const struct shm *s, const struct shm_dict *d)
{
    struct entry *e = entry_at(s, d->oldest);
    return e ? e->value : NULL;
}

void *shm_dict_newer(const struct shm *s, const void *value)
{
    struct entry *e = entry_at(s, entry_of(value)->newer);
    return e ? e->value : NULL;
}

/* ---- in and out ---- */

void *shm_dict_add(struct shm *s, struct shm_dict *d, struct str key, size_t n)
{
    check(key.n <= SHM_DICT_KEY_MAX && n <= UINT32_MAX - 8);
    size_t value_n = (n + 7) / 8 * 8;
    struct entry *e = shm_alloc(s, sizeof *e + value_n + key.n);
    if (!e)
        return NULL;
    e->hash = (uint32_t)shm_hash(s, key.p, key.n);
    e->value_n = (uint32_t)value_n;
    e->key_n = (uint16_t)key.n;
    if (key.n)
        memcpy((char *)e->value + value_n, key.p, key.n);
    shm_ref *bucket = bucket_of(s, d, e->hash);
    e->next = *bucket;
    *bucket = shm_ref_of(s, e);
    order_in(s, d, e);
    d->n++;
    return e->value;
}

void shm_dict_remove(struct shm *s, struct shm_dict *d, void *value)
{
    struct entry *e = entry_of(value);
    shm_ref ref = shm_ref_of(s, e);
    shm_ref *at = bucket_of(s, d, e->hash);

    while (*at != ref) {
        check(*at);
        at = &entry_at(s, *at)->next;
    }
    *at = e->next;
    order_out(s, d, e);
    d->n--;
    shm_free(s, e);
}

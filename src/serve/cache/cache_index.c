/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "base/clock.h"
#include "base/shm_dict.h"
#include "serve/cache.h"

enum {
    BLOCK = 4096, /* bytes: files take whole blocks */
};

struct root {
    shm_ref entries; /* struct shm_dict of hash to struct entry */
    uint64_t bytes;  /* of all files */
    uint64_t manager_until_ms, loader_until_ms;
    bool loaded;
};

struct entry {
    uint64_t bytes; /* 0: no file */
    int64_t used_s;
    uint64_t claimed_ms; /* 0: nobody fetches it */
    uint32_t uses;
};

/* ---- under the lock ---- */

static struct root *root_of(struct shm *s)
{
    struct root *root = shm_at(s, shm_root(s));

    if (root)
        return root;
    root = shm_alloc(s, sizeof *root);
    if (!root)
        return NULL;
    shm_set_root(s, shm_ref_of(s, root));
    root->entries = shm_ref_of(s, shm_dict_create(s));
    return root;
}

static struct shm_dict *entries_of(struct shm *s, const struct root *root)
{
    return root ? shm_at(s, root->entries) : NULL;
}

static struct str key_of(const struct cache_hash *hash)
{
    return str_n(hash->bytes, sizeof hash->bytes);
}

static void drop(struct shm *s, struct root *root, struct entry *e)
{
    root->bytes -= e->bytes;
    shm_dict_remove(s, entries_of(s, root), e);
}

/* A new entry; the oldest ones give way. */
static struct entry *add(struct cache *c, struct root *root,
                         const struct cache_hash *hash)
{
    struct shm *s = c->zone->memory;
    struct shm_dict *d = entries_of(s, root);
    struct entry *e = shm_dict_add(s, d, key_of(hash), sizeof *e);

    while (!e && c->displaced_n < CACHE_DISPLACED_MAX) {
        struct entry *old = shm_dict_oldest(s, d);
        if (!old)
            return NULL;
        if (old->bytes)
            memcpy(c->displaced[c->displaced_n++].bytes, shm_dict_key(old).p,
                   CACHE_HASH_SIZE);
        drop(s, root, old);
        e = shm_dict_add(s, d, key_of(hash), sizeof *e);
    }
    return e;
}

/* Without the lock: the files of those that gave way. */
static void remove_displaced(struct cache *c)
{
    while (c->displaced_n)
        cache_file_remove(c, &c->displaced[--c->displaced_n]);
}

static struct entry *find_or_add(struct cache *c, struct root *root,
                                 const struct cache_hash *hash)
{
    struct shm *s = c->zone->memory;
    struct shm_dict *d = entries_of(s, root);
    struct entry *e = d ? shm_dict_find(s, d, key_of(hash)) : NULL;

    if (!e && d)
        e = add(c, root, hash);
    if (e) {
        e->used_s = clock_wall_s();
        shm_dict_touch(s, d, e);
    }
    return e;
}

static struct entry *find(struct shm *s, struct root *root,
                          const struct cache_hash *hash)
{
    struct shm_dict *d = entries_of(s, root);
    return d ? shm_dict_find(s, d, key_of(hash)) : NULL;
}

/* ---- requests ---- */

enum cache_known cache_index_use(struct cache *c, const struct cache_hash *hash,
                                 uint32_t *uses)
{
    struct shm *s = c->zone->memory;
    enum cache_known known = CACHE_UNKNOWN;

    shm_lock(s);
    struct root *root = root_of(s);
    struct entry *e = find_or_add(c, root, hash);
    if (e && e->uses < UINT32_MAX)
        e->uses++;
    *uses = e ? e->uses : 0;
    if (e && e->bytes)
        known = CACHE_KNOWN;
    else if (root && !root->loaded)
        known = CACHE_MAYBE;
    shm_unlock(s);
    remove_displaced(c);
    return known;
}

bool cache_index_claim(struct cache *c, const struct cache_hash *hash,
                       uint64_t age_ms)
{
    struct shm *s = c->zone->memory;
    uint64_t now_ms = clock_now_ms();

    shm_lock(s);
    struct entry *e = find(s, root_of(s), hash);
    bool ours = !e || !e->claimed_ms || now_ms - e->claimed_ms >= age_ms;
    if (e && ours)
        e->claimed_ms = now_ms;
    shm_unlock(s);
    return ours;
}

void cache_index_release(struct cache *c, const struct cache_hash *hash)
{
    struct shm *s = c->zone->memory;

    shm_lock(s);
    struct entry *e = find(s, root_of(s), hash);
    if (e)
        e->claimed_ms = 0;
    shm_unlock(s);
}

static uint64_t rounded(uint64_t size)
{
    return (size + BLOCK - 1) / BLOCK * BLOCK;
}

bool cache_index_stored(struct cache *c, const struct cache_hash *hash,
                        uint64_t size)
{
    struct shm *s = c->zone->memory;

    shm_lock(s);
    struct root *root = root_of(s);
    struct entry *e = find_or_add(c, root, hash);
    if (e) {
        root->bytes += rounded(size) - e->bytes;
        e->bytes = rounded(size);
        if (!e->uses)
            e->uses = 1;
    }
    shm_unlock(s);
    remove_displaced(c);
    return e != NULL;
}

void cache_index_forget(struct cache *c, const struct cache_hash *hash)
{
    struct shm *s = c->zone->memory;

    shm_lock(s);
    struct root *root = root_of(s);
    struct entry *e = find(s, root, hash);
    if (e) {
        root->bytes -= e->bytes;
        e->bytes = 0;
    }
    shm_unlock(s);
}

/* ---- the manager and the loader ---- */

void cache_index_found(struct cache *c, const struct cache_hash *hash,
                       uint64_t size)
{
    struct shm *s = c->zone->memory;

    shm_lock(s);
    struct root *root = root_of(s);
    struct entry *e = find(s, root, hash);
    if (root && (!e || !e->bytes)) {
        e = find_or_add(c, root, hash);
        if (e) {
            e->bytes = rounded(size);
            e->uses++;
            root->bytes += e->bytes;
        }
    }
    shm_unlock(s);
    remove_displaced(c);
}

size_t cache_index_evict(struct cache *c, uint64_t size,
                         struct cache_hash *evicted, size_t max)
{
    struct shm *s = c->zone->memory;
    int64_t since = clock_wall_s() - (int64_t)c->inactive_s;
    size_t n = 0;

    shm_lock(s);
    struct root *root = root_of(s);
    struct shm_dict *d = entries_of(s, root);
    struct entry *e = d ? shm_dict_oldest(s, d) : NULL;
    /* Those without a file are counts of uses, and go with their time. */
    for (size_t looked = 0; e && n < max && looked < 4 * max; looked++) {
        struct entry *newer = shm_dict_newer(s, e);
        bool old = e->used_s < since;
        bool over = size && root->bytes > size && e->bytes;
        if (!old && !(size && root->bytes > size))
            break;
        if ((old || over) && !e->claimed_ms) {
            if (e->bytes)
                memcpy(evicted[n++].bytes, shm_dict_key(e).p, CACHE_HASH_SIZE);
            drop(s, root, e);
        } else if (old) {
            e->claimed_ms = 0; /* whoever claimed it is gone */
        }
        e = newer;
    }
    shm_unlock(s);
    return n;
}

static bool lease(struct cache *c, uint64_t ms, bool loader)
{
    uint64_t *held = c->held_until_ms;
    struct shm *s = c->zone->memory;
    uint64_t now_ms = clock_now_ms();

    shm_lock(s);
    struct root *root = root_of(s);
    uint64_t *until =
        root ? loader ? &root->loader_until_ms : &root->manager_until_ms : NULL;
    bool free = until && (*until <= now_ms || *until > now_ms + (1u << 24) ||
                          *until == held[loader]);
    if (free && !(loader && root->loaded))
        *until = held[loader] = now_ms + ms;
    bool ours = free && !(loader && root->loaded);
    shm_unlock(s);
    return ours;
}

bool cache_lease_manager(struct cache *c, uint64_t ms)
{
    return lease(c, ms, false);
}

bool cache_lease_loader(struct cache *c, uint64_t ms)
{
    return lease(c, ms, true);
}

void cache_loaded(struct cache *c)
{
    struct shm *s = c->zone->memory;

    shm_lock(s);
    struct root *root = root_of(s);
    if (root)
        root->loaded = true;
    shm_unlock(s);
}

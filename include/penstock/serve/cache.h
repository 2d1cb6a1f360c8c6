/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/cache.h - responses kept in files, for all workers (RFC 9111).
 *
 * A cache is a directory and a zone.  Which files there are, how large and
 * when they were used stands in the zone (cache_index.c); what a response is
 * and how long it is good stands in its file (cache_file.c), so a cache
 * outlives the program.  When a response may be kept and for how long is
 * cache_rules.c; who removes old files and finds those of an earlier run is
 * cache_manager.c.  What a request does with all this is in
 * proxy/proxy_cache.c.
 */
#ifndef PENSTOCK_SERVE_CACHE_H
#define PENSTOCK_SERVE_CACHE_H

#include "http/head.h"
#include "io/timer.h"
#include "serve/temp.h"
#include "serve/zone.h"

enum {
    CACHE_HASH_SIZE = 16,     /* bytes: MD5, as nginx names its files */
    CACHE_DISPLACED_MAX = 16, /* old entries that give way to a new one */
    CACHE_VARY_MAX = 128,     /* bytes of a Vary that is understood; nginx's */
};

struct cache_hash {
    uint8_t bytes[CACHE_HASH_SIZE];
};

/* proxy_cache_path */
struct cache {
    struct temp_path files;
    bool use_temp_path;
    struct zone *zone;
    uint64_t inactive_s;
    uint64_t max_size, min_free; /* bytes; 0: no limit */
    uint64_t manager_files, manager_sleep_ms;
    uint64_t loader_files, loader_sleep_ms;
    struct cache *next;

    struct loop *loop; /* NULL: not in use by this process */
    struct timer manager, loader;
    struct cache_walk *walk;                          /* the loader's place */
    struct cache_hash displaced[CACHE_DISPLACED_MAX]; /* by a new entry */
    size_t displaced_n;
    uint64_t held_until_ms[2]; /* our leases: manager, loader */
};

extern struct conf_module cache_module;

/* In a worker: files are looked after from here until g dies. */
void caches_start(struct generation *g, struct loop *loop);

/* By the name of its zone: as a directive names it (its path may follow), and
 * when all is read (NULL: there is none). */
struct zone *cache_zone_named(struct conf *conf, struct str name);
struct cache *cache_find(const struct generation *g, struct str name);

/* ---- keys ---- */

struct cache_hash cache_hash_of(struct str key);
/* Of one variant of what key names. */
struct cache_hash cache_hash_variant(const struct cache_hash *key,
                                     const struct cache_hash *variant);
/* What the request's fields that Vary names come to. */
struct cache_hash cache_variant(struct str vary,
                                const struct http_head *request,
                                struct arena *arena);

/* The path of the file; NUL-terminated, in the arena. */
struct str cache_path_of(const struct cache *c, const struct cache_hash *hash,
                         struct arena *arena);

/* ---- the index ---- */

enum cache_known {
    CACHE_UNKNOWN = 1, /* no file */
    CACHE_MAYBE,       /* the loader is not through: look */
    CACHE_KNOWN,       /* there is a file */
};

/* Count a use; *uses becomes their number.  A full zone says UNKNOWN, and
 * *uses 0. */
enum cache_known cache_index_use(struct cache *c, const struct cache_hash *hash,
                                 uint32_t *uses);

/* Be the one who fetches it: false while another does, for at most age_ms. */
bool cache_index_claim(struct cache *c, const struct cache_hash *hash,
                       uint64_t age_ms);
void cache_index_release(struct cache *c, const struct cache_hash *hash);

/* There is a file of that size; false: no room to know it. */
bool cache_index_stored(struct cache *c, const struct cache_hash *hash,
                        uint64_t size);
/* There is none any more. */
void cache_index_forget(struct cache *c, const struct cache_hash *hash);

/* The loader found a file; nothing when it is known. */
void cache_index_found(struct cache *c, const struct cache_hash *hash,
                       uint64_t size);

/*
 * Up to max entries that were not used for inactive_s, or are the oldest while
 * more than size bytes are there (0: no limit): they are out of the index, and
 * their files are the caller's to remove.  Returns how many.
 */
size_t cache_index_evict(struct cache *c, uint64_t size,
                         struct cache_hash *evicted, size_t max);

/* One worker at a time keeps the cache, and one loads it: true when that is
 * us, for ms from now.  cache_loaded() ends the loading for good. */
bool cache_lease_manager(struct cache *c, uint64_t ms);
bool cache_lease_loader(struct cache *c, uint64_t ms);
void cache_loaded(struct cache *c);

/* ---- files ---- */

struct cache_entry {
    int fd;
    int64_t valid_s;    /* until then it is fresh */
    int64_t updating_s; /* and so long it may be served while it is fetched */
    int64_t error_s;    /* and when fetching it fails */
    struct str vary;    /* p NULL: none */
    struct cache_hash variant;
    struct str head; /* "HTTP/1.1 200 OK\r\n..."; in the arena */
    uint64_t body_at, size;
    struct str body; /* p NULL: it was not read, being large */
};

/* The file of hash, when it is one of key.  False: there is none, or it is
 * not good. */
bool cache_file_open(const struct cache *c, const struct cache_hash *hash,
                     struct str key, struct arena *arena,
                     struct cache_entry *out);

/* What stands before the body; out->body_at is set. */
void cache_file_put_head(struct buf *to, struct str key, struct cache_entry *e);

/* The times of a file that is there. */
int cache_file_renew(const struct cache *c, const struct cache_hash *hash,
                     const struct cache_entry *e);

/* Give the finished file fd, named name, its place: 0, or -1 with errno. */
int cache_file_move(const struct cache *c, const struct cache_hash *hash,
                    int fd, const char *name);
void cache_file_remove(const struct cache *c, const struct cache_hash *hash);

/* ---- rules (RFC 9111 sections 3 and 4, and nginx's) ---- */

struct cache_freshness {
    bool storable;
    int64_t valid_s; /* 0: the fields do not say */
    int64_t updating_s, error_s;
    struct str vary; /* p NULL: none */
};

/* ignored: enum proxy_ignore of proxy_ignore_headers, or'ed. */
void cache_rules_read(const struct http_head *response, unsigned ignored,
                      int64_t now_s, struct arena *arena,
                      struct cache_freshness *out);

#endif

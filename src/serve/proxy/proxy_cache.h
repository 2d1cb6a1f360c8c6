/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/proxy/proxy_cache.h - what a proxied request has to do with a cache.
 */
#ifndef PENSTOCK_SERVE_PROXY_CACHE_H
#define PENSTOCK_SERVE_PROXY_CACHE_H

#include "serve/cache.h"
#include "serve/proxy.h"

enum cache_method {
    CACHE_GET = 1 << 0,
    CACHE_HEAD = 1 << 1,
    CACHE_POST = 1 << 2,
};

enum {
    STALE_UPDATING = 1 << 20 /* beside enum next_upstream's */
};

/* proxy_cache_valid */
struct cache_valid {
    unsigned status; /* 0: any */
    uint64_t seconds;
};

struct proxy_cache_conf {
    struct value *zone; /* its name; NULL: off */
    struct value *key;
    struct conf_list valid;                   /* struct cache_valid */
    struct conf_list bypass, no_cache, purge; /* struct value */
    unsigned methods;                         /* enum cache_method, or'ed */
    uint64_t min_uses;
    unsigned use_stale; /* enum next_upstream and STALE_UPDATING, or'ed */
    bool lock;
    uint64_t lock_timeout_ms, lock_age_ms;
    bool revalidate, background_update, convert_head;
    uint64_t max_range_offset; /* UINT64_MAX: any */
};

struct proxy_cache {
    struct proxy *proxy;
    const struct proxy_cache_conf *conf;
    struct cache *cache;
    struct str key;
    struct cache_hash main;       /* of the key */
    struct cache_hash hash;       /* of what is looked for: maybe a variant */
    struct cache_entry entry;     /* fd -1: there is none */
    struct http_head head;        /* the entry's */
    struct cache_freshness fresh; /* of what is stored now */
    bool stores;                  /* the response may be kept */
    bool claimed;                 /* it is ours to fetch */
    bool expired;                 /* entry is, and an upstream is asked */
    bool renews;                  /* with the entry's validators */
    uint64_t wait_until_ms;
    struct timer wait; /* for another who fetches it */
};

/* Is one of these values neither empty nor 0? */
bool proxy_cache_any(const struct conf_list *conditions, struct request *r);

/* May a response of that status and those fields be kept (until p->cache->fresh
 * says)? */
bool proxy_cache_may_keep(struct proxy *p, const struct http_head *h,
                          unsigned status);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "claim.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/random.h"
#include "base/siphash.h"
#include "sluice/app.h"

enum { BUCKETS_MIN = 64 };

struct claim {
    struct list by_key, on_link;
    struct link *link;
    size_t n;
    char key[];
};

static struct {
    struct list *buckets;
    size_t capacity, n; /* capacity: a power of two, or 0 */
    uint64_t secret[2]; /* keys may be what clients chose */
} claims;

static struct list *bucket_of(struct str key)
{
    uint64_t hash = siphash(claims.secret, key.p, key.n);
    return &claims.buckets[hash & (claims.capacity - 1)];
}

static void grow(void)
{
    struct list *old = claims.buckets;
    size_t n = claims.capacity;

    if (!n)
        random_bytes(claims.secret, sizeof claims.secret);
    claims.capacity = n ? n * 2 : BUCKETS_MIN;
    claims.buckets = xcalloc(claims.capacity, sizeof *claims.buckets);
    for (size_t i = 0; i < claims.capacity; i++)
        list_init(&claims.buckets[i]);
    for (size_t i = 0; i < n; i++) {
        struct list *item;
        while ((item = list_pop_front(&old[i]))) {
            struct claim *c = CONTAINER(item, struct claim, by_key);
            list_push_back(bucket_of(str_n(c->key, c->n)), item);
        }
    }
    free(old);
}

static struct claim *find(const struct pool *p, struct str key)
{
    if (!claims.capacity)
        return NULL;
    LIST_EACH(item, after, bucket_of(key))
    {
        struct claim *c = CONTAINER(item, struct claim, by_key);
        if (c->link->backend->pool == p && str_eq(str_n(c->key, c->n), key))
            return c;
    }
    return NULL;
}

static void drop(struct claim *c)
{
    list_remove(&c->by_key);
    list_remove(&c->on_link);
    c->link->claims_n--;
    claims.n--;
    free(c);
}

struct link *claim_find(const struct pool *p, struct str key)
{
    struct claim *c = key.n ? find(p, key) : NULL;
    return c ? c->link : NULL;
}

static int add(struct link *l, struct str key)
{
    struct claim *c = find(l->backend->pool, key);

    if (c && c->link == l)
        return 0;
    if (l->claims_n == CLAIMS_MAX)
        return -SLUICE_ERROR_LIMIT;
    if (c)
        drop(c);
    if (claims.n == claims.capacity)
        grow();
    c = xmalloc(sizeof *c + key.n);
    *c = (struct claim){.link = l, .n = key.n};
    memcpy(c->key, key.p, key.n);
    list_push_front(bucket_of(key), &c->by_key);
    list_push_front(&l->claims, &c->on_link);
    l->claims_n++;
    claims.n++;
    return 0;
}

int claim_on_frame(struct link *l, const struct sluice_frame *f)
{
    struct sluice_claim frame;
    int rc = sluice_claim_get(&frame, f);

    if (rc < 0)
        return rc;
    if (!frame.key.n || frame.key.n > CLAIM_KEY_MAX)
        return -SLUICE_ERROR_PROTOCOL;
    if (frame.type == SLUICE_CLAIM)
        return add(l, frame.key);
    struct claim *c = find(l->backend->pool, frame.key);
    if (c && c->link == l)
        drop(c);
    return 0;
}

void claim_forget_link(struct link *l)
{
    while (!list_is_empty(&l->claims))
        drop(CONTAINER(l->claims.next, struct claim, on_link));
}

void claims_fini(void)
{
    free(claims.buckets);
    claims.buckets = NULL;
    claims.capacity = 0;
}

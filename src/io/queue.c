/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/queue.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
    BLOCK_SMALL = 4096 - 64,  /* bytes of a stream's first block */
    BLOCK_LARGE = 32768 - 64, /* bytes of those behind it */
    SPARE_SMALL = 1024,       /* how many of each are kept */
    SPARE_LARGE = 128,
    SPARE_REFS = 4096,
};

struct segment {
    struct segment *next;
    const uint8_t *p; /* what is left: in bytes[], or referred to */
    size_t n;
    size_t capacity;     /* of bytes[]; 0: a reference */
    queue_done_fn *done; /* of a reference */
    const void *ref;     /* as it was given, for done */
    size_t ref_n;
    void *arg;
    uint8_t bytes[];
};

struct spare {
    struct segment *first;
    size_t n, max;
    size_t capacity; /* bytes of each */
};

struct blocks {
    struct spare small, large, refs;
};

struct blocks *blocks_create(void)
{
    struct blocks *b = xcalloc(1, sizeof *b);
    b->small = (struct spare){.max = SPARE_SMALL, .capacity = BLOCK_SMALL};
    b->large = (struct spare){.max = SPARE_LARGE, .capacity = BLOCK_LARGE};
    b->refs = (struct spare){.max = SPARE_REFS};
    return b;
}

static void free_spare(struct spare *s)
{
    while (s->first) {
        struct segment *seg = s->first;
        s->first = seg->next;
        free(seg);
    }
}

void blocks_destroy(struct blocks *b)
{
    free_spare(&b->small);
    free_spare(&b->large);
    free_spare(&b->refs);
    free(b);
}

static struct segment *block_take(struct spare *s)
{
    struct segment *seg = s->first;
    if (seg) {
        s->first = seg->next;
        s->n--;
    } else {
        seg = xmalloc(sizeof *seg + s->capacity);
        seg->capacity = s->capacity;
        seg->done = NULL;
    }
    seg->next = NULL;
    seg->p = seg->bytes;
    seg->n = 0;
    return seg;
}

static void segment_free(struct segment *seg, struct blocks *spare)
{
    struct spare *s = seg->capacity == 0             ? &spare->refs
                      : seg->capacity == BLOCK_SMALL ? &spare->small
                                                     : &spare->large;
    if (seg->done)
        seg->done(seg->ref, seg->ref_n, seg->arg);
    if (s->n < s->max) {
        seg->next = s->first;
        s->first = seg;
        s->n++;
    } else {
        free(seg);
    }
}

static void append(struct queue *q, struct segment *seg)
{
    if (q->last) {
        seg->next = q->last->next;
        q->last->next = seg;
    } else {
        seg->next = seg;
    }
    q->last = seg;
}

static size_t room_in(const struct segment *seg)
{
    if (!seg || seg->capacity == 0)
        return 0;
    return seg->capacity - (size_t)(seg->p + seg->n - seg->bytes);
}

void queue_put(struct queue *q, struct blocks *spare, const void *p, size_t n)
{
    const uint8_t *from = p;

    q->n += n;
    while (n) {
        size_t room = room_in(q->last);
        if (!room) {
            bool small = !q->last && n <= BLOCK_SMALL;
            append(q, block_take(small ? &spare->small : &spare->large));
            continue;
        }
        size_t take = n < room ? n : room;
        struct segment *seg = q->last;
        memcpy(seg->bytes + (seg->p + seg->n - seg->bytes), from, take);
        seg->n += take;
        from += take;
        n -= take;
    }
}

void queue_put_ref(struct queue *q, struct blocks *spare, const void *p,
                   size_t n, queue_done_fn *done, void *arg)
{
    struct segment *seg = block_take(&spare->refs);
    seg->p = seg->ref = p;
    seg->n = seg->ref_n = n;
    seg->done = done;
    seg->arg = arg;
    append(q, seg);
    q->n += n;
}

int queue_peek(const struct queue *q, struct iovec *iov, int max)
{
    const struct segment *s = q->last;
    int n = 0;

    while (s && n < max) {
        s = s->next;
        iov[n++] = (struct iovec){(void *)(uintptr_t)s->p, s->n};
        if (s == q->last)
            break;
    }
    return n;
}

void queue_drop(struct queue *q, struct blocks *spare, size_t n)
{
    check(n <= q->n);
    q->n -= n;
    while (q->last) {
        struct segment *seg = q->last->next;
        size_t take = n < seg->n ? n : seg->n;
        seg->p += take;
        seg->n -= take;
        n -= take;
        if (seg->n)
            break;
        if (seg == q->last)
            q->last = NULL;
        else
            q->last->next = seg->next;
        segment_free(seg, spare);
    }
}

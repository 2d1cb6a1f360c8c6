/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/queue.h - output that waits for the kernel.
 *
 * A list of segments: blocks that are filled by copying and come from the
 * loop's spare ones (so steady traffic allocates nothing), or references to
 * memory of others.  An empty queue owns nothing.
 */
#ifndef PENSTOCK_IO_QUEUE_H
#define PENSTOCK_IO_QUEUE_H

#include <stddef.h>
#include <sys/uio.h>

struct blocks;
struct segment;

struct blocks *blocks_create(void);
void blocks_destroy(struct blocks *b);

struct queue {
    struct segment *last; /* whose next is the first; NULL: none */
    size_t n;             /* bytes */
};

typedef void queue_done_fn(const void *p, size_t n, void *arg);

void queue_put(struct queue *q, struct blocks *spare, const void *p, size_t n);
void queue_put_ref(struct queue *q, struct blocks *spare, const void *p,
                   size_t n, queue_done_fn *done, void *arg);

/* Up to max pieces from the front; returns how many. */
int queue_peek(const struct queue *q, struct iovec *iov, int max);

/* n bytes from the front are gone. */
void queue_drop(struct queue *q, struct blocks *spare, size_t n);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/listener.h - a listening socket in an event loop.
 *
 * Accepts one connection a turn, and more while the socket stays ready,
 * non-blocking and close-on-exec.  When the
 * process runs out of descriptors it stops accepting for half a second
 * instead of spinning; connections wait in the kernel's backlog meanwhile.
 */
#ifndef PENSTOCK_IO_LISTENER_H
#define PENSTOCK_IO_LISTENER_H

#include "base/address.h"
#include "io/loop.h"
#include "io/timer.h"

struct event;
struct listener;

/* fd is the callee's.  remote is the peer's address. */
typedef void listener_accept_fn(void *owner, int fd,
                                const struct address *remote);

struct listener {
    struct loop *loop;
    struct event *event;
    int fd; /* borrowed */
    listener_accept_fn *on_accept;
    void *owner;
    unsigned allowance; /* connections that may be accepted this turn */
    uint64_t last_turn; /* in which the socket was ready */
    struct timer rest;  /* until accepting goes on */
    struct loop_task grave;
};

/* fd is a bound, listening, non-blocking socket; it stays the caller's. */
struct listener *listener_open(struct loop *loop, int fd,
                               listener_accept_fn *on_accept, void *owner);
void listener_close(struct listener *l); /* NULL is fine; fd stays open */

/* Stop accepting for a moment (worker_connections reached). */
void listener_rest(struct listener *l, uint64_t ms);

#endif

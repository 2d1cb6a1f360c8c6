/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/listeners.h - the addresses a worker listens on, across reloads, and
 * the clients that came through them.
 */
#ifndef PENSTOCK_SERVE_LISTENERS_H
#define PENSTOCK_SERVE_LISTENERS_H

#include "io/listener.h"
#include "serve/generation.h"

/* One listening socket of this worker.  Lives as long as a client of it. */
struct listener_slot {
    struct list link;
    struct listeners *listeners;
    struct listener *listener; /* NULL: closed by a reload or a drain */
    struct listen *listen;     /* in the current generation; NULL when closed */
    struct address address;
    int fd;
    unsigned references;
    bool held; /* one of them is that of struct listeners */
};

/* All of a worker: one struct per process, owned by the gateway's worker. */
struct listeners {
    struct loop *loop;
    struct generation *generation; /* the current one: a reference */
    struct list slots;
    struct list clients;
    uint64_t connections;                 /* now */
    uint64_t max_connections;             /* worker_connections */
    uint64_t next_number;                 /* of the next client */
    uint64_t accepted, handled, requests; /* stub_status's */
    bool draining;   /* no new requests, idle ones are closed */
    unsigned worker; /* 0.. : which of a listen's reuseport sockets */
};

void listener_slot_unref(struct listener_slot *slot);

void listeners_init(struct listeners *ls, struct loop *loop, unsigned worker,
                    uint64_t max_connections);

/*
 * Serve generation g from now on: sockets that are in it are listened on (its
 * fds are set; they become the callee's), others are closed.  Takes a
 * reference; requests under way keep their own.
 */
void listeners_adopt(struct listeners *ls, struct generation *g);

/* Stop accepting; idle connections close now, others after their request. */
void listeners_drain(struct listeners *ls);

/* Close everything at once. */
void listeners_fini(struct listeners *ls);

/* Give back what the process keeps for reuse, after its loop is destroyed. */
void serve_fini(void);

#endif

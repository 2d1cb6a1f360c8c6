/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/loss.h - a backend that is gone, and its sessions, which wait for
 * another one (SLUICE section 10); or one that hands its sessions over.
 *
 * The sessions of one lost link are parked in one struct loss, which belongs
 * to their pool.  Whenever a link of the pool becomes READY, every loss looks
 * for homes, some sessions in each turn of the loop; what is left when the
 * time is over is closed.
 */
#ifndef PENSTOCK_BRIDGE_LOSS_H
#define PENSTOCK_BRIDGE_LOSS_H

#include "bridge/link.h"

enum { LOSS_BATCH = 512 /* sessions resumed or closed in one turn */ };

struct loss {
    struct list in_pool;
    struct pool *pool;
    struct link *link; /* until it is freed */
    char *path;        /* of the backend */
    uint64_t boot_id;
    struct list sessions; /* on_link of each */
    size_t n;
    size_t to_look_at; /* of them, in this pass */
    bool any;          /* any backend will do: that one left for good */
    bool moved;        /* link lives: it gave them away */
    bool expired;
    uint64_t until_ms; /* when its time is over */
    struct timer timer;
    struct loop_task task;
    struct loop_task grave;
};

/* s has left l: park it.  moved: l gave it away. */
void loss_park(struct session *s, struct link *l, bool moved);
/* It ended, or has a home. */
void loss_unpark(struct session *s);

/* A link of the pool became READY: whose sessions may it have? */
void pool_place_all(struct pool *p);

/* The pool goes: nobody waits longer than this for a backend that nothing names
 * any more. */
void loss_hurry(struct pool *p, uint64_t timeout_ms);

/* Could another backend of its pool have s? */
bool loss_has_home(const struct session *s);

/* The link is freed: its loss, if any, outlives it. */
void loss_forget_link(struct link *l);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* io/watches.h - all watches of a loop, as the loop drives them. */
#ifndef PENSTOCK_IO_WATCHES_H
#define PENSTOCK_IO_WATCHES_H

struct event_base;
struct loop;
struct watches;

struct watches *watches_create(struct loop *loop);
void watches_destroy(struct watches *ws);

/* Wait for so many ms (0: look, -1: for ever) and tell whose descriptors are
 * ready. */
void watches_wait(struct watches *ws, int wait_ms);

/* From now on libevent is waited for too, which takes one more system call in
 * each turn. */
void watches_join(struct watches *ws, struct event_base *base);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/timer.h - timeouts by the thousand: coarse, and cheap to push back.
 *
 * A wheel with a tick of TIMER_TICK_MS.  A timer fires at the first tick at or
 * after its time, never before it.  Setting a timer that is already queued to
 * a later time only changes a number (it is put back when its old place comes
 * up), so a timeout may be pushed back on every message for free.  An empty
 * wheel does not wake the process.
 */
#ifndef PENSTOCK_IO_TIMER_H
#define PENSTOCK_IO_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct loop;

enum { TIMER_TICK_MS = 10 };

struct timer {
    struct list link;   /* zeroed: not set */
    uint64_t due_ms;    /* monotonic */
    uint64_t queued_ms; /* the place in the wheel, <= due_ms */
    void (*fire)(struct timer *timer);
};

/* fire is called once; it may set the timer again. */
void timer_init(struct timer *t, void (*fire)(struct timer *timer));
void timer_set(struct loop *loop, struct timer *t, uint64_t delay_ms);
void timer_clear(struct timer *t); /* fine when it is not set */

static inline bool timer_is_set(const struct timer *t)
{
    return list_is_linked(&t->link);
}

#endif

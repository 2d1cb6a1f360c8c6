/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/timer.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "io/loop.h"
#include "wheel.h"

enum {
    SLOTS = 4096, /* a power of two: 41 s at 10 ms; later ones go round */
    WORDS = SLOTS / 64,
};

/*
 * A tick is ms / TIMER_TICK_MS.  Slot i holds the timers queued for a tick
 * that is i modulo SLOTS, all within one round of the wheel.  Timers further
 * away are queued at the far end and put back from there.
 */
struct timers {
    struct loop *loop;
    struct event *wake;
    uint64_t now_tick;   /* everything before it has fired */
    uint64_t armed_tick; /* the wake-up that is set, or 0 */
    unsigned queued;
    uint64_t used[WORDS]; /* one bit a slot that may be non-empty */
    struct list slots[SLOTS];
};

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct timers *ts = arg;
    (void)fd, (void)what;
    loop_enter(ts->loop);
    ts->armed_tick = 0;
}

struct timers *timers_create(struct loop *loop)
{
    struct timers *ts = xcalloc(1, sizeof *ts);
    ts->loop = loop;
    ts->wake = event_new(loop->base, -1, 0, on_wake, ts);
    check(ts->wake != NULL);
    ts->now_tick = clock_now_ms() / TIMER_TICK_MS;
    for (size_t i = 0; i < SLOTS; i++)
        list_init(&ts->slots[i]);
    return ts;
}

void timers_destroy(struct timers *ts)
{
    event_free(ts->wake);
    free(ts);
}

void timer_init(struct timer *t, void (*fire)(struct timer *timer))
{
    *t = (struct timer){.fire = fire};
}

static uint64_t tick_of(uint64_t ms)
{
    return (ms + TIMER_TICK_MS - 1) / TIMER_TICK_MS;
}

static void queue(struct timers *ts, struct timer *t)
{
    uint64_t tick = tick_of(t->due_ms);
    if (tick <= ts->now_tick)
        tick = ts->now_tick + 1;
    if (tick >= ts->now_tick + SLOTS)
        tick = ts->now_tick + SLOTS - 1;
    t->queued_ms = tick * TIMER_TICK_MS;
    size_t slot = tick & (SLOTS - 1);
    list_push_back(&ts->slots[slot], &t->link);
    ts->used[slot / 64] |= UINT64_C(1) << (slot & 63);
}

/* The first tick after now_tick with a timer, or 0. */
static uint64_t next_tick(const struct timers *ts)
{
    for (uint64_t i = 1; i < SLOTS;) {
        uint64_t slot = (ts->now_tick + i) & (SLOTS - 1);
        uint64_t word = ts->used[slot / 64] >> (slot & 63);
        if (word) {
            i += (uint64_t)__builtin_ctzll(word);
            return i < SLOTS ? ts->now_tick + i : 0;
        }
        i += 64 - (slot & 63);
    }
    return 0;
}

static void arm(struct timers *ts, uint64_t tick)
{
    if (ts->armed_tick && ts->armed_tick <= tick)
        return; /* an earlier wake-up will look again */
    uint64_t now_ms = clock_now_ms();
    uint64_t at_ms = tick * TIMER_TICK_MS;
    uint64_t wait = at_ms > now_ms ? at_ms - now_ms : 0;
    struct timeval tv = {.tv_sec = (time_t)(wait / 1000),
                         .tv_usec = (suseconds_t)(wait % 1000 * 1000)};
    event_add(ts->wake, &tv);
    ts->armed_tick = tick;
}

void timer_set(struct loop *loop, struct timer *t, uint64_t delay_ms)
{
    struct timers *ts = loop->timers;

    t->due_ms = clock_now_ms() + delay_ms;
    if (timer_is_set(t)) {
        if (t->due_ms >= t->queued_ms)
            return;
        list_remove(&t->link);
    }
    queue(ts, t);
    arm(ts, t->queued_ms / TIMER_TICK_MS);
}

void timer_clear(struct timer *t)
{
    list_remove(&t->link);
}

static void fire_slot(struct timers *ts, uint64_t tick, uint64_t now_ms)
{
    size_t slot = tick & (SLOTS - 1);
    struct list due;

    list_init(&due);
    list_splice(&due, &ts->slots[slot]);
    ts->used[slot / 64] &= ~(UINT64_C(1) << (slot & 63));
    struct list *link;
    while ((link = list_pop_front(&due))) {
        struct timer *t = CONTAINER(link, struct timer, link);
        if (t->due_ms > now_ms)
            queue(ts, t); /* it was pushed back, or is rounds away */
        else
            t->fire(t);
    }
}

void timers_run(struct timers *ts)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t now = now_ms / TIMER_TICK_MS;
    uint64_t tick;

    /* After a long stop one round looks at every slot; who is not due is put
     * back once and not once for each round that was missed. */
    if (now > ts->now_tick + SLOTS)
        ts->now_tick = now - SLOTS;
    while ((tick = next_tick(ts)) && tick <= now) {
        ts->now_tick = tick;
        fire_slot(ts, tick, now_ms);
    }
    if (now > ts->now_tick)
        ts->now_tick = now;
    if (tick)
        arm(ts, tick);
}

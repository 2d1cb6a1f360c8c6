/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/timer.h"

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
    uint64_t now_tick;    /* everything before it has fired */
    uint64_t used[WORDS]; /* one bit a slot that may be non-empty */
    struct list slots[SLOTS];
};

struct timers *timers_create(void)
{
    struct timers *ts = xcalloc(1, sizeof *ts);
    ts->now_tick = clock_now_ms() / TIMER_TICK_MS;
    for (size_t i = 0; i < SLOTS; i++)
        list_init(&ts->slots[i]);
    return ts;
}

void timers_destroy(struct timers *ts)
{
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

int timers_wait_ms(const struct timers *ts)
{
    uint64_t tick = next_tick(ts);
    if (!tick)
        return -1;
    /* The clock is the last turn's; what has passed since makes this a
     * little late, and never early. */
    uint64_t now_ms = clock_now_ms(), at_ms = tick * TIMER_TICK_MS;
    return at_ms > now_ms ? (int)(at_ms - now_ms) : 0;
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
}

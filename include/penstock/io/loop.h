/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/loop.h - one process's event loop, and what happens at a turn's end.
 *
 * A turn: the kernel says which sockets are ready, each callback runs, then
 * the turn ends: streams with something queued are flushed in one call each,
 * and what died is freed.  So nothing is freed while its callback is on the
 * stack, and what one turn produces for one socket leaves together.
 */
#ifndef PENSTOCK_IO_LOOP_H
#define PENSTOCK_IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct event_base;
struct timers;
struct blocks;

enum {
    LOOP_READ_SIZE = 128 * 1024, /* bytes asked of the kernel at once */
    LOOP_CROWD_MAX = 64,         /* tasks of loop_defer_crowd() in one turn */
};

/* Something that asks to be called once; zeroed: it does not ask. */
struct loop_task {
    struct list link;
    void (*run)(struct loop_task *task);
};

struct loop {
    struct event_base *base;
    struct timers *timers; /* io/timer.c's */
    struct blocks *blocks; /* io/queue.c's spare output blocks */
    struct list tasks;     /* run at the end of this turn */
    struct list next;      /* run in the next turn */
    struct list crowd;     /* run at the end of this turn, or of later ones */
    struct list graves;    /* run after all tasks of this turn */
    uint8_t *read_buffer;
    size_t read_capacity;
    bool stop;
    bool clock_fresh; /* the clock was read in this turn */
    uint64_t turns;
};

struct loop *loop_create(void);
void loop_destroy(struct loop *loop); /* runs what is still buried */

/* Turn until loop_stop(). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* One turn; waits for events when wait is true and nothing else is due. */
void loop_turn(struct loop *loop, bool wait);

/* Every callback from the kernel calls this first: reads the clock once. */
void loop_enter(struct loop *loop);

/* Run task at the end of this turn, or in the next one; asking twice is
 * asking once. */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_defer_next(struct loop *loop, struct loop_task *task);

/* Run task soon: of those that ask so only LOOP_CROWD_MAX run in a turn, so
 * that thousands that have the same to do hold nobody else up. */
void loop_defer_crowd(struct loop *loop, struct loop_task *task);

/* It asks no more; fine when it did not. */
void loop_cancel(struct loop_task *task);

/* Run task (it frees its object) when all deferred tasks of this turn ran. */
void loop_bury(struct loop *loop, struct loop_task *task);

#endif

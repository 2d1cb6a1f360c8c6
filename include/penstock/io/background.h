/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/background.h - work that would hold the loop for long, on a thread.
 *
 * For pure computing (a slow password hash): work() runs on the thread and
 * touches nothing but its job; done() runs on the loop afterwards.  One thread
 * a process, started with the first job; jobs run in order.
 */
#ifndef PENSTOCK_IO_BACKGROUND_H
#define PENSTOCK_IO_BACKGROUND_H

#include "io/loop.h"

enum {
    BACKGROUND_MAX = 128 /* jobs that may wait */
};

/* The caller's; alive until done() was called, which may free it. */
struct background_job {
    struct list link;
    void (*work)(struct background_job *job);
    void (*done)(struct background_job *job);
};

/* False: too many wait, or there is no thread to be had; nothing is called
 * then. */
bool background_run(struct loop *loop, struct background_job *job);

/* Before the loop ends: waits for the job under way, then done() is called for
 * every job, run or not. */
void background_stop(void);

#endif

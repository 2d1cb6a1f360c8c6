/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master_parts.h - what the files of the master share: master.c is its loop,
 * its signals and what it hears, workers.c the lives of its workers.
 */
#ifndef PENSTOCK_GATEWAY_MASTER_PARTS_H
#define PENSTOCK_GATEWAY_MASTER_PARTS_H

#include "load.h"
#include "process.h"

/* A worker's number, and when it may have a new process. */
struct place {
    struct process *process; /* that serves, or NULL */
    uint64_t start_ms, backoff_ms;
};

struct master {
    struct load how;
    struct generation *current;
    int bundle;
    unsigned last_number; /* of generations, also of refused ones */
    struct list processes;
    struct place *places;
    size_t places_n;
    int signal_fd;
    int ready_fd;
    uint64_t epoch;
    bool quitting, stopping, backends_told;
    uint64_t kill_ms;
    bool announced; /* that all workers run the current generation */
};

#define PROCESS(item) CONTAINER(item, struct process, link)

/* A process for every place that is due to have one. */
void workers_start_due(struct master *m, uint64_t now_ms);
/* There are n places now; who has none any more is asked to leave. */
void workers_resize(struct master *m, size_t n);
/* Ask p to leave; its place is free for another. */
void workers_retire(struct master *m, struct process *p);
/* Take note of every child that ended, backends too. */
void workers_reap(struct master *m);
/* SIGKILL for all who are left when patience is over. */
void workers_kill_late(struct master *m, uint64_t now_ms);
void workers_forget(struct process *p);

#endif

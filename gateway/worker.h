/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/worker.h - one event-loop process.
 */
#ifndef PENSTOCK_GATEWAY_WORKER_H
#define PENSTOCK_GATEWAY_WORKER_H

#include "serve/generation.h"

struct worker_start {
    struct generation *generation; /* taken over; its sockets too */
    unsigned number;               /* of its place: which sockets are its own */
    unsigned identity; /* 0..511, no other's that lives: in clients' ids */
    int channel;       /* to the master */
    uint64_t epoch;    /* of this run of the gateway */
};

/* Serve until told to end, or until the master is gone and all is done.
 * Returns the exit code. */
int worker_run(const struct worker_start *start);

#endif

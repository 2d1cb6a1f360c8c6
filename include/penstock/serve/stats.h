/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/stats.h - how many connections and requests there are and were, over
 * all workers: stub_status and $connections_*.
 *
 * Each worker counts in its own place of memory that all share; a place whose
 * worker died keeps what is past and loses what was open.
 */
#ifndef PENSTOCK_SERVE_STATS_H
#define PENSTOCK_SERVE_STATS_H

#include "serve/client.h"

struct stats {
    uint64_t accepted, requests; /* since the start */
    uint64_t active, reading, writing;
};

/* Make the memory; before the first worker is forked. */
void stats_start(void);

/* This process is a worker: others that look for workers find it. */
void stats_join(void);
/* The pids of the other ones that live, at most max; how many. */
size_t stats_others(int *pids, size_t max);

/* A client came; what it is doing changed; it went. */
void stats_accepted(void);
void stats_client(struct client *c);
void stats_closed(struct client *c);
void stats_request(void);

/* Of all workers. */
struct stats stats_sum(void);

extern struct conf_module stub_status_module;
extern const struct variable stats_variables[];

#endif

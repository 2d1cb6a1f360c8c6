/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h - what links, pools and clients have done so far, in JSON: STATS for
 * a backend, backend_status for an operator.
 *
 * A link hears of its own pool only, and of its own clients.
 */
#ifndef PENSTOCK_SRC_BRIDGE_STATS_H
#define PENSTOCK_SRC_BRIDGE_STATS_H

#include "bridge/link.h"

/* STATS_REQ: 0, or a negated link-fatal code. */
int stats_on_request(struct link *l, const struct sluice_frame *f);
/* The link ends: what it still waits for is forgotten. */
void stats_forget_link(struct link *l);

/* A link has ended: its pool remembers what went over it. */
void counters_add(struct link_counters *to, const struct link_counters *c);

/*
 * INQUIRY_POOLS.  The question: "f" (figures) or "j" (and all in JSON), then
 * the name of a pool, or nothing for all of them.
 */
void stats_answer(struct str question, struct buf *out);

/* The answers, put together. */
struct stats_sums {
    struct buf processes; /* JSON of each process, by commas */
    struct pool_sum *pools;
    size_t pools_n;
    unsigned processes_n;
    bool in_full; /* "j" was asked */
};
void stats_sums_add(struct stats_sums *s, struct str answer);
void stats_sums_fini(struct stats_sums *s);
/* {"processes":...}, for all pools. */
void stats_sums_put(const struct stats_sums *s, unsigned missing,
                    struct buf *out);

#endif

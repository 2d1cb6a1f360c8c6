/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h - STATS_REQ and STATS: what a link, its pool in this process, or one
 * of its clients has done so far, in JSON.
 *
 * A link hears of its own pool only, and of its own clients.
 */
#ifndef PENSTOCK_SRC_BRIDGE_STATS_H
#define PENSTOCK_SRC_BRIDGE_STATS_H

#include "bridge/link.h"

/* 0, or a negated link-fatal code. */
int stats_on_request(struct link *l, const struct sluice_frame *f);

/* A link has ended: its pool remembers what went over it. */
void counters_add(struct link_counters *to, const struct link_counters *c);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What messages to groups have in common (group.c, bstream.c), and what the
 * gateways report of them (reports.c).
 */
#ifndef PENSTOCK_SRC_BACKEND_GROUP_H
#define PENSTOCK_SRC_BACKEND_GROUP_H

#include "internal.h"
#include "sluice/group.h"

/* Who is meant, and how it is sent. */
struct psb_target {
    int app;
    uint8_t opcode;
    bool nocompress;
    psb_group g; /* except points into ids */
    struct buf ids;
};

/* 0, or -1 with EINVAL.  To be freed also then. */
int psb_target_init(struct psb_target *t, psb_t *b, int app, int binary,
                    const psb_group *g);
void psb_target_fini(struct psb_target *t);

/* Is the link one of those that get it? */
bool psb_target_has(const struct psb_target *t, const struct psb_link *l);

/* May n bytes, and so many around them, be put there?  0, or an errno. */
int psb_link_room(const struct psb_link *l, size_t n, size_t around);

/* The fixed part of BROADCAST and BSTREAM, on this link. */
struct sluice_broadcast psb_target_head(const struct psb_target *t,
                                        const struct psb_link *l);

/* Frames were put; true: it is slow. */
bool psb_link_was_put(struct psb_link *l);

/* ---- reports.c ---- */

/*
 * What all links answered to one question, told when the last has, or is lost;
 * never under the call that asked.  Open, expect on each link that is asked,
 * seal.
 */
struct psb_report;
/* NULL with EAGAIN: too many are open. */
struct psb_report *psb_report_delivered(psb_t *b, const psb_group *g);
struct psb_report *psb_report_presence(psb_t *b, psb_presence_fn *done,
                                       void *arg);
struct psb_report *psb_report_stats(psb_t *b, psb_stats_fn *done, void *arg);
uint16_t psb_report_token(const struct psb_report *r);
void psb_report_expect(struct psb_report *r, struct psb_link *l);
void psb_report_seal(struct psb_report *r);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/ack.h - credit given back and progress told: ACK (SLUICE sections 8
 * and 9).
 *
 * One frame holds any number of 16-byte entries, gathered over a turn of the
 * event loop.  An entry is about a client: group sends spend no credit and
 * need no entry, so the id in one is never 0.
 */
#ifndef PENSTOCK_SLUICE_ACK_H
#define PENSTOCK_SLUICE_ACK_H

#include "sluice/frame.h"

enum {
    SLUICE_ACK_SIZE = 16 /* bytes of an entry */
};

struct sluice_ack {
    uint64_t cid;
    uint32_t bytes; /* credit returned to the client and to the link */
    uint32_t seq;   /* messages up to here are processed, or flushed */
};

/* sluice_frame_begin() with SLUICE_ACK, entries, sluice_frame_end(). */
bool sluice_ack_put_entry(struct buf *out, const struct sluice_ack *a);

/* 0, or -PROTOCOL when the payload is no row of entries. */
int sluice_ack_check(const struct sluice_frame *f);

/* Cut the next entry off *rest (the payload, checked).  False at the end. */
bool sluice_ack_next(struct str *rest, struct sluice_ack *a);

#endif

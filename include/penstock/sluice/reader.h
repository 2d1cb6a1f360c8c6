/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/reader.h - a link's bytes to frames.
 *
 * Knows what may follow what only so far: HELLO comes first and once.  Checks
 * of a frame that need nothing but the frame itself and what both sides
 * agreed on are made here (SLUICE section 15, link-fatal); the body is for
 * its xxx_get().  Pure, owns no memory: a frame is given whole and where it
 * lies, so the caller keeps a partial one and shows it again, longer.
 */
#ifndef PENSTOCK_SLUICE_READER_H
#define PENSTOCK_SLUICE_READER_H

#include "sluice/frame.h"

struct sluice_reader {
    enum sluice_role peer; /* who sends the frames; see below */
    uint32_t max_frame;    /* what our HELLO said we accept */
    uint64_t features;     /* in effect; the caller sets it after HELLO */
    bool hello_seen;
    uint8_t failed;   /* the error code that was returned, or 0 */
    uint8_t bad_type; /* the type at fault, for the ERROR frame */
    uint32_t missing; /* see sluice_reader_missing() */
    uint32_t skip;    /* bytes left of a frame that is skipped */
    uint64_t ignored; /* frames skipped so far */
};

/*
 * peer is SLUICE_ROLE_GATEWAY in a backend.  In a gateway it is
 * SLUICE_ROLE_BACKEND at first; set r->peer from the HELLO when the other
 * side turns out to be a publisher or a monitor.
 */
void sluice_reader_init(struct sluice_reader *r, enum sluice_role peer,
                        uint32_t max_frame);

/*
 * Take the next frame out of *in.
 *
 * Returns 1 with a frame, 0 when *in holds no whole frame (a partial one
 * stays in it), or a negated error code, fatal to the link:
 *   PROTOCOL       the first frame is not a HELLO or has no magic, a second
 *                  HELLO, type 0, the wrong sender, a cid of 2^53 or more or
 *                  one that does not suit the type, a fixed part cut short
 *   UNKNOWN_TYPE   below 0x80
 *   UNSUPPORTED    a type whose feature is not in effect
 *   FRAME_TOO_BIG  more than max_frame
 * Ignorable types (bit 7) are skipped silently, also in pieces.  What is
 * wrong is refused as soon as its header is there.  After a negative return
 * the reader is spent: later calls return the same.
 */
int sluice_reader_next(struct sluice_reader *r, struct span *in,
                       struct sluice_frame *f);

/* After a 0: at least so many more bytes are needed for the next frame. */
static inline uint32_t sluice_reader_missing(const struct sluice_reader *r)
{
    return r->missing;
}

#endif

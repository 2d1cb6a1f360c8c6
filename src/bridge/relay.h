/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay.h - what one worker has for all others, and whose business it is.
 *
 * It is written into a memfd, which the master passes on unread; the first
 * byte says what it is.
 */
#ifndef PENSTOCK_SRC_BRIDGE_RELAY_H
#define PENSTOCK_SRC_BRIDGE_RELAY_H

#include "bridge/publish.h"

/* The first byte; publish.c's are opcodes of messages. */
enum relay_kind {
    RELAY_PUBLICATION_MAX = 15,
    RELAY_QUESTION = 16,
    RELAY_ANSWER = 17,
};

/* The parts, one behind the other.  False: not now.  Where there are no other
 * workers it is sent to all of them. */
bool relay_send(const struct str *parts, size_t n);
bool relay_has_others(void);

/* ---- who takes it ---- */
void publish_take(struct str all);
/* The same for who wants to know; what became of it as four u32. */
void publish_answer(struct str all, struct buf *out);
void inquiry_take(struct str all);

#endif

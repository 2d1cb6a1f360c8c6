/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sluice/close.h - how a client ends: CLOSE and CLOSED (SLUICE sections 6
 * and 7).  TERMINATE is sluice_empty_put().
 */
#ifndef PENSTOCK_SLUICE_CLOSE_H
#define PENSTOCK_SLUICE_CLOSE_H

#include "sluice/frame.h"

struct sluice_close {
    uint64_t cid;
    uint16_t code; /* 0: an empty Close frame */
    struct str reason;
};
bool sluice_close_put(struct buf *out, const struct sluice_close *c);

/* -WS_PROTOCOL (client-fatal): a code that may not be sent, a reason of more
 * than 123 bytes or without a code; -BAD_UTF8: a reason that is not. */
int sluice_close_get(struct sluice_close *c, const struct sluice_frame *f);

/* 1000-1003, 1007-1014, 3000-4999: what a Close frame may carry (section
 * 15, RFC 6455 section 7.4). */
bool sluice_close_code_is_legal(unsigned code);

struct sluice_closed {
    uint64_t cid;
    uint16_t code;     /* 1005 and 1006 too */
    uint8_t cause;     /* enum sluice_cause */
    uint8_t flags;     /* enum sluice_closed_flag */
    uint16_t error;    /* errno, or 0 */
    uint32_t lost_out; /* messages taken from the backend and not written */
    uint64_t bytes_in, bytes_out; /* on the wire, after the upgrade */
    uint32_t messages_in, messages_out;
    struct str reason;
};
bool sluice_closed_put(struct buf *out, const struct sluice_closed *c);
int sluice_closed_get(struct sluice_closed *c, const struct sluice_frame *f);

#endif

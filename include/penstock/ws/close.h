/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/close.h - close codes, and the payload of a Close frame.
 *
 * RFC 6455 sections 5.5.1 and 7.4, and the codes registered with IANA since.
 * Pure.
 */
#ifndef PENSTOCK_WS_CLOSE_H
#define PENSTOCK_WS_CLOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "ws/frame.h"

/* Section 7.4.1 and the IANA registry of close codes. */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NONE = 1005,     /* a Close without a code; never sent */
    WS_CLOSE_ABNORMAL = 1006, /* no Close at all; never sent */
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_EXTENSION = 1010, /* only a client sends it */
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_RESTART = 1012,
    WS_CLOSE_TRY_LATER = 1013,
    WS_CLOSE_BAD_GATEWAY = 1014,
    WS_CLOSE_TLS = 1015, /* never sent */
};

enum {
    WS_REASON_MAX = WS_CONTROL_MAX - 2 /* bytes of a close reason */
};

/*
 * May a Close frame carry it?  1000-1003, 1007-1014 and 3000-4999; the rest is
 * reserved or says that no Close was sent.  1010 is a client's to say, but a
 * server may echo it (5.5.1), so both questions have one answer today.
 */
bool ws_close_code_may_be_received(unsigned code);
bool ws_close_code_may_be_sent(unsigned code);

/*
 * Write the payload of a Close frame: the code in network order, then the
 * reason.  A reason longer than WS_REASON_MAX is cut at a character boundary,
 * one that is not UTF-8 where it stops being so: what is written is legal.
 * WS_CLOSE_NONE gives an empty payload; any other code that may not be sent
 * is a broken promise.  Returns the bytes written.
 */
size_t ws_close_payload(uint8_t out[WS_CONTROL_MAX], unsigned code,
                        struct str reason);

/*
 * Read the payload of a received Close frame; *code is WS_CLOSE_NONE when it
 * is empty, *reason points into payload.  Returns 0, -1002 for a payload of
 * one byte or a code that may not be received, -1007 for a reason that is not
 * UTF-8.
 */
int ws_close_decode(struct span payload, uint16_t *code, struct span *reason);

#endif

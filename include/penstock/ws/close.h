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

/* May a Close frame of a client carry it?  1000-1003, 1007-1014 and
 * 3000-4999; the rest is reserved or means that no Close was sent. */
bool ws_close_code_may_be_received(unsigned code);

/* May a server send it?  The same but 1010, which is a client's to say. */
bool ws_close_code_may_be_sent(unsigned code);

/*
 * Write the payload of a Close frame: the code in network order, then the
 * reason, which must be UTF-8 and is cut at a character boundary when longer
 * than WS_REASON_MAX.  Code WS_CLOSE_NONE gives an empty payload; any other
 * that may not be sent is a broken promise.  Returns the bytes written.
 */
size_t ws_close_payload(uint8_t out[WS_CONTROL_MAX], unsigned code,
                        struct str reason);

/*
 * Read the payload of a received Close frame; *code is WS_CLOSE_NONE when it
 * is empty and *reason borrows from p.  Returns 0, -1002 for a payload of one
 * byte or a code that may not be received, -1007 for a reason not in UTF-8.
 */
int ws_close_decode(const uint8_t *p, size_t n, uint16_t *code,
                    struct span *reason);

#endif

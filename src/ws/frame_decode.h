/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The decoder behind ws_header_decode() and ws_header_decode_draft(), for the
 * two places that need it inlined: the reader asks for each frame, and for a
 * short one the call and the header in memory cost as much as the rest.
 */
#ifndef PENSTOCK_SRC_WS_FRAME_DECODE_H
#define PENSTOCK_SRC_WS_FRAME_DECODE_H

#include <string.h>

#include "base/bytes.h"
#include "ws/close.h"
#include "ws/frame.h"

/* RFC 6455 section 5.2: 3-7 and 0xb-0xf are reserved. */
static inline bool opcode_is_known(unsigned opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

static inline int frame_decode(struct ws_header *h, const uint8_t *p, size_t n,
                               bool draft)
{
    if (n < WS_HEADER_MIN)
        return 0;

    unsigned op = p[0] & 0x0f;
    unsigned short_length = p[1] & 0x7f;
    size_t length_size = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
    bool masked = p[1] & 0x80;
    size_t size = WS_HEADER_MIN + length_size + (masked ? 4 : 0);

    /* Refuse before waiting for the rest: a peer that is already wrong
     * should not be able to hold the connection open for ten more bytes. */
    bool fin = p[0] & 0x80;
    if (!opcode_is_known(op))
        return -WS_CLOSE_PROTOCOL_ERROR;
    if (ws_is_control(op) && (!fin || short_length > WS_CONTROL_MAX))
        return -WS_CLOSE_PROTOCOL_ERROR;
    if (length_size == 8 && n > WS_HEADER_MIN && p[2] & 0x80)
        return -WS_CLOSE_PROTOCOL_ERROR;
    if (n < size)
        return 0;

    uint64_t length = short_length;
    if (length_size == 2)
        length = be16_get(p + 2);
    else if (length_size == 8)
        length = be64_get(p + 2);
    bool overlong = (length_size == 2 && length < 126) ||
                    (length_size == 8 && length <= UINT16_MAX);
    if (overlong && !draft)
        return -WS_CLOSE_PROTOCOL_ERROR;

    *h = (struct ws_header){
        .opcode = op,
        .fin = fin,
        .masked = masked,
        .rsv = p[0] >> 4 & 0x7,
        .length = length,
    };
    if (masked)
        memcpy(h->key, p + size - 4, 4);
    return (int)size;
}

#endif

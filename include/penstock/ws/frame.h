/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/frame.h - one WebSocket frame header, as bytes and as a struct.
 *
 * RFC 6455 section 5.2.  Pure: no I/O, no allocation, no clock.  Knows the
 * shape of a single header and nothing about what came before it; fragment
 * order, masking policy and size limits belong to ws/reader.h.
 */
#ifndef PENSTOCK_WS_FRAME_H
#define PENSTOCK_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WS_HEADER_MIN = 2,    /* bytes: flags + opcode, mask + length */
    WS_HEADER_MAX = 14,   /* bytes: 2 + 8 length + 4 key */
    WS_CONTROL_MAX = 125, /* payload bytes in ping, pong, close; 5.5 */
};

/* RFC 6455 section 11.8; the gaps are reserved. */
enum ws_opcode {
    WS_CONT = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

/* The bits of ws_header.rsv. */
enum {
    WS_RSV1 = 4,
    WS_RSV2 = 2,
    WS_RSV3 = 1,
};

struct ws_header {
    enum ws_opcode opcode;
    bool fin;
    bool masked;
    uint8_t rsv;     /* 0..7: RSV1 is 4, RSV2 is 2, RSV3 is 1 */
    uint8_t key[4];  /* wire order; meaningful when masked */
    uint64_t length; /* payload bytes, 0..2^63-1 */
};

static inline bool ws_is_control(unsigned opcode)
{
    return opcode & 0x8;
}

/*
 * Read one header from the front of the n bytes at p.
 *
 * Returns the header's size in bytes (2..14), 0 when n is too short to hold
 * it, or -1002 (the close code to send) when the bytes can never be a legal
 * header.  h is written only on success.
 */
int ws_header_decode(struct ws_header *h, const uint8_t *p, size_t n);

/* The same for drafts before hybi-14: a length may be written in more bytes
 * than it needs. */
int ws_header_decode_draft(struct ws_header *h, const uint8_t *p, size_t n);

/*
 * Write h at out, with the shortest length form that fits (5.2).
 * Returns bytes written, 2..14.  h must be legal: this cannot fail.
 */
size_t ws_header_encode(uint8_t out[WS_HEADER_MAX], const struct ws_header *h);

/* The header of a whole message, as a server sends it: unmasked (5.1). */
static inline size_t ws_server_header(uint8_t out[WS_HEADER_MAX],
                                      enum ws_opcode opcode, uint64_t length)
{
    struct ws_header h = {.opcode = opcode, .fin = true, .length = length};
    return ws_header_encode(out, &h);
}

#endif

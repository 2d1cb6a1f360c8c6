/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/reader.h - a client's WebSocket bytes to events.
 *
 * RFC 6455 sections 5 to 8, the server's side.  Payload is unmasked in place
 * and given in chunks as it arrives; order of fragments, masking, reserved
 * bits, limits and UTF-8 are checked here, so what an event says is so.
 * Pure: no I/O, no clock.  The struct is the caller's and owns no memory but
 * a control frame that came in pieces.
 */
#ifndef PENSTOCK_WS_READER_H
#define PENSTOCK_WS_READER_H

#include "base/str.h"
#include "base/utf8.h"
#include "ws/frame.h"

struct ws_limits {
    uint64_t max_message;   /* bytes, all fragments together; over: -1009 */
    uint64_t max_frame;     /* bytes of one frame; over: -1009 */
    uint32_t max_fragments; /* frames of one message; over: -1008 */
};

enum ws_event_type {
    WS_EVENT_DATA = 1, /* opcode, first, last, data (may be empty) */
    WS_EVENT_PING,     /* data: at most 125 bytes */
    WS_EVENT_PONG,
    WS_EVENT_CLOSE, /* code (1005: none was sent), data = reason, UTF-8 */
};

struct ws_event {
    enum ws_event_type type;
    enum ws_opcode opcode; /* DATA: WS_TEXT or WS_BINARY of the message */
    bool first;            /* DATA: the first chunk of a message */
    bool last;             /* DATA: the last chunk of it */
    uint16_t code;         /* CLOSE */
    struct span data;      /* unmasked; in the input or in the reader */
};

struct ws_reader {
    const struct ws_limits *limits; /* borrowed; may be changed any time */
    uint64_t left;                  /* payload bytes of the frame to come */
    uint64_t message_size;          /* bytes so far */
    uint64_t wire_bytes;            /* everything consumed, framing too */
    struct ws_header frame;
    struct utf8 utf8;
    uint32_t fragments;
    uint32_t mask_at; /* position in the key, 0..3 */
    uint8_t opcode;   /* of the message under way, 0: none */
    bool in_frame;
    bool first;     /* the next chunk is the message's first */
    bool closed;    /* a Close was read: nothing after it counts */
    int16_t failed; /* the negative code that was returned, or 0 */
    uint8_t control_n;
    uint8_t control[WS_CONTROL_MAX];
};

void ws_reader_init(struct ws_reader *r, const struct ws_limits *limits);

/*
 * Take the next event out of *in; the bytes are changed (unmasked).
 *
 * Returns 1 with an event, 0 when *in is used up (up to 13 bytes of a header
 * may stay) and more is needed, or the negated close code to send:
 *   -1002  broken framing, a frame without a mask, a bad close frame
 *   -1007  text or a close reason that is not UTF-8
 *   -1008  too many fragments
 *   -1009  a frame or message over its limit
 * After a negative return the reader is spent: later calls return the same.
 */
int ws_reader_next(struct ws_reader *r, struct span *in, struct ws_event *ev);

#endif

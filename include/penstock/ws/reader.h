/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/reader.h - a peer's WebSocket bytes to events.
 *
 * RFC 6455 sections 5 to 8.  Payload is unmasked in place and given in chunks
 * as it arrives; order of fragments, masking, reserved bits, limits, close
 * codes and UTF-8 are checked here, so what an event says is so.  Pure: no
 * I/O, no clock, no allocation.  The struct is the caller's and owns nothing;
 * a control frame stays in the input until it is whole.
 */
#ifndef PENSTOCK_WS_READER_H
#define PENSTOCK_WS_READER_H

#include "base/str.h"
#include "base/utf8.h"
#include "ws/frame.h"

/* Checked when a frame's header is read, before any of its payload. */
struct ws_limits {
    uint64_t max_message;   /* bytes, all fragments together; over: -1009 */
    uint64_t max_frame;     /* bytes of one data frame; over: -1009 */
    uint32_t max_fragments; /* frames of one message; over: -1008 */
};

enum ws_event_type {
    WS_EVENT_DATA = 1, /* opcode, rsv, first, last, data (may be empty) */
    WS_EVENT_PING,     /* data: at most 125 bytes */
    WS_EVENT_PONG,
    WS_EVENT_CLOSE, /* code (1005: none was sent), data = reason, UTF-8 */
};

struct ws_event {
    enum ws_event_type type;
    enum ws_opcode opcode; /* DATA: WS_TEXT or WS_BINARY of the message */
    uint8_t rsv;           /* DATA: an extension's bits of the message */
    bool first;            /* DATA: the first chunk of a message */
    bool last;             /* DATA: the last chunk of it */
    uint16_t code;         /* CLOSE */
    struct span data;      /* unmasked, in the input's memory */
};

enum {
    /* Bytes that may stay in the input when more is needed: a control frame
     * with its key, but for its last byte. */
    WS_READER_LEFT_MAX = WS_HEADER_MIN + 4 + WS_CONTROL_MAX - 1
};

struct ws_reader {
    const struct ws_limits *limits; /* borrowed; may be changed any time */
    uint64_t left;                  /* payload bytes of the frame to come */
    uint64_t message_size;          /* bytes announced by its headers so far */
    uint64_t wire_bytes;            /* everything consumed, framing too */
    uint32_t fragments;             /* frames of the message so far */
    uint8_t key[4];                 /* of the frame under way */
    struct utf8 utf8;
    uint8_t key_at; /* position in the key, 0..3 */
    uint8_t opcode; /* of the message under way, 0: none */
    uint8_t rsv;    /* of its first frame */

    /*
     * May be set after ws_reader_init(), before the first byte.
     *
     * extension_rsv: reserved bits that negotiated extensions gave a meaning
     * to on the first frame of a message.  UTF-8 of a message that carries
     * one is the extension's to check: its payload is not yet text.
     * expect_mask: true for a server; false reads a server's frames, which
     * must not be masked.
     */
    uint8_t extension_rsv;
    bool expect_mask;
    bool draft; /* versions 7 and 8, see ws/framing.h */

    bool in_frame;  /* a data frame's header was read, its payload not */
    bool fin;       /* that frame is the last of its message */
    bool first;     /* the next chunk is the message's first */
    bool closed;    /* a Close was read: nothing after it counts */
    uint8_t state;  /* of a framing that has more of them */
    int16_t failed; /* the negative code that was returned, or 0 */
};

void ws_reader_init(struct ws_reader *r, const struct ws_limits *limits);

/*
 * Take the next event out of *in (bytes that were used have been unmasked, so
 * the memory must be writable); ev->data is good as long as that memory.
 *
 * Chunks of a text message may end inside a character; an empty chunk is
 * given only when it is the last.  After a Close event all input is used up
 * unread (5.5.1).
 *
 * Returns 1 with an event; 0 when more is needed: what *in then still holds,
 * at most WS_READER_LEFT_MAX bytes, must be shown again with more behind it;
 * or the negated close code to send before hanging up:
 *   -1002  broken framing, a frame without a mask, a bad close frame
 *   -1007  text or a close reason that is not UTF-8
 *   -1008  too many fragments
 *   -1009  a frame or message over its limit
 * After a negative return the reader is spent: later calls return the same.
 */
int ws_reader_next(struct ws_reader *r, struct span *in, struct ws_event *ev);

/*
 * The last n bytes of the data that ws_reader_next() has just given were not
 * used: they are masked again and given back to *in, the rest of that call's
 * input, to be read once more.  0 < n <= ev->data.n; the event has then not
 * been the last of its message.
 */
void ws_reader_unread(struct ws_reader *r, struct span *in,
                      const struct ws_event *ev, size_t n);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * unit/ws/transcript.h - client frames in, what the reader says as text.
 *
 * Frames are masked with a fixed key as they are built.  The transcript does
 * not show how the input was cut: chunks of one message are joined, and a
 * message that did not end is not there.
 */
#ifndef PENSTOCK_TESTS_UNIT_WS_TRANSCRIPT_H
#define PENSTOCK_TESTS_UNIT_WS_TRANSCRIPT_H

#include "support/test.h"

#include "base/buf.h"
#include "ws/framing.h"

enum {
    RAW = -1,      /* the bytes as they are, not a frame */
    UNMASKED = -2, /* flags and opcode are the first byte of the text */
    FRAMES_MAX = 8
};

struct piece {
    int first; /* the frame's first byte, RAW or UNMASKED */
    struct str text;
};

#define F(first, text)                                                         \
    {                                                                          \
        first, STR_INIT(text)                                                  \
    }

struct transcript {
    const struct ws_framing *framing; /* NULL: that of version 13 */
    struct ws_reader reader;
    struct ws_limits limits;
    uint8_t extension_rsv;
    bool client; /* reads what a server sends */
    struct buf out, message;
    uint64_t shown; /* bytes consumed, to hold against wire_bytes */
    const char *why, *expected;
};

void put_piece(struct buf *out, const struct piece *piece);
void put_pieces(struct buf *out, const struct piece pieces[FRAMES_MAX]);

/* The callbacks of struct feed; end compares with expected. */
void transcript_begin(void *transcript);
int transcript_feed(void *transcript, struct span *in);
void transcript_end(void *transcript, const char *how);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/bstream.h - BSTREAM: one message that a backend sends in pieces to
 * all who are there when it begins (SLUICE section 6).
 *
 * Each of these sessions has a seat until the stream's end, or until it leaves
 * or lags too far behind.  A piece is encoded once for all, and compressed
 * once for each window and level among them.  Who cannot be told now, because
 * another message is under way to it, keeps the pieces in its line; so does
 * whatever else is for a client that is inside the stream's message.
 *
 * WebSocket cannot take a beginning back: when the backend is lost before the
 * end, who is inside the message is closed.
 */
#ifndef PENSTOCK_BRIDGE_BSTREAM_H
#define PENSTOCK_BRIDGE_BSTREAM_H

#include "bridge/link.h"

struct bstream;
struct session;

struct seat {
    struct list in_stream;
    struct seat *next; /* of the session */
    struct session *session;
    struct bstream *stream;
    int packer; /* -1: it gets the pieces as they are */
};

/* A frame.  0, or a negated link-fatal code. */
int link_bstream(struct link *l, const struct sluice_frame *f);

/* The link is gone: so are its streams. */
void bstreams_lost(struct link *l);

/* It leaves.  The seat is freed. */
void seat_leave(struct seat *seat);
uint64_t seat_serial(const struct seat *seat);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/deflate.h - messages compressed and back (RFC 7692 section 7.2).
 *
 * One window a direction.  Whoever holds an inflater or a deflater decides
 * whether the window goes on from message to message (context takeover) or
 * begins anew.  Both stream: memory does not depend on a message's size.
 * zlib's only door on this floor; a failed allocation aborts, as everywhere.
 */
#ifndef PENSTOCK_WS_DEFLATE_H
#define PENSTOCK_WS_DEFLATE_H

#include "base/buf.h"
#include "ws/extension.h"

/* ---- from the peer ---- */

struct ws_inflater;

/* window_bits: what the peer agreed to keep to, 8..15.  About 7 KB, and the
 * window once the first message is there.  A peer that refers further back
 * than its window, but not than what was just inflated, is not always found
 * out; what it gets is what it meant. */
struct ws_inflater *ws_inflater_create(unsigned window_bits);
void ws_inflater_destroy(struct ws_inflater *i); /* NULL is fine */

/*
 * A message begins.  takeover: it may refer to those before it.  text: it must
 * be UTF-8.  max: bytes it may have when it is inflated.
 */
void ws_inflater_begin(struct ws_inflater *i, bool takeover, bool text,
                       uint64_t max);

/* A piece of a message. */
struct ws_piece {
    struct span data; /* may be empty only when last */
    bool last;        /* the message's end */
};

/*
 * Inflate the front of *in into room (at least 512 bytes): what was used is
 * taken off *in.  end: *in is all there is to come of the message.
 *
 * Returns 1 with a piece: call again, also when *in is used up, unless it was
 * the last one.  0: *in is used up and more is needed.  Or the negated close
 * code to send:
 *   -1007  not a DEFLATE stream that ends where the message does, or text
 *          that is not UTF-8
 *   -1009  more than max bytes, noticed while they come
 */
int ws_inflater_next(struct ws_inflater *i, struct span *in, bool end,
                     struct span room, struct ws_piece *piece);

/* ---- to the peer ---- */

struct ws_deflater;

/*
 * window_bits: what we agreed to keep to, 8..15; level: zlib's, 1..9.  Takes
 * about 6 KB and 8 << window_bits bytes.
 *
 * zlib has no raw deflater for a window of 2^8.  Its one for 2^9 refers back
 * no further than 512 - 262 bytes (the lookahead that it wants to have), so
 * what it makes can be read with a window of 256 too.
 */
struct ws_deflater *ws_deflater_create(unsigned window_bits, unsigned level);
void ws_deflater_destroy(struct ws_deflater *d); /* NULL is fine */

/* What comes next refers to nothing before it. */
void ws_deflater_reset(struct ws_deflater *d, unsigned level);

/*
 * Append the compressed form of the next n bytes of a message to out, all of
 * it: the peer can inflate what it was given.  end: they are its last.
 */
void ws_deflate(struct ws_deflater *d, const void *p, size_t n, bool end,
                struct buf *out);

#endif

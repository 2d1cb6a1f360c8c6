/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/deflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/check.h"
#include "base/utf8.h"
#include "ws/close.h"

/* Section 7.2.1: the end of an empty block, which senders leave out. */
static const uint8_t tail[4] = {0x00, 0x00, 0xff, 0xff};

/* ---- inflating ---- */

struct ws_inflater {
    z_stream z;
    uint64_t size, max; /* of the message, inflated */
    struct utf8 utf8;
    uint8_t tail_at; /* bytes of the tail that were given */
    bool text;
    bool more;     /* the room was full: there may be more in the inflater */
    bool at_start; /* nothing of a stream was given, or one has just ended */
};

struct ws_inflater *ws_inflater_create(unsigned window_bits)
{
    struct ws_inflater *i = xcalloc(1, sizeof *i);

    check(window_bits >= WS_WINDOW_BITS_MIN &&
          window_bits <= WS_WINDOW_BITS_MAX);
    check(inflateInit2(&i->z, -(int)window_bits) == Z_OK);
    return i;
}

void ws_inflater_destroy(struct ws_inflater *i)
{
    if (!i)
        return;
    inflateEnd(&i->z);
    free(i);
}

void ws_inflater_begin(struct ws_inflater *i, bool takeover, bool text,
                       uint64_t max)
{
    if (!takeover)
        check(inflateReset(&i->z) == Z_OK);
    i->size = 0;
    i->max = max;
    i->utf8 = (struct utf8){0};
    i->text = text;
    i->tail_at = 0;
    i->more = false;
    i->at_start = true;
}

/* Give the inflater these bytes.  Returns how many it used, or -1. */
static int64_t give(struct ws_inflater *i, const uint8_t *p, size_t n)
{
    uInt part = n < 1u << 30 ? (uInt)n : 1u << 30;

    /* zlib does not write there, but does not say so. */
    i->z.next_in = (Bytef *)(uintptr_t)p;
    i->z.avail_in = part;
    if (n)
        i->at_start = false;
    int rc = inflate(&i->z, Z_SYNC_FLUSH);
    check(rc != Z_MEM_ERROR && rc != Z_STREAM_ERROR);
    if (rc == Z_STREAM_END) {
        /* Section 7.2.3.4: a block with BFINAL ends a stream, not the
         * message; the next one begins at a byte and keeps the window, which
         * inflateReset() would forget. */
        check(inflateResetKeep(&i->z) == Z_OK);
        i->at_start = true;
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
        return -1;
    }
    return (int64_t)part - i->z.avail_in;
}

/* 7.2.2: the tail is put behind the message.  One that has no bytes, or ends
 * with a BFINAL block, is whole without it. */
static bool give_tail(struct ws_inflater *i)
{
    while (i->z.avail_out && i->tail_at < sizeof tail && !i->at_start) {
        int64_t used = give(i, tail + i->tail_at, sizeof tail - i->tail_at);
        if (used < 0)
            return false;
        i->tail_at = (uint8_t)(i->tail_at + used);
    }
    i->more = i->z.avail_out == 0;
    return true;
}

/* Everything was given and nothing is left inside: between two blocks, at a
 * byte, that is, is the only place where a message can end.  A BFINAL block
 * does not end in the tail. */
static bool ends_well(const struct ws_inflater *i)
{
    return i->at_start ? i->tail_at == 0 : i->z.data_type == 128;
}

static int take_piece(struct ws_inflater *i, struct span room, bool last,
                      struct ws_piece *piece)
{
    size_t n = room.n - i->z.avail_out;

    *piece = (struct ws_piece){{room.p, n}, last};
    i->size += n;
    if (i->size > i->max)
        return -WS_CLOSE_TOO_BIG;
    if (i->text && (!utf8_next(&i->utf8, room.p, n) ||
                    (last && !utf8_is_complete(&i->utf8))))
        return -WS_CLOSE_BAD_DATA;
    return 1;
}

int ws_inflater_next(struct ws_inflater *i, struct span *in, bool end,
                     struct span room, struct ws_piece *piece)
{
    check(room.n >= 512 && room.n <= 1u << 30);
    i->z.next_out = room.p;
    i->z.avail_out = (uInt)room.n;

    while (i->z.avail_out && (in->n || i->more)) {
        int64_t used = give(i, in->p, in->n);
        if (used < 0)
            return -WS_CLOSE_BAD_DATA;
        span_advance(in, (size_t)used);
        i->more = i->z.avail_out == 0;
    }
    if (i->z.avail_out && end && !give_tail(i))
        return -WS_CLOSE_BAD_DATA;
    if (i->more)
        return take_piece(i, room, false, piece);
    if (end)
        return ends_well(i) ? take_piece(i, room, true, piece)
                            : -WS_CLOSE_BAD_DATA;
    return i->z.avail_out < room.n ? take_piece(i, room, false, piece) : 0;
}

/* ---- deflating ---- */

struct ws_deflater {
    z_stream z;
    unsigned level;
};

enum {
    ROOM_LEAST = 64 /* bytes offered to zlib at a time: a flush whose last
                       bytes do not fit at once is marked twice */
};

struct ws_deflater *ws_deflater_create(unsigned window_bits, unsigned level)
{
    struct ws_deflater *d = xcalloc(1, sizeof *d);
    int bits = window_bits < 9 ? 9 : (int)window_bits;

    check(window_bits >= WS_WINDOW_BITS_MIN &&
          window_bits <= WS_WINDOW_BITS_MAX && level >= 1 && level <= 9);
    /* As much for its hash as for the window. */
    check(deflateInit2(&d->z, (int)level, Z_DEFLATED, -bits, bits - 7,
                       Z_DEFAULT_STRATEGY) == Z_OK);
    d->level = level;
    return d;
}

void ws_deflater_destroy(struct ws_deflater *d)
{
    if (!d)
        return;
    deflateEnd(&d->z);
    free(d);
}

void ws_deflater_reset(struct ws_deflater *d, unsigned level)
{
    check(deflateReset(&d->z) == Z_OK);
    if (level == d->level)
        return;
    check(deflateParams(&d->z, (int)level, Z_DEFAULT_STRATEGY) == Z_OK);
    d->level = level;
}

static void flush(struct ws_deflater *d, struct buf *out)
{
    do {
        size_t want = (size_t)d->z.avail_in + d->z.avail_in / 8 + ROOM_LEAST;
        uint8_t *p = buf_reserve(out, want);
        check(p);
        d->z.next_out = p;
        d->z.avail_out = (uInt)want;
        int rc = deflate(&d->z, Z_SYNC_FLUSH);
        /* Z_BUF_ERROR: it was flushed already, and there is nothing new. */
        check(rc == Z_OK || rc == Z_BUF_ERROR);
        out->n += want - d->z.avail_out;
    } while (d->z.avail_out == 0);
    check(d->z.avail_in == 0);
}

void ws_deflate(struct ws_deflater *d, const void *p, size_t n, bool end,
                struct buf *out)
{
    size_t start = out->n;

    check(n < 1u << 30);
    d->z.next_in = (Bytef *)(uintptr_t)p;
    d->z.avail_in = (uInt)n;
    if (n || end)
        flush(d, out);
    if (!end)
        return;
    if (out->n == start) {
        /* All was flushed before: the rest is the empty block whose end the
         * peer puts there itself (7.2.3.6). */
        buf_put_u8(out, 0);
        return;
    }
    check(out->n - start >= sizeof tail);
    out->n -= sizeof tail;
    check(memcmp(out->p + out->n, tail, sizeof tail) == 0);
}

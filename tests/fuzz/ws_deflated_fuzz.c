/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader and behind it the inflater, as a session uses them: whole, and
 * in pieces of which parts are given back unread.  Both must say the same.
 *
 * First come the limits and parameters, then a seed, then what the client
 * sent, without masks, so that a fuzzer can write it.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "ws/deflate.h"
#include "ws/mask.h"
#include "ws/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { HEAD = 8, ROOM = 600 };

struct input {
    struct ws_limits limits;
    unsigned bits;
    bool takeover;
    uint32_t seed;
    const uint8_t *p;
    size_t n;
};

struct fed {
    const struct input *in;
    struct ws_reader reader;
    struct ws_inflater *inflater;
    struct buf out;
    uint32_t seed; /* 0: whole, nothing is given back */
    bool under_way;
};

static uint32_t draw(struct fed *f, uint32_t below)
{
    f->seed = (f->seed * 1664525u + 1013904223u) | 1;
    return (f->seed >> 8) % below;
}

static int on_deflated(struct fed *f, const struct ws_event *ev,
                       struct span *window)
{
    struct span rest = ev->data;
    uint8_t room[ROOM];
    struct ws_piece piece;
    int got;

    if (ev->first)
        ws_inflater_begin(f->inflater, f->in->takeover, ev->opcode == WS_TEXT,
                          f->in->limits.max_message * 4);
    if (f->seed && rest.n > 1 && draw(f, 3) == 0) {
        size_t n = 1 + draw(f, (uint32_t)rest.n - 1);
        ws_reader_unread(&f->reader, window, ev, n);
        rest.n -= n;
        struct ws_event cut = *ev;
        cut.data.n = rest.n;
        cut.last = cut.first = false;
        return on_deflated(f, &cut, window);
    }
    while ((got = ws_inflater_next(f->inflater, &rest, ev->last,
                                   (struct span){room, ROOM}, &piece)) == 1) {
        buf_put(&f->out, piece.data.p, piece.data.n);
        if (piece.last) {
            buf_put_u8(&f->out, '|');
            return 1;
        }
        if (f->seed && rest.n && draw(f, 2) == 0) {
            ws_reader_unread(&f->reader, window, ev, rest.n);
            return 1;
        }
    }
    return got < 0 ? got : 1;
}

static int on_event(struct fed *f, const struct ws_event *ev,
                    struct span *window)
{
    if (ev->type == WS_EVENT_DATA && ev->rsv)
        return on_deflated(f, ev, window);
    if (ev->type == WS_EVENT_DATA) {
        buf_put(&f->out, ev->data.p, ev->data.n);
        if (ev->last)
            buf_put_u8(&f->out, '|');
        return 1;
    }
    buf_put_u8(&f->out, (uint8_t)ev->type);
    buf_put(&f->out, ev->data.p, ev->data.n);
    return 1;
}

static int feed(struct fed *f)
{
    const struct input *in = f->in;
    uint8_t *left = NULL;
    size_t left_n = 0, at = 0;
    int got = 0;

    ws_reader_init(&f->reader, &in->limits);
    f->reader.expect_mask = false;
    f->reader.extension_rsv = WS_RSV1;
    f->inflater = ws_inflater_create(in->bits);
    while (at < in->n && got >= 0) {
        size_t take = f->seed ? 1 + draw(f, 60) : in->n;
        if (take > in->n - at)
            take = in->n - at;
        uint8_t *all = malloc(left_n + take);
        check(all);
        if (left_n)
            memcpy(all, left, left_n);
        memcpy(all + left_n, in->p + at, take);
        at += take;
        struct span window = {all, left_n + take};
        struct ws_event ev;
        while ((got = ws_reader_next(&f->reader, &window, &ev)) == 1)
            if ((got = on_event(f, &ev, &window)) < 0)
                break;
        check(got < 0 || f->reader.wire_bytes + window.n == at);
        free(left);
        left_n = window.n;
        left = malloc(left_n + 1);
        check(left);
        memcpy(left, window.p, left_n);
        free(all);
    }
    free(left);
    ws_inflater_destroy(f->inflater);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < HEAD)
        return 0;
    struct input in = {
        .limits = {.max_message = data[0] * 64u,
                   .max_frame = data[0] * 64u,
                   .max_fragments = 1 + data[1] % 16u},
        .bits = 8 + data[2] % 8u,
        .takeover = data[2] & 8,
        .seed = le32_get(data + 3) | 1,
        .p = data + HEAD,
        .n = n - HEAD,
    };
    struct fed whole = {.in = &in}, pieces = {.in = &in, .seed = in.seed};
    int first = feed(&whole), second = feed(&pieces);

    /* Which of two wrongs is found first may depend on the pieces, and how
     * much came before it does. */
    bool exact = in.bits == WS_WINDOW_BITS_MAX; /* else see ws/deflate.h */
    check(!exact || (first < 0) == (second < 0));
    if (first >= 0 && second >= 0)
        check(str_eq(buf_str(&whole.out), buf_str(&pieces.out)));
    buf_fini(&whole.out);
    buf_fini(&pieces.out);
    return 0;
}

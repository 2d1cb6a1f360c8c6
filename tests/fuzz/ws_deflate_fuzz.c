/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a peer may send to the inflater, cut in several ways, always the same;
 * and what the deflater makes of anything can be inflated.
 */
#include <stdlib.h>

#include "base/check.h"
#include "ws/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MAX = 1 << 20, MESSAGES = 3 };

struct play {
    struct buf out; /* every message, its end marked */
    int code;
};

static int one_message(struct ws_inflater *i, struct span in, size_t step,
                       size_t room_n, struct buf *out)
{
    uint8_t *room = malloc(room_n);
    struct ws_piece piece;
    int got = 0;
    size_t at = 0;

    check(room);
    do {
        size_t take = in.n - at < step ? in.n - at : step;
        struct span part = {in.p + at, take};
        at += take;
        while ((got = ws_inflater_next(i, &part, at == in.n,
                                       (struct span){room, room_n}, &piece)) ==
               1) {
            check(piece.data.n <= room_n && (piece.data.n || piece.last));
            buf_put(out, piece.data.p, piece.data.n);
            if (piece.last)
                break;
        }
        check(got < 0 || part.n == 0);
        check(got != 0 || at < in.n);
    } while (got == 0);
    check(got < 0 || (at == in.n && piece.last));
    free(room);
    return got;
}

/* The input is several messages, each with its length before it. */
static struct play inflate(unsigned flags, const uint8_t *data, size_t n,
                           size_t step, size_t room)
{
    struct play p = {.code = 1};
    struct ws_inflater *i = ws_inflater_create(8 + (flags & 7));
    uint8_t *copy = malloc(n + 1);

    check(copy);
    memcpy(copy, data, n);
    for (size_t at = 0, k = 0; at < n && k < MESSAGES && p.code == 1; k++) {
        size_t length = k == MESSAGES - 1 ? n : data[at++];
        if (length > n - at)
            length = n - at;
        ws_inflater_begin(i, flags & 8, flags & 16, MAX);
        p.code = one_message(i, (struct span){copy + at, length}, step, room,
                             &p.out);
        buf_put_u8(&p.out, '|');
        at += length;
    }
    free(copy);
    ws_inflater_destroy(i);
    return p;
}

static void compare(unsigned flags, const uint8_t *data, size_t n)
{
    struct play whole = inflate(flags, data, n, SIZE_MAX, 4096);
    static const size_t ways[][2] = {{1, 4096}, {SIZE_MAX, 512}, {7, 512}};

    for (size_t w = 0; w < COUNT(ways); w++) {
        struct play p = inflate(flags, data, n, ways[w][0], ways[w][1]);
        /* Where it is found to be wrong may differ, and with it which of two
         * wrongs is found first; and whether it is, see ws/deflate.h. */
        check((flags & 7) != 7 || (p.code < 0) == (whole.code < 0));
        if (p.code == 1 && whole.code == 1)
            check(str_eq(buf_str(&p.out), buf_str(&whole.out)));
        buf_fini(&p.out);
    }
    buf_fini(&whole.out);
}

static void back_and_forth(unsigned flags, const uint8_t *data, size_t n)
{
    unsigned bits = 8 + (flags & 7), level = 1 + (flags >> 3) % 9;
    struct ws_deflater *d = ws_deflater_create(bits, level);
    struct ws_inflater *i = ws_inflater_create(bits);

    for (int k = 0; k < MESSAGES; k++) {
        struct buf wire = {0}, out = {0};
        bool takeover = k < 2;
        if (!takeover)
            ws_deflater_reset(d, level);
        ws_deflate(d, data, n / 3, false, &wire);
        ws_deflate(d, data + n / 3, n - n / 3, true, &wire);
        ws_inflater_begin(i, takeover, false, n);
        check(one_message(i, (struct span){wire.p, wire.n}, SIZE_MAX, 512,
                          &out) == 1);
        check(str_eq(buf_str(&out), str_n(data, n)));
        buf_fini(&wire);
        buf_fini(&out);
    }
    ws_deflater_destroy(d);
    ws_inflater_destroy(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    compare(data[0], data + 1, n - 1);
    if (data[0] & 32)
        back_and_forth(data[0], data + 1, n - 1);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/fuzz/http_splits.h - the same bytes whole and in pieces must give the
 * same transcript.
 *
 * The first byte of the input chooses limits and flags, the second how the
 * rest is cut.
 */
#ifndef PENSTOCK_FUZZ_HTTP_SPLITS_H
#define PENSTOCK_FUZZ_HTTP_SPLITS_H

#include <stdlib.h>

#include "unit/http/transcript.h"

static inline void splits_play(struct transcript *t, const uint8_t *p, size_t n,
                               uint32_t seed)
{
    uint8_t *left = NULL;
    size_t left_n = 0, at = 0;
    int stop = 0;

    transcript_begin(t);
    while (at < n && !stop) {
        size_t take = n - at;
        if (seed) {
            seed = seed * 1103515245 + 12345;
            size_t piece = 1 + (seed >> 16) % (seed & 1 << 15 ? 3 : 40);
            take = piece < take ? piece : take;
        }
        uint8_t *all = xmalloc(left_n + take);
        if (left_n)
            memcpy(all, left, left_n);
        memcpy(all + left_n, p + at, take);
        at += take;
        struct span in = {all, left_n + take};
        stop = transcript_feed(t, &in);
        free(left);
        left_n = in.n;
        left = xmalloc(left_n ? left_n : 1);
        memcpy(left, in.p, left_n);
        free(all);
    }
    free(left);
    transcript_end(t);
}

static inline void splits_compare(bool response, const uint8_t *p, size_t n)
{
    static const struct http_limits tight = {
        .line_max = 40, .field_max = 30, .head_max = 90, .fields_max = 3};
    if (n < 2)
        return;
    struct transcript whole = {.response = response,
                               .limits = p[0] & 1 ? tight : transcript_limits,
                               .no_body = p[0] & 8,
                               .brief = true};
    whole.limits.underscores_ok = p[0] & 2;
    whole.limits.drop_invalid = p[0] & 4;
    struct transcript cut = whole;
    splits_play(&whole, p + 2, n - 2, 0);
    splits_play(&cut, p + 2, n - 2, 1u + p[1]);
    check(str_eq(buf_str(&whole.out), buf_str(&cut.out)));
    buf_fini(&whole.out);
    buf_fini(&cut.out);
}

#endif

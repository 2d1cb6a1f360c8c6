/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

/* Deliver input cut at the given places.  What the reader leaves is moved to
 * memory of its own together with the next piece, so that reading past the
 * end of what was given is seen by AddressSanitizer. */
static void feed_pieces(const struct feed *f, const uint8_t *input, size_t n,
                        size_t step, size_t cut, const char *how)
{
    uint8_t *left = NULL;
    size_t left_n = 0;
    size_t at = 0;
    int stop = 0;

    f->begin(f->reader);
    while (at < n && !stop) {
        size_t take = cut && at < cut ? cut - at : step;
        if (take > n - at)
            take = n - at;
        uint8_t *all = xmalloc(left_n + take);
        if (left_n)
            memcpy(all, left, left_n);
        memcpy(all + left_n, input + at, take);
        at += take;
        struct span in = {all, left_n + take};
        stop = f->feed(f->reader, &in);
        free(left);
        left_n = in.n;
        left = xmalloc(left_n ? left_n : 1);
        memcpy(left, in.p, left_n);
        free(all);
    }
    free(left);
    f->end(f->reader, how);
}

void feed_every_split(const struct feed *f, const void *input, size_t n)
{
    char how[64];
    feed_pieces(f, input, n, n ? n : 1, 0, "whole");
    feed_pieces(f, input, n, 1, 0, "byte by byte");
    size_t stride = n > 4096 ? n / 64 : 1;
    for (size_t cut = 1; cut < n; cut += stride) {
        snprintf(how, sizeof how, "cut at %zu", cut);
        feed_pieces(f, input, n, n, cut, how);
    }
}

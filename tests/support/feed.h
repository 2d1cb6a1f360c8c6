/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/support/feed.h - give a reader its input in every way it can arrive.
 *
 * A reader takes a struct span, advances it past what it used and leaves the
 * rest to be shown again with more behind it.  feed_every_split() plays the
 * network: the input whole, byte by byte, and cut in two at every offset
 * (inputs over 4096 bytes are cut at 64 places).
 */
#ifndef PENSTOCK_TESTS_FEED_H
#define PENSTOCK_TESTS_FEED_H

#include "base/str.h"

/* Show all of in to the reader under test, appending what it says to a
 * transcript of its own.  Returns 0 to go on, anything else to stop. */
typedef int feed_fn(void *reader, struct span *in);

/* Called before each run (prepare a fresh reader) and after it (compare). */
struct feed {
    void *reader;
    void (*begin)(void *reader);
    feed_fn *feed;
    void (*end)(void *reader, const char *how);
};

void feed_every_split(const struct feed *f, const void *input, size_t n);

#endif

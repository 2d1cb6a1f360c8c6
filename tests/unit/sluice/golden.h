/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/unit/sluice/golden.h - the golden vectors of tests/golden/sluice.txt.
 */
#ifndef PENSTOCK_TESTS_SLUICE_GOLDEN_H
#define PENSTOCK_TESTS_SLUICE_GOLDEN_H

#include "sluice/frame.h"
#include "support/test.h"

/* The client id of the file: process 3, generation 1, slot 5. */
#define GOLDEN_CID UINT64_C(0x0000300001000005)

struct golden {
    char name[64];
    struct buf bytes;
};

/* All records; golden_free() them. */
struct golden *golden_load(size_t *n);
void golden_free(struct golden *g, size_t n);

/* out holds the bytes of the record of that name, and what get and put make
 * of them is the same again.  out is emptied. */
void assert_golden(struct buf *out, const char *name);

/* The one frame of g; its payload is g's memory. */
struct sluice_frame golden_frame(const struct golden *g);

#endif

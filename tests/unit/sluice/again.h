/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/unit/sluice/again.h - read a frame with its get, write it with its put.
 */
#ifndef PENSTOCK_TESTS_SLUICE_AGAIN_H
#define PENSTOCK_TESTS_SLUICE_AGAIN_H

#include "sluice/frame.h"

enum {
    AGAIN_FULL = 1 /* put did not find room in out */
};

/* Append to out what put makes of what get made of f.  0, what get said, or
 * AGAIN_FULL. */
int again(struct buf *out, const struct sluice_frame *f);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/random.h - unpredictable bytes from the kernel.
 *
 * For identifiers and jitter; buffered, so a small draw is no system call.
 */
#ifndef PENSTOCK_BASE_RANDOM_H
#define PENSTOCK_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t n);
uint64_t random_u64(void);

/* Uniform enough in [0, below); below > 0. */
uint32_t random_below(uint32_t below);

/* Forget what is buffered: a forked child must not repeat its parent. */
void random_after_fork(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/mask.h - masking and unmasking, which are the same (RFC 6455 5.3).
 */
#ifndef PENSTOCK_WS_MASK_H
#define PENSTOCK_WS_MASK_H

#include <stddef.h>
#include <stdint.h>

/*
 * XOR the n bytes at p with key, starting at key[at % 4].  Any alignment; at
 * the speed of memory.  Not a single byte outside p is read or written.
 */
void ws_mask(uint8_t *p, size_t n, const uint8_t key[4], uint32_t at);

typedef void ws_mask_fn(uint8_t *p, size_t n, const uint8_t key[4],
                        uint32_t at);

/* One way to do it, for tests and benchmarks. */
struct ws_mask_method {
    const char *name;
    ws_mask_fn *mask;
};

/* The methods this machine can run, the one that ws_mask() uses first and
 * the portable one last; *count says how many. */
const struct ws_mask_method *ws_mask_methods(size_t *count);

#endif

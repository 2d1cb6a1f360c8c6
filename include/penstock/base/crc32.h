/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/crc32.h - the CRC of zlib and Ethernet, bit-reversed 0x04c11db7.
 *
 * For hashes that others compute too (which server a key belongs to), not
 * against forgery.  In steps: begin, add as often as needed, end.
 */
#ifndef PENSTOCK_BASE_CRC32_H
#define PENSTOCK_BASE_CRC32_H

#include "base/str.h"

static inline uint32_t crc32_begin(void)
{
    return 0xffffffff;
}

uint32_t crc32_add(uint32_t crc, struct str bytes);

static inline uint32_t crc32_end(uint32_t crc)
{
    return crc ^ 0xffffffff;
}

static inline uint32_t crc32_of(struct str bytes)
{
    return crc32_end(crc32_add(crc32_begin(), bytes));
}

#endif

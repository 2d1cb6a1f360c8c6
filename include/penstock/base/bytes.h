/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/bytes.h - integers at unaligned addresses, in a stated byte order.
 *
 * Network protocols are big-endian (be), Sluice is little-endian (le).
 */
#ifndef PENSTOCK_BASE_BYTES_H
#define PENSTOCK_BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES_PAIR(order, bits)                                                \
    static inline uint##bits##_t order##bits##_get(const void *p)              \
    {                                                                          \
        uint##bits##_t v;                                                      \
        memcpy(&v, p, sizeof v);                                               \
        return order##bits##toh(v);                                            \
    }                                                                          \
    static inline void order##bits##_put(void *p, uint##bits##_t value)        \
    {                                                                          \
        uint##bits##_t v = hto##order##bits(value);                            \
        memcpy(p, &v, sizeof v);                                               \
    }

BYTES_PAIR(be, 16)
BYTES_PAIR(be, 32)
BYTES_PAIR(be, 64)
BYTES_PAIR(le, 16)
BYTES_PAIR(le, 32)
BYTES_PAIR(le, 64)

#undef BYTES_PAIR

#endif

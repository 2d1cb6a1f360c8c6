/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/buf.h - a growable run of bytes that knows its maximum.
 *
 * The buf owns its memory; the struct is the caller's.  A zeroed struct is an
 * empty buf without a maximum.  Appending past the maximum changes nothing
 * and returns false, so a peer can only ever fill what it was given.
 */
#ifndef PENSTOCK_BASE_BUF_H
#define PENSTOCK_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct buf {
    uint8_t *p;
    size_t n;        /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t max;      /* 0: no limit */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b); /* frees; b is empty and usable after */

/* Room for n more bytes at b->p + b->n (add to b->n what was written), or
 * NULL when that would pass the maximum. */
uint8_t *buf_reserve(struct buf *b, size_t n);

bool buf_put(struct buf *b, const void *p, size_t n);
bool buf_put_str(struct buf *b, struct str s);
bool buf_put_u8(struct buf *b, uint8_t v);
bool buf_put_le16(struct buf *b, uint16_t v);
bool buf_put_le32(struct buf *b, uint32_t v);
bool buf_put_le64(struct buf *b, uint64_t v);
bool buf_put_u64_text(struct buf *b, uint64_t v); /* decimal */
bool buf_printf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *b, const char *format, va_list args);

/* Drop n bytes from the front (n <= b->n). */
void buf_drop(struct buf *b, size_t n);

static inline void buf_clear(struct buf *b)
{
    b->n = 0;
}

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){(const char *)b->p, b->n};
}

#endif

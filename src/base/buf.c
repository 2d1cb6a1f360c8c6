/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/check.h"

enum {
    BUF_FIRST = 64 /* bytes of the first allocation */
};

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    check(n <= SIZE_MAX / 4 && b->n <= SIZE_MAX / 4);
    size_t need = b->n + n;
    if (b->max && need > b->max)
        return NULL;
    if (need > b->capacity) {
        size_t capacity = b->capacity ? b->capacity * 2 : BUF_FIRST;
        if (capacity < need)
            capacity = need;
        if (b->max && capacity > b->max)
            capacity = b->max;
        b->p = xrealloc(b->p, capacity);
        b->capacity = capacity;
    }
    if (!b->p) {
        b->p = xmalloc(BUF_FIRST);
        b->capacity = BUF_FIRST;
    }
    return b->p + b->n;
}

bool buf_put(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return true;
    uint8_t *at = buf_reserve(b, n);
    if (!at)
        return false;
    memcpy(at, p, n);
    b->n += n;
    return true;
}

bool buf_put_str(struct buf *b, struct str s)
{
    return buf_put(b, s.p, s.n);
}

bool buf_put_u8(struct buf *b, uint8_t v)
{
    return buf_put(b, &v, 1);
}

bool buf_put_le16(struct buf *b, uint16_t v)
{
    uint8_t bytes[2];
    le16_put(bytes, v);
    return buf_put(b, bytes, sizeof bytes);
}

bool buf_put_le32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4];
    le32_put(bytes, v);
    return buf_put(b, bytes, sizeof bytes);
}

bool buf_put_le64(struct buf *b, uint64_t v)
{
    uint8_t bytes[8];
    le64_put(bytes, v);
    return buf_put(b, bytes, sizeof bytes);
}

bool buf_put_u64_text(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return buf_put(b, digits + at, sizeof digits - at);
}

bool buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0)
        return false;
    size_t size = (size_t)n + 1;
    uint8_t *at = buf_reserve(b, size);
    if (at) {
        vsnprintf((char *)at, size, format, args);
        b->n += (size_t)n;
        return true;
    }
    /* The text may still fit exactly: only vsnprintf's NUL does not. */
    if (!buf_reserve(b, (size_t)n))
        return false;
    char *text = xmalloc(size);
    vsnprintf(text, size, format, args);
    bool fits = buf_put(b, text, (size_t)n);
    free(text);
    return fits;
}

bool buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool fits = buf_vprintf(b, format, args);
    va_end(args);
    return fits;
}

void buf_drop(struct buf *b, size_t n)
{
    check(n <= b->n);
    b->n -= n;
    if (b->n && n)
        memmove(b->p, b->p + n, b->n);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/utf8.h"

#include "base/bytes.h"

#define HIGH_BITS 0x8080808080808080u

/* How many bytes from p on are ASCII: whole words first, four at a time
 * while nothing else comes, then to the byte. */
static size_t ascii_run(const uint8_t *p, size_t n)
{
    size_t i = 0;
    for (; n - i >= 32; i += 32) {
        uint64_t word[4];
        memcpy(word, p + i, sizeof word);
        if ((word[0] | word[1] | word[2] | word[3]) & HIGH_BITS)
            break;
    }
    for (; n - i >= 8; i += 8) {
        uint64_t high = le64_get(p + i) & HIGH_BITS;
        if (high)
            return i + (size_t)__builtin_ctzll(high) / 8;
    }
    while (i < n && p[i] < 0x80)
        i++;
    return i;
}

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The size of the sequence at p when it is well-formed, else 0.  It is not
 * ASCII and four bytes are there. */
static size_t whole_sequence(const uint8_t *p)
{
    if (p[0] < 0xe0)
        return p[0] >= 0xc2 && is_tail(p[1]) ? 2 : 0;
    if (!is_tail(p[1]) || !is_tail(p[2]))
        return 0;
    uint32_t front = (p[0] & 0xfu) << 6 | (p[1] & 0x3fu);
    if (p[0] < 0xf0) /* U+0800 to U+FFFF without the surrogates */
        return front >= 0x800 >> 6 && front >> 5 != 0xd800 >> 11 ? 3 : 0;
    /* U+10000 to U+10FFFF */
    return p[0] <= 0xf4 && is_tail(p[3]) && front >= 0x10000 >> 12 &&
                   front <= 0x10ffff >> 12
               ? 4
               : 0;
}

/* RFC 3629 section 4, the table of well-formed sequences. */
static bool start_sequence(struct utf8 *u, uint8_t lead)
{
    u->low = 0x80;
    u->high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
        u->pending = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        u->pending = 2;
        if (lead == 0xe0)
            u->low = 0xa0;
        else if (lead == 0xed)
            u->high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        u->pending = 3;
        if (lead == 0xf0)
            u->low = 0x90;
        else if (lead == 0xf4)
            u->high = 0x8f;
    } else {
        return false;
    }
    return true;
}

bool utf8_next(struct utf8 *u, const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        if (u->pending) {
            if (p[i] < u->low || p[i] > u->high)
                return false;
            u->low = 0x80;
            u->high = 0xbf;
            u->pending--;
            i++;
        } else if (p[i] < 0x80) {
            i += ascii_run(p + i, n - i);
        } else if (n - i >= 4) {
            size_t size = whole_sequence(p + i);
            if (!size)
                return false;
            i += size;
        } else {
            if (!start_sequence(u, p[i]))
                return false;
            i++;
        }
    }
    return true;
}

bool utf8_is_valid(const void *p, size_t n)
{
    struct utf8 u = {0};
    return utf8_next(&u, p, n) && utf8_is_complete(&u);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/utf8.h"

#include <string.h>

/* How many of the bytes at p are ASCII, counted in whole words. */
static size_t ascii_run(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i + 16 <= n) {
        uint64_t a, b;
        memcpy(&a, p + i, 8);
        memcpy(&b, p + i + 8, 8);
        if ((a | b) & 0x8080808080808080u)
            break;
        i += 16;
    }
    return i;
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
            size_t run = ascii_run(p + i, n - i);
            i += run ? run : 1;
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

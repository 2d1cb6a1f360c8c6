/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/utf8.h - is this UTF-8?, asked piece by piece.
 *
 * RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.  A
 * zeroed struct is at the start of a text.  Fails at the first byte that can
 * not continue a legal text, not at the end of its sequence.
 */
#ifndef PENSTOCK_BASE_UTF8_H
#define PENSTOCK_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct utf8 {
    uint8_t pending;   /* continuation bytes still to come, 0..3 */
    uint8_t low, high; /* bounds of the next one, when pending */
};

/* Take n more bytes.  False: not UTF-8 (u is spent). */
bool utf8_next(struct utf8 *u, const uint8_t *p, size_t n);

/* True when the text may end here. */
static inline bool utf8_is_complete(const struct utf8 *u)
{
    return u->pending == 0;
}

/* The whole of a text at once. */
bool utf8_is_valid(const void *p, size_t n);

/*
 * One way to go over much text at once, for tests and benchmarks.  Given the
 * start of a character, run returns how many bytes from there on are whole
 * characters, and may stop early; what is behind is looked at byte by byte.
 */
struct utf8_method {
    const char *name;
    size_t (*run)(const uint8_t *p, size_t n); /* NULL: the plain loop */
};

/* The methods this machine can run, the one that is used first and the plain
 * loop last; *count says how many. */
const struct utf8_method *utf8_methods(size_t *count);
bool utf8_next_by(const struct utf8_method *m, struct utf8 *u, const uint8_t *p,
                  size_t n);

#endif

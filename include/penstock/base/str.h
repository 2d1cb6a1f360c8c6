/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/str.h - a borrowed piece of text, and a window onto input bytes.
 *
 * struct str never owns its bytes and is not NUL-terminated.  struct span is
 * what readers consume: writable, advanced from the front.  Case-insensitive
 * means ASCII, whatever the locale.
 */
#ifndef PENSTOCK_BASE_STR_H
#define PENSTOCK_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

struct span {
    uint8_t *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
/* The same for static initialisers. */
#define STR_INIT(literal)                                                      \
    {                                                                          \
        "" literal, sizeof(literal) - 1                                        \
    }
/* For printf: "%.*s", STR_ARG(s). */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_c(const char *s)
{
    return (struct str){s, s ? strlen(s) : 0};
}

static inline struct str str_n(const void *p, size_t n)
{
    return (struct str){(const char *)p, n};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline void span_advance(struct span *in, size_t n)
{
    in->p += n;
    in->n -= n;
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit, or -1. */
int ascii_hex(char c);

/* RFC 9110 section 5.6.2: the characters of a token. */
bool ascii_is_token(char c);

bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Order as memcmp does, a prefix first. */
int str_compare(struct str a, struct str b);

/* Index of the first c at or after from, or s.n when there is none. */
size_t str_find(struct str s, char c, size_t from);

/* The bytes [from, to) of s; both are clamped to s.n. */
struct str str_slice(struct str s, size_t from, size_t to);

/* Without leading and trailing SP and HTAB (RFC 9110 OWS). */
struct str str_trim(struct str s);

/*
 * Cut the piece before the first c off *rest and return it; *rest continues
 * after the c, or is empty (p NULL) when there was none.
 */
struct str str_cut(struct str *rest, char c);

/*
 * Take the next element of a comma-separated list field (RFC 9110 5.6.1) off
 * *rest, trimmed; empty elements are skipped.  False at the end.
 */
bool str_list_next(struct str *rest, struct str *element);

/* True when the comma-separated list holds the token, case-insensitively. */
bool str_list_has(struct str list, struct str token);

/*
 * Decimal digits only, the whole of s, at most max.  False leaves *out alone.
 */
bool str_to_u64(struct str s, uint64_t max, uint64_t *out);

/* FNV-1a over the bytes; lower-cased first in the nocase form. */
uint32_t str_hash(struct str s);
uint32_t str_hash_nocase(struct str s);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/filter/charset_map.h - one charset_map{}: a charset of single bytes
 * beside another, or beside utf-8, in both directions.  Pure.
 */
#ifndef PENSTOCK_SERVE_CHARSET_MAP_H
#define PENSTOCK_SERVE_CHARSET_MAP_H

#include "base/arena.h"
#include "base/str.h"

enum {
    CHARSET_CHARACTER_MAX = 4, /* bytes of one in utf-8 */
};

struct charset_map {
    struct str from, to;
    bool is_utf8;                  /* to is utf-8 */
    uint8_t there[256], back[256]; /* of two charsets of bytes */
    struct charset_character {
        uint32_t code;
        uint8_t n, bytes[CHARSET_CHARACTER_MAX];
    } utf8[256];                      /* n 0: no such character */
    uint16_t *by_code[0x110000 >> 8]; /* back: 256 bytes each, 0xffff: none */
};

/* from and to are set: what is ASCII stays what it is, all else is unknown. */
void charset_map_init(struct charset_map *m, struct arena *arena);

/* One line, both in hexadecimal: "80 88", or "C0 D18E" with the bytes of
 * utf-8.  False: malformed. */
bool charset_map_add(struct charset_map *m, struct arena *arena, struct str a,
                     struct str b);

/*
 * Recode from the front of *in into room bytes at out, at least 16; returns
 * how many were made.  cut holds the beginning of a character of utf-8 between
 * calls.  What there is no character for becomes "?", or "&#NUMBER;" from
 * utf-8.
 */
size_t charset_recode(const struct charset_map *m, bool back, struct str *in,
                      uint8_t cut[CHARSET_CHARACTER_MAX], size_t *cut_n,
                      uint8_t *out, size_t room);

#endif

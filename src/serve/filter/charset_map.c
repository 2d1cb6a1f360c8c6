/* SPDX-License-Identifier: BSD-2-Clause */
#include "charset_map.h"

#include <stdio.h>

enum {
    NONE = 0xffff,
    ENTITY_MAX = 16, /* bytes of "&#1114111;" with its NUL */
};

static void add_code(struct charset_map *m, struct arena *arena, uint32_t code,
                     uint8_t byte)
{
    uint16_t **page = &m->by_code[code >> 8];

    if (!*page) {
        *page = arena_alloc(arena, 256 * sizeof **page);
        for (size_t i = 0; i < 256; i++)
            (*page)[i] = NONE;
    }
    (*page)[code & 0xff] = byte;
}

void charset_map_init(struct charset_map *m, struct arena *arena)
{
    m->is_utf8 = str_eq_nocase(m->to, STR("utf-8"));
    for (unsigned i = 0; i < 256; i++) {
        m->there[i] = m->back[i] = i < 128 ? (uint8_t)i : '?';
        if (i >= 128 || !m->is_utf8)
            continue;
        m->utf8[i] = (struct charset_character){
            .code = i, .n = 1, .bytes = {(uint8_t)i}};
        add_code(m, arena, i, (uint8_t)i);
    }
}

/* Up to max bytes in hexadecimal; 0: malformed. */
static size_t read_hex(struct str s, uint8_t *bytes, size_t max)
{
    if (!s.n || s.n > 2 * max)
        return 0;
    size_t n = 0, i = 0;
    if (s.n % 2) { /* "A" is 0A */
        int digit = ascii_hex(s.p[i++]);
        if (digit < 0)
            return 0;
        bytes[n++] = (uint8_t)digit;
    }
    for (; i < s.n; i += 2) {
        int high = ascii_hex(s.p[i]), low = ascii_hex(s.p[i + 1]);
        if (high < 0 || low < 0)
            return 0;
        bytes[n++] = (uint8_t)(high << 4 | low);
    }
    return n;
}

/*
 * The character at p (RFC 3629 section 3).  Returns its size, 0 when n is too
 * short to say, -1 when it is none.
 */
static int decode(const uint8_t *p, size_t n, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int size = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? -1
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : -1;

    if (size < 0)
        return -1;
    *code = size == 1 ? p[0] : p[0] & (0xffu >> (size + 1));
    for (int i = 1; i < size; i++) {
        if ((size_t)i == n)
            return 0;
        if ((p[i] & 0xc0) != 0x80)
            return -1;
        *code = *code << 6 | (p[i] & 0x3f);
    }
    return *code < least[size] || *code > 0x10ffff ? -1 : size;
}

bool charset_map_add(struct charset_map *m, struct arena *arena, struct str a,
                     struct str b)
{
    uint8_t from;
    struct charset_character c = {.code = 0};

    if (read_hex(a, &from, 1) != 1)
        return false;
    c.n = (uint8_t)read_hex(b, c.bytes, m->is_utf8 ? sizeof c.bytes : 1);
    if (!c.n)
        return false;
    if (!m->is_utf8) {
        m->there[from] = c.bytes[0];
        m->back[c.bytes[0]] = from;
        return true;
    }
    if (decode(c.bytes, c.n, &c.code) != c.n)
        return false;
    m->utf8[from] = c;
    add_code(m, arena, c.code, from);
    return true;
}

/* ---- recoding ---- */

static size_t to_utf8(const struct charset_map *m, struct str *in, uint8_t *out,
                      size_t room)
{
    size_t n = 0, i = 0;

    while (i < in->n && room - n >= CHARSET_CHARACTER_MAX) {
        const struct charset_character *c = &m->utf8[(uint8_t)in->p[i++]];
        for (size_t k = 0; k < c->n; k++)
            out[n++] = c->bytes[k];
        if (!c->n)
            out[n++] = '?';
    }
    *in = str_slice(*in, i, in->n);
    return n;
}

static size_t put_code(const struct charset_map *m, uint32_t code, uint8_t *out)
{
    const uint16_t *page = m->by_code[code >> 8];

    if (page && page[code & 0xff] != NONE) {
        out[0] = (uint8_t)page[code & 0xff];
        return 1;
    }
    return (size_t)snprintf((char *)out, ENTITY_MAX, "&#%u;", code);
}

static size_t from_utf8(const struct charset_map *m, struct str *in,
                        uint8_t cut[CHARSET_CHARACTER_MAX], size_t *cut_n,
                        uint8_t *out, size_t room)
{
    size_t n = 0;

    while (in->n && room - n >= ENTITY_MAX) {
        uint8_t joined[2 * CHARSET_CHARACTER_MAX];
        const uint8_t *p = (const uint8_t *)in->p;
        size_t have = in->n, before = *cut_n;
        if (before) {
            size_t more =
                in->n < CHARSET_CHARACTER_MAX ? in->n : CHARSET_CHARACTER_MAX;
            memcpy(joined, cut, before);
            memcpy(joined + before, in->p, more);
            p = joined;
            have = before + more;
        }
        uint32_t code = 0;
        int size = decode(p, have, &code);
        if (size == 0) { /* all of it is the beginning of a character */
            memcpy(cut + before, in->p, in->n);
            *cut_n += in->n;
            in->n = 0;
            break;
        }
        if (size > 0)
            n += put_code(m, code, out + n);
        else
            out[n++] = '?';
        /* Of what is no character, what was kept is dropped. */
        size_t used = size > 0 ? (size_t)size : before ? before : 1;
        *cut_n = 0;
        *in = str_slice(*in, used - before, in->n);
    }
    return n;
}

size_t charset_recode(const struct charset_map *m, bool back, struct str *in,
                      uint8_t cut[CHARSET_CHARACTER_MAX], size_t *cut_n,
                      uint8_t *out, size_t room)
{
    if (m->is_utf8)
        return back ? from_utf8(m, in, cut, cut_n, out, room)
                    : to_utf8(m, in, out, room);
    const uint8_t *table = back ? m->back : m->there;
    size_t n = in->n < room ? in->n : room;
    for (size_t i = 0; i < n; i++)
        out[i] = table[(uint8_t)in->p[i]];
    *in = str_slice(*in, n, in->n);
    return n;
}

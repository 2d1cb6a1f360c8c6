/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/json.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(struct str *s)
{
    while (s->n && is_space(s->p[0]))
        *s = str_slice(*s, 1, s->n);
}

static bool take_char(struct str *s, char c)
{
    if (!s->n || s->p[0] != c)
        return false;
    *s = str_slice(*s, 1, s->n);
    return true;
}

/* ---- one value: cut off the front, or refused ---- */

static bool skip_word(struct str *s, struct str word)
{
    if (!str_starts(*s, word))
        return false;
    *s = str_slice(*s, word.n, s->n);
    return true;
}

static bool skip_digits(struct str *s)
{
    size_t n = 0;
    while (n < s->n && ascii_is_digit(s->p[n]))
        n++;
    *s = str_slice(*s, n, s->n);
    return n > 0;
}

static bool skip_number(struct str *s)
{
    take_char(s, '-');
    if (!take_char(s, '0') && !skip_digits(s))
        return false;
    if (take_char(s, '.') && !skip_digits(s))
        return false;
    if (take_char(s, 'e') || take_char(s, 'E')) {
        if (!take_char(s, '+'))
            take_char(s, '-');
        return skip_digits(s);
    }
    return true;
}

static bool skip_escape(struct str *s)
{
    if (!s->n)
        return false;
    char c = s->p[0];
    *s = str_slice(*s, 1, s->n);
    if (c != 'u')
        return c && strchr("\"\\/bfnrt", c) != NULL;
    for (int i = 0; i < 4; i++)
        if (s->n <= (size_t)i || ascii_hex(s->p[i]) < 0)
            return false;
    *s = str_slice(*s, 4, s->n);
    return true;
}

static bool skip_string(struct str *s)
{
    if (!take_char(s, '"'))
        return false;
    while (s->n) {
        char c = s->p[0];
        *s = str_slice(*s, 1, s->n);
        if (c == '"')
            return true;
        if ((unsigned char)c < 0x20 || (c == '\\' && !skip_escape(s)))
            return false;
    }
    return false;
}

static bool skip_value(struct str *s, unsigned depth);

static bool skip_items(struct str *s, unsigned depth, bool object)
{
    char end = object ? '}' : ']';

    skip_space(s);
    if (take_char(s, end))
        return true;
    do {
        skip_space(s);
        if (object) {
            if (!skip_string(s))
                return false;
            skip_space(s);
            if (!take_char(s, ':'))
                return false;
        }
        if (!skip_value(s, depth))
            return false;
        skip_space(s);
    } while (take_char(s, ','));
    return take_char(s, end);
}

static bool skip_value(struct str *s, unsigned depth)
{
    skip_space(s);
    switch (json_type_of(*s)) {
    case JSON_NONE:
        return false;
    case JSON_OBJECT:
    case JSON_ARRAY:
        if (depth == JSON_DEPTH_MAX)
            return false;
        bool object = s->p[0] == '{';
        *s = str_slice(*s, 1, s->n);
        return skip_items(s, depth + 1, object);
    case JSON_STRING:
        return skip_string(s);
    case JSON_NUMBER:
        return skip_number(s);
    case JSON_TRUE:
        return skip_word(s, STR("true"));
    case JSON_FALSE:
        return skip_word(s, STR("false"));
    case JSON_NULL:
        return skip_word(s, STR("null"));
    }
    return false;
}

bool json_check(struct str text)
{
    if (!skip_value(&text, 0))
        return false;
    skip_space(&text);
    return text.n == 0;
}

/* ---- values ---- */

enum json_type json_type_of(struct str value)
{
    skip_space(&value);
    if (!value.n)
        return JSON_NONE;
    switch (value.p[0]) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return value.p[0] == '-' || ascii_is_digit(value.p[0]) ? JSON_NUMBER
                                                               : JSON_NONE;
    }
}

/* Cut one value off the front; it begins and ends without space. */
static bool cut_value(struct str *s, struct str *value)
{
    skip_space(s);
    struct str rest = *s;
    if (!skip_value(&rest, 0))
        return false;
    *value = str_n(s->p, (size_t)(rest.p - s->p));
    *s = rest;
    return true;
}

bool json_member(struct str object, struct str name, struct str *value)
{
    struct str key, found;

    skip_space(&object);
    if (!take_char(&object, '{'))
        return false;
    while (cut_value(&object, &key)) {
        skip_space(&object);
        if (!take_char(&object, ':') || !cut_value(&object, &found))
            return false;
        if (str_eq(str_slice(key, 1, key.n - 1), name)) {
            *value = found;
            return true;
        }
        skip_space(&object);
        if (!take_char(&object, ','))
            return false;
    }
    return false;
}

bool json_next(struct str *rest, struct str *item)
{
    skip_space(rest);
    if (!take_char(rest, '[') && !take_char(rest, ','))
        return false;
    return cut_value(rest, item);
}

/* ---- strings ---- */

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (unsigned)ascii_hex(p[i]);
    return v;
}

static char *put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

/* Behind "\u": one or two groups of four digits; returns what follows.  Half
 * of a pair is U+FFFD. */
static const char *unescape_u(const char *p, const char *end, char **out)
{
    unsigned c = hex4(p);
    p += 4;
    if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' &&
        p[1] == 'u') {
        unsigned low = hex4(p + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            p += 6;
        }
    }
    if (c >= 0xd800 && c < 0xe000)
        c = 0xfffd;
    *out = put_utf8(*out, c);
    return p;
}

static char unescape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

bool json_string(struct str value, struct arena *arena, struct str *out)
{
    skip_space(&value);
    if (json_type_of(value) != JSON_STRING || value.n < 2)
        return false;
    const char *p = value.p + 1, *end = value.p + value.n - 1;
    char *text = arena_alloc(arena, value.n), *at = text;
    while (p < end) {
        if (*p != '\\') {
            *at++ = *p++;
        } else if (p[1] == 'u') {
            p = unescape_u(p + 2, end, &at);
        } else {
            *at++ = unescape(p[1]);
            p += 2;
        }
    }
    *out = str_n(text, (size_t)(at - text));
    return true;
}

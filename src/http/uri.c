/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/uri.h"

#include "base/check.h"

enum segment {
    AT_START = 0, /* right behind a slash */
    AFTER_DOT,    /* the segment is "." so far */
    AFTER_DOTS,   /* ".." */
    IN_NAME,
};

struct walk {
    char *out;
    size_t n;
    enum segment segment;
    bool merge_slashes;
};

/* The segment ends: take "." and ".." back out.  False: above the root. */
static bool end_segment(struct walk *w)
{
    if (w->segment == AFTER_DOT) {
        w->n--;
    } else if (w->segment == AFTER_DOTS) {
        w->n -= 3; /* with the slash before it */
        if (!w->n)
            return false;
        while (w->out[w->n - 1] != '/')
            w->n--;
    }
    return true;
}

static bool put_slash(struct walk *w)
{
    bool again = w->segment == AT_START && w->n;
    bool dots = w->segment == AFTER_DOT || w->segment == AFTER_DOTS;
    if (!end_segment(w))
        return false;
    w->segment = AT_START;
    /* What "." and ".." left behind ends with its slash already. */
    if (!dots && !(again && w->merge_slashes))
        w->out[w->n++] = '/';
    return true;
}

static void put_dot(struct walk *w)
{
    w->out[w->n++] = '.';
    w->segment = w->segment == AT_START    ? AFTER_DOT
                 : w->segment == AFTER_DOT ? AFTER_DOTS
                                           : IN_NAME;
}

/* The byte that the escape at s.p[i] stands for, or -1. */
static int escaped_byte(struct str s, size_t i)
{
    if (s.n - i < 3)
        return -1;
    int high = ascii_hex(s.p[i + 1]), low = ascii_hex(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int http_uri_normalise(struct str target, bool merge_slashes, char *out,
                       struct http_uri *uri)
{
    struct walk w = {.out = out, .merge_slashes = merge_slashes};
    size_t i = 0;

    if (!target.n || target.p[0] != '/')
        return -400;
    for (; i < target.n && target.p[i] != '?' && target.p[i] != '#'; i++) {
        char c = target.p[i];
        bool plain = false; /* not a delimiter, whatever it looks like */
        if (c == '%') {
            int byte = escaped_byte(target, i);
            if (byte < 0)
                return -400;
            c = (char)byte;
            plain = c == '%' || c == '#' || c == '?';
            i += 2;
        }
        if (!c)
            return -400;
        if (c == '/') {
            if (!put_slash(&w))
                return -400;
        } else if (c == '.' && !plain) {
            put_dot(&w);
        } else {
            w.out[w.n++] = c;
            w.segment = IN_NAME;
        }
    }
    if (!end_segment(&w))
        return -400;
    uri->path = str_n(out, w.n);
    uri->args = (struct str){NULL, 0};
    uri->is_as_sent = str_eq(uri->path, str_slice(target, 0, i));
    if (i < target.n && target.p[i] == '?')
        uri->args = str_slice(target, i + 1, str_find(target, '#', i));
    return 1;
}

int http_uri_parse(struct str target, bool merge_slashes, struct arena *arena,
                   struct http_uri *uri)
{
    char *out = arena_alloc(arena, target.n + 1);
    int got = http_uri_normalise(target, merge_slashes, out, uri);
    if (got == 1)
        out[uri->path.n] = '\0';
    return got;
}

static bool stays(char c, enum http_escape how)
{
    char lower = ascii_lower(c);
    if ((lower >= 'a' && lower <= 'z') || ascii_is_digit(c))
        return true;
    if (!c)
        return false;
    if (strchr("-._~", c))
        return true;
    switch (how) {
    case ESCAPE_PATH:
        return strchr("!$&'()*+,/:;=@[]", c);
    case ESCAPE_ARGS:
        return strchr("!$'()*,/:=@[]", c);
    case ESCAPE_COMPONENT:
        break;
    }
    return false;
}

static size_t escaped_size(struct str s, enum http_escape how)
{
    size_t n = s.n;
    for (size_t i = 0; i < s.n; i++)
        n += stays(s.p[i], how) ? 0 : 2;
    return n;
}

static void escape(char *to, struct str s, enum http_escape how)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (stays((char)c, how)) {
            *to++ = (char)c;
        } else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
}

bool http_uri_escape(struct buf *to, struct str s, enum http_escape how)
{
    size_t n = escaped_size(s, how);
    uint8_t *at = buf_reserve(to, n);
    if (!at)
        return n == 0;
    escape((char *)at, s, how);
    to->n += n;
    return true;
}

struct str http_uri_escape_in(struct arena *arena, struct str s,
                              enum http_escape how)
{
    size_t n = escaped_size(s, how);
    if (n == s.n)
        return s;
    char *to = arena_alloc(arena, n);
    escape(to, s, how);
    return str_n(to, n);
}

size_t http_uri_unescape(char *out, struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int byte = s.p[i] == '%' ? escaped_byte(s, i) : -1;
        out[n++] = byte < 0 ? s.p[i] : (char)byte;
        if (byte >= 0)
            i += 2;
    }
    return n;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/escape.h"

static const char upper_hex[] = "0123456789ABCDEF";

void escape_log_default(struct buf *out, struct str s)
{
    size_t plain = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
            continue;
        buf_put(out, s.p + plain, i - plain);
        const char code[] = {'\\', 'x', upper_hex[c >> 4], upper_hex[c & 15]};
        buf_put(out, code, sizeof code);
        plain = i + 1;
    }
    buf_put(out, s.p + plain, s.n - plain);
}

static void put_json_byte(struct buf *out, unsigned char c)
{
    static const char letters[] = "btnvfr"; /* of 8 to 13; \v is not JSON */
    char code[] = {'\\', (char)c};

    if (c == '"' || c == '\\') {
        buf_put(out, code, 2);
    } else if (c >= 8 && c <= 13 && c != 11) {
        code[1] = letters[c - 8];
        buf_put(out, code, 2);
    } else {
        const char unicode[] = {
            '\\', 'u', '0', '0', upper_hex[c >> 4], upper_hex[c & 15]};
        buf_put(out, unicode, sizeof unicode);
    }
}

void escape_log_json(struct buf *out, struct str s)
{
    size_t plain = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_put(out, s.p + plain, i - plain);
        put_json_byte(out, c);
        plain = i + 1;
    }
    buf_put(out, s.p + plain, s.n - plain);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "reader_parts.h"

/* Any method that nginx takes: capitals, "_" and "-". */
static bool is_method_byte(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

/* 8-bit bytes are taken as nginx does; "#" has no place in a request
 * (RFC 9112 3.2), and who strips it disagrees with who does not. */
static bool is_target_byte(uint8_t c)
{
    return c > ' ' && c != 0x7f && c != '#';
}

/*
 * "HTTP/1.1" as far as it is there.  at is where it starts; 1 when all eight
 * characters are there and good.
 */
static int version_next(struct http_reader *r, size_t at, size_t n)
{
    static const char form[] = "HTTP/0.0"; /* 0: any digit */
    const uint8_t *p = r->base + at;
    size_t have = n - at < sizeof form - 1 ? n - at : sizeof form - 1;

    for (size_t i = 0; i < have; i++) {
        if (form[i] == '0' ? !ascii_is_digit((char)p[i])
                           : p[i] != (uint8_t)form[i])
            return http_reader_fail(r, -400, "the protocol is not HTTP");
    }
    if (have < sizeof form - 1)
        return 0;
    if (p[5] != '1' || p[7] > '1')
        return http_reader_fail(r, -505, "the HTTP version is not 1.0 or 1.1");
    r->version = p[7] == '1' ? 11 : 10;
    return 1;
}

static int line_end_next(struct http_reader *r, size_t at, size_t n)
{
    if (at < n && r->base[at] != '\r')
        return http_reader_fail(r, -400,
                                "the start line does not end after the "
                                "version with CR LF");
    if (at + 1 < n && r->base[at + 1] != '\n')
        return http_reader_fail(r, -400, "CR without LF in the start line");
    if (at + 2 > n)
        return 0;
    r->seen = r->line = at + 2;
    return 1;
}

static int request_line_next(struct http_reader *r, size_t n)
{
    const uint8_t *p = r->base;
    size_t i = r->seen;

    if (r->phase == PHASE_METHOD) {
        while (i < n && is_method_byte(p[i]))
            i++;
        r->seen = i;
        if (i == n)
            return 0;
        if (p[i] != ' ' || i == 0)
            return http_reader_fail(r, -400, "invalid method");
        r->method_n = (uint32_t)i++;
        r->target = (uint32_t)i;
        r->phase = PHASE_TARGET;
    }
    if (r->phase == PHASE_TARGET) {
        while (i < n && is_target_byte(p[i]))
            i++;
        r->seen = i;
        if (i == n)
            return 0;
        if (p[i] != ' ' || i == r->target)
            return http_reader_fail(r, -400,
                                    p[i] == '\r' || p[i] == '\n'
                                        ? "no HTTP version in the request line"
                                        : "invalid character in the target");
        r->target_n = (uint32_t)i - r->target;
        r->phase = PHASE_VERSION;
    }
    size_t version = r->target + r->target_n + 1;
    r->seen = n;
    int got = version_next(r, version, n);
    return got == 1 ? line_end_next(r, version + 8, n) : got;
}

/* "HTTP/1.1 200 Reason"; the reason may be empty, with or without the space
 * before it (RFC 9112 4 wants the space, many leave it out). */
static int status_line_next(struct http_reader *r, size_t n)
{
    enum { CODE = 9, CODE_END = 12 };
    const uint8_t *p = r->base;
    size_t i = r->seen;

    if (r->phase == PHASE_STATUS) {
        r->seen = n;
        int got = version_next(r, 0, n);
        if (got < 1)
            return got;
        if (n > CODE - 1 && p[CODE - 1] != ' ')
            return http_reader_fail(r, -502, "no space after the version");
        for (i = CODE; i < n && i < CODE_END; i++)
            if (!ascii_is_digit((char)p[i]) || p[CODE] == '0')
                return http_reader_fail(r, -502, "invalid status");
        if (n <= CODE_END)
            return 0;
        r->status = (uint16_t)((p[CODE] - '0') * 100 +
                               (p[CODE + 1] - '0') * 10 + p[CODE + 2] - '0');
        if (p[CODE_END] != ' ' && p[CODE_END] != '\r')
            return http_reader_fail(r, -502, "invalid status");
        r->seen = i = CODE_END;
        r->phase = PHASE_REASON;
    }
    while (i < n && (p[i] >= ' ' || p[i] == '\t') && p[i] != 0x7f)
        i++;
    r->seen = i;
    if (i == n)
        return 0;
    if (p[i] != '\r')
        return http_reader_fail(r, -502, "invalid character in the reason");
    r->target = i > CODE_END ? CODE_END + 1 : CODE_END;
    r->target_n = (uint32_t)i - r->target;
    return line_end_next(r, i, n);
}

int http_start_line_next(struct http_reader *r, size_t n)
{
    size_t max = r->limits->line_max;
    size_t shown = n < max ? n : max;
    int got = r->is_response ? status_line_next(r, shown)
                             : request_line_next(r, shown);
    if (got == 0 && n > max)
        return http_reader_fail(r, -414, "the start line is too long");
    return got;
}

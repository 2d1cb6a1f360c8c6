/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/writer.h"

#include "base/check.h"

static uint8_t *copy(uint8_t *to, struct str s)
{
    if (s.n)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

#define COPY(to, literal) copy(to, STR(literal))

static void put_end(struct buf *to, const uint8_t *end)
{
    to->n = (size_t)(end - to->p);
}

bool http_put_status_line(struct buf *to, unsigned status, struct str reason)
{
    check(status >= 100 && status <= 999);
    if (!reason.n)
        reason = http_status_reason(status);
    if (!http_field_value_is_valid(reason))
        reason = STR("");
    uint8_t *at = buf_reserve(to, sizeof "HTTP/1.1 200 \r\n" - 1 + reason.n);
    if (!at)
        return false;
    at = COPY(at, "HTTP/1.1 ");
    *at++ = (uint8_t)('0' + status / 100);
    *at++ = (uint8_t)('0' + status / 10 % 10);
    *at++ = (uint8_t)('0' + status % 10);
    *at++ = ' ';
    at = copy(at, reason);
    put_end(to, COPY(at, "\r\n"));
    return true;
}

bool http_put_request_line(struct buf *to, struct str method, struct str target,
                           unsigned version)
{
    uint8_t *at =
        buf_reserve(to, method.n + target.n + sizeof "  HTTP/1.1\r\n" - 1);
    if (!at)
        return false;
    at = copy(at, method);
    *at++ = ' ';
    at = copy(at, target);
    at = version == 10 ? COPY(at, " HTTP/1.0\r\n") : COPY(at, " HTTP/1.1\r\n");
    put_end(to, at);
    return true;
}

bool http_put_field(struct buf *to, struct str name, struct str value)
{
    if (!http_field_value_is_valid(value))
        return false;
    uint8_t *at = buf_reserve(to, name.n + value.n + 4);
    if (!at)
        return false;
    at = copy(at, name);
    *at++ = ':';
    *at++ = ' ';
    at = copy(at, value);
    put_end(to, COPY(at, "\r\n"));
    return true;
}

bool http_put_field_u64(struct buf *to, struct str name, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return http_put_field(to, name, str_n(digits + at, sizeof digits - at));
}

bool http_put_head_end(struct buf *to)
{
    return buf_put(to, "\r\n", 2);
}

size_t http_chunk_head(char out[HTTP_CHUNK_HEAD_MAX], uint64_t n)
{
    size_t digits = 1;
    while (digits < 16 && n >> (4 * digits))
        digits++;
    for (size_t i = digits; i-- > 0; n >>= 4)
        out[i] = "0123456789abcdef"[n & 15];
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return digits + 2;
}

bool http_put_chunk_head(struct buf *to, uint64_t n)
{
    char head[HTTP_CHUNK_HEAD_MAX];
    return buf_put(to, head, http_chunk_head(head, n));
}

bool http_put_last_chunk(struct buf *to, const struct http_field *fields,
                         size_t n)
{
    size_t before = to->n, size = 5;
    for (size_t i = 0; i < n; i++)
        size += fields[i].name.n + fields[i].value.n + 4;
    if (!buf_reserve(to, size))
        return false;
    bool ok = buf_put(to, "0\r\n", 3);
    for (size_t i = 0; i < n; i++)
        if (http_field_value_is_valid(fields[i].value))
            ok = ok && http_put_field(to, fields[i].name, fields[i].value);
    ok = ok && buf_put(to, "\r\n", 2);
    if (!ok)
        to->n = before;
    return ok;
}

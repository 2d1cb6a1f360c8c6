/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/range.h"

#include <inttypes.h>
#include <stdio.h>

/* "5-9", "5-" or "-5" as [start, end) cut to size.  False: malformed. */
static bool parse_one(struct str spec, uint64_t size, struct http_range *range)
{
    size_t dash = str_find(spec, '-', 0);
    if (dash == spec.n)
        return false;
    struct str first = str_trim(str_slice(spec, 0, dash));
    struct str last = str_trim(str_slice(spec, dash + 1, spec.n));
    uint64_t number;

    if (!first.n) { /* the last so many bytes */
        if (!str_to_u64(last, INT64_MAX, &number))
            return false;
        range->start = number < size ? size - number : 0;
        range->end = number ? size : range->start;
        return true;
    }
    if (!str_to_u64(first, INT64_MAX, &range->start))
        return false;
    range->end = size;
    if (!last.n)
        return true;
    if (!str_to_u64(last, INT64_MAX, &number))
        return false;
    if (number < size)
        range->end = number + 1;
    return true;
}

int http_range_parse(struct str value, uint64_t size, struct http_range *ranges,
                     int max)
{
    int n = 0;
    uint64_t sum = 0;

    if (!str_starts_nocase(value, STR("bytes=")))
        return 0;
    struct str rest = str_slice(value, 6, value.n);
    while (rest.p) {
        struct http_range range;
        if (!parse_one(str_trim(str_cut(&rest, ',')), size, &range))
            return -416;
        if (range.start >= range.end) {
            if (range.start == 0)
                return 0; /* the first bytes of nothing */
            continue;
        }
        if (n == max)
            return 0;
        ranges[n++] = range;
        /* No overflow: each is at most size, and past size we stop. */
        sum += range.end - range.start;
        if (sum > size)
            return 0;
    }
    return n ? n : -416;
}

bool http_range_put(struct buf *to, const struct http_range *range,
                    uint64_t size)
{
    if (!range)
        return buf_printf(to, "bytes */%" PRIu64, size);
    return buf_printf(to, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                      range->start, range->end - 1, size);
}

struct str http_boundary(uint64_t number, char out[HTTP_BOUNDARY_SIZE + 1])
{
    snprintf(out, HTTP_BOUNDARY_SIZE + 1, "%020" PRIu64, number);
    return str_n(out, HTTP_BOUNDARY_SIZE);
}

bool http_multipart_put_head(struct buf *to, struct str boundary,
                             struct str type, const struct http_range *range,
                             uint64_t size)
{
    size_t before = to->n;
    bool ok = buf_printf(to, "\r\n--%.*s\r\n", STR_ARG(boundary));
    if (type.n)
        ok = ok && buf_printf(to, "Content-Type: %.*s\r\n", STR_ARG(type));
    ok = ok && buf_printf(to, "Content-Range: ") &&
         http_range_put(to, range, size) && buf_printf(to, "\r\n\r\n");
    if (!ok)
        to->n = before;
    return ok;
}

bool http_multipart_put_end(struct buf *to, struct str boundary)
{
    return buf_printf(to, "\r\n--%.*s--\r\n", STR_ARG(boundary));
}

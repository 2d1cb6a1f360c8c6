/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http/range.h - Range requests: which bytes, and how their parts are framed.
 *
 * RFC 9110 section 14.  Where the RFC leaves a choice nginx's is taken: a
 * malformed byte range is answered with 416, another unit is ignored, and
 * ranges that sum up to more than the whole are ignored.
 */
#ifndef PENSTOCK_HTTP_RANGE_H
#define PENSTOCK_HTTP_RANGE_H

#include "base/buf.h"

struct http_range {
    uint64_t start, end; /* bytes [start, end) */
};

enum {
    HTTP_BOUNDARY_SIZE = 20 /* characters */
};

/*
 * Read the value of a Range field for a representation of size bytes, with
 * room for max ranges (and no more of them allowed).
 *
 * Returns the number of ranges, in the order asked for and none of them empty;
 * 0 when the field is to be ignored; -416.
 */
int http_range_parse(struct str value, uint64_t size, struct http_range *ranges,
                     int max);

/* Append "bytes 0-4/10"; a range of NULL has a "*" for the bytes (416). */
bool http_range_put(struct buf *to, const struct http_range *range,
                    uint64_t size);

/* The boundary made of a number; take one that is hard to guess. */
struct str http_boundary(uint64_t number, char out[HTTP_BOUNDARY_SIZE + 1]);

/* What stands before each part of a multipart/byteranges body (type may be
 * empty), and behind the last one. */
bool http_multipart_put_head(struct buf *to, struct str boundary,
                             struct str type, const struct http_range *range,
                             uint64_t size);
bool http_multipart_put_end(struct buf *to, struct str boundary);

#endif

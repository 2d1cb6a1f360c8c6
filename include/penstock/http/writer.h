/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http/writer.h - the pieces of an HTTP/1.1 message, appended to a buf.
 *
 * RFC 9112 sections 3, 4, 5 and 7.1.  Who calls decides what is sent; this
 * only spells it.  Every function returns false, and appends nothing, when the
 * buf is full.
 */
#ifndef PENSTOCK_HTTP_WRITER_H
#define PENSTOCK_HTTP_WRITER_H

#include "base/buf.h"
#include "http/head.h"

enum {
    HTTP_CHUNK_HEAD_MAX = 18 /* bytes: 16 digits and CR LF */
};

/* "HTTP/1.1 200 OK\r\n".  An empty reason is replaced by the status's own. */
bool http_put_status_line(struct buf *to, unsigned status, struct str reason);

/* "GET /path HTTP/1.1\r\n"; version is 10 or 11. */
bool http_put_request_line(struct buf *to, struct str method, struct str target,
                           unsigned version);

/*
 * "Name: value\r\n".  Also false for a value that would split the message
 * (CR, LF, NUL or another control inside): the last line of defence against
 * values that somebody put together from a decoded URI.
 */
bool http_put_field(struct buf *to, struct str name, struct str value);
bool http_put_field_u64(struct buf *to, struct str name, uint64_t value);

/* The empty line. */
bool http_put_head_end(struct buf *to);

/* "1a\r\n"; n > 0, and after the n bytes comes "\r\n". */
bool http_put_chunk_head(struct buf *to, uint64_t n);

/* The same into memory; returns its size. */
size_t http_chunk_head(char out[HTTP_CHUNK_HEAD_MAX], uint64_t n);

/* "0\r\n", the trailer fields that are valid, "\r\n". */
bool http_put_last_chunk(struct buf *to, const struct http_field *fields,
                         size_t n);

#endif

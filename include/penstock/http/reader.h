/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http/reader.h - HTTP/1.x bytes to events, strictly.
 *
 * RFC 9112.  The one door to llhttp, and every check that llhttp leaves to
 * us: where two parties could disagree about the end of a message, the
 * message is refused.  Pulled, pure: no I/O, no clock.
 *
 * A head is given whole.  Until it is there its bytes stay unconsumed in the
 * caller's input (shown again, longer, next time; the memory may move), so a
 * reader between messages owns no memory at all.  Body bytes are given where
 * they lie, as they come.
 */
#ifndef PENSTOCK_HTTP_READER_H
#define PENSTOCK_HTTP_READER_H

#include "http/head.h"

/* The last two are for requests; in responses any token is a field name. */
struct http_limits {
    size_t line_max;     /* bytes of the start line with CR LF; over: -414
                            (-502) */
    size_t field_max;    /* bytes of one field line; over: -494 (-502) */
    size_t head_max;     /* bytes of the whole head; over: -494 (-502) */
    size_t fields_max;   /* fields in it; over: -494 (-502) */
    bool underscores_ok; /* underscores_in_headers on */
    bool drop_invalid;   /* ignore_invalid_headers on: such a field is
                            left out of the head, as nginx does */
};

enum http_event_type {
    HTTP_EVENT_HEAD = 1, /* ev->head */
    HTTP_EVENT_BODY,     /* ev->data, not empty */
    HTTP_EVENT_TRAILERS, /* ev->head->fields of the trailer section */
    HTTP_EVENT_END,      /* the message is complete; the next may follow */
};

struct http_event {
    enum http_event_type type;
    const struct http_head *head; /* good until the next call of any reader
                                     in this thread: copy it to keep it */
    struct span data;             /* points into the input */
};

struct http_reader; /* http_reader_size bytes; see below */

struct http_reader *http_request_reader_create(const struct http_limits *l);
struct http_reader *http_response_reader_create(const struct http_limits *l);
void http_reader_destroy(struct http_reader *r); /* NULL is fine */

/* Ready for a new connection; limits are borrowed and must outlive r. */
void http_reader_reset(struct http_reader *r, const struct http_limits *l);

/* Responses: the next one answers a HEAD request (RFC 9112 6.3). */
void http_reader_expect_no_body(struct http_reader *r);

/*
 * Take the next event out of *in.
 *
 * Returns 1 with an event, 0 when more input is needed (a partial head stays
 * in *in), or the negated status to answer with:
 *   requests   -400 malformed, -414 target too long, -494 head too large
 *              (nginx's 494, sent as 400), -501 a transfer coding that we do
 *              not have, -505 a version that we do not speak
 *   responses  -502
 * After a negative return the reader is spent.  http_reader_error() says why.
 *
 * A 1xx response is a HEAD without an END, followed by the next HEAD; only a
 * 101 has its END, and the bytes behind it are left alone.  Whether bytes
 * that stay in *in after an END are the next message is the caller's to say.
 * Trailers are never merged into the head, and those that would change its
 * meaning (Content-Length, Host, Connection, ...) are left out.
 */
int http_reader_next(struct http_reader *r, struct span *in,
                     struct http_event *ev);

/*
 * The connection ended.  1 with HTTP_EVENT_END when that completes a message
 * (BODY_UNTIL_EOF), 0 when it stood between messages, negative when it cut
 * one off (-400, -502).
 */
int http_reader_finish(struct http_reader *r, struct http_event *ev);

/* Why a negative code was returned: a static sentence for the error log. */
const char *http_reader_error(const struct http_reader *r);

/* True when no byte of a message has been taken since the last one ended. */
bool http_reader_is_idle(const struct http_reader *r);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/unit/http/transcript.h - what an HTTP reader says, as text.
 *
 * One line an event, body bytes joined, so that the same input gives the same
 * text however it was cut.  What must hold for any head is checked on the
 * way, with check(): the fuzzers use this too.
 *
 *   GET /a HTTP/1.1 @host none keep {Host: host}
 *   200 OK HTTP/1.1 length=5 keep {Content-Length: 5}
 *   BODY(hello)
 *   TRAILERS {X: y}
 *   END
 *   ERROR -400
 *   FINISH 0
 */
#ifndef PENSTOCK_TESTS_HTTP_TRANSCRIPT_H
#define PENSTOCK_TESTS_HTTP_TRANSCRIPT_H

#include "base/buf.h"
#include "base/check.h"
#include "http/reader.h"

struct transcript {
    struct http_limits limits;
    bool response;
    bool no_body; /* every response answers a HEAD */
    bool brief;   /* errors without their number */
    struct http_reader *r;
    struct buf out;
    bool in_body;
};

static const struct http_limits transcript_limits = {
    .line_max = 8192,
    .field_max = 8192,
    .head_max = 32768,
    .fields_max = 100,
    .drop_invalid = true,
};

static inline void transcript_close_body(struct transcript *t)
{
    if (t->in_body)
        buf_printf(&t->out, ")\n");
    t->in_body = false;
}

static inline void transcript_begin(void *arg)
{
    struct transcript *t = arg;
    t->r = t->response ? http_response_reader_create(&t->limits)
                       : http_request_reader_create(&t->limits);
    buf_clear(&t->out);
    t->in_body = false;
    check(http_reader_is_idle(t->r));
}

static inline void transcript_fields(struct transcript *t,
                                     const struct http_head *h)
{
    buf_printf(&t->out, "{");
    for (size_t i = 0; i < h->fields_n; i++) {
        struct str name = h->fields[i].name, value = h->fields[i].value;
        check(name.n && !memchr(name.p, ':', name.n) &&
              !memchr(name.p, ' ', name.n));
        for (size_t k = 0; k < value.n; k++) {
            uint8_t c = (uint8_t)value.p[k];
            check((c >= 0x20 && c != 0x7f) || c == '\t');
        }
        check(!value.n ||
              (value.p[0] != ' ' && value.p[0] != '\t' &&
               value.p[value.n - 1] != ' ' && value.p[value.n - 1] != '\t'));
        buf_printf(&t->out, "%s%.*s: %.*s", i ? "; " : "", STR_ARG(name),
                   STR_ARG(value));
    }
    buf_printf(&t->out, "}\n");
}

/* No byte of an accepted section is read differently by anybody. */
static inline void transcript_check_lines(const uint8_t *p, size_t n)
{
    check(n >= 2 && p[n - 2] == '\r' && p[n - 1] == '\n');
    for (size_t i = 0; i < n; i++) {
        check(p[i] != '\0');
        if (p[i] == '\r')
            check(i + 1 < n && p[i + 1] == '\n');
        if (p[i] == '\n') {
            check(i && p[i - 1] == '\r');
            check(i + 1 == n || (p[i + 1] != ' ' && p[i + 1] != '\t'));
        }
    }
}

static inline void transcript_head(struct transcript *t,
                                   const struct http_head *h)
{
    static const char *const bodies[] = {"none", "length", "chunked", "eof"};
    if (t->response)
        buf_printf(&t->out, "%u %.*s", h->status, STR_ARG(h->reason));
    else
        buf_printf(&t->out, "%.*s %.*s", STR_ARG(h->method_text),
                   STR_ARG(h->path));
    buf_printf(&t->out, " HTTP/%u.%u", h->version / 10u, h->version % 10u);
    if (!t->response)
        buf_printf(&t->out, " @%.*s", STR_ARG(h->authority));
    buf_printf(&t->out, " %s", bodies[h->body]);
    if (h->body == BODY_LENGTH) {
        check(h->content_length <= INT64_MAX);
        buf_printf(&t->out, "=%llu", (unsigned long long)h->content_length);
    }
    buf_printf(&t->out, "%s%s%s ", h->keep_alive ? " keep" : " close",
               h->expect_continue ? " expect" : "",
               h->upgrade ? " upgrade" : "");
    size_t lengths = http_head_count(h, STR("content-length"));
    size_t codings = http_head_count(h, STR("transfer-encoding"));
    check(lengths + codings <= 1);
    check(!t->limits.fields_max || h->fields_n <= t->limits.fields_max);
    if (h->body == BODY_CHUNKED)
        check(codings == 1 && h->version == 11);
    if (h->body == BODY_LENGTH)
        check(lengths == 1);
    transcript_fields(t, h);
}

static inline void transcript_error(struct transcript *t, int code)
{
    check(*http_reader_error(t->r));
    if (t->brief)
        buf_printf(&t->out, "ERROR\n");
    else
        buf_printf(&t->out, "ERROR %d\n", code);
}

static inline int transcript_feed(void *arg, struct span *in)
{
    struct transcript *t = arg;
    struct http_event ev;
    int got;

    for (;;) {
        size_t before = in->n;
        if (t->no_body)
            http_reader_expect_no_body(t->r);
        got = http_reader_next(t->r, in, &ev);
        check(in->n <= before);
        if (got != 1)
            break;
        if (ev.type == HTTP_EVENT_BODY) {
            check(ev.data.n);
            if (!t->in_body)
                buf_printf(&t->out, "BODY(");
            t->in_body = true;
            buf_put(&t->out, ev.data.p, ev.data.n);
            continue;
        }
        transcript_close_body(t);
        if (ev.type == HTTP_EVENT_END) {
            buf_printf(&t->out, "END\n");
            check(http_reader_is_idle(t->r));
            continue;
        }
        transcript_check_lines(in->p - ev.head->size, ev.head->size);
        if (ev.type == HTTP_EVENT_HEAD) {
            transcript_head(t, ev.head);
        } else {
            buf_printf(&t->out, "TRAILERS ");
            transcript_fields(t, ev.head);
        }
    }
    if (got < 0) {
        transcript_close_body(t);
        transcript_error(t, got);
        check(http_reader_next(t->r, in, &ev) == got);
    }
    return got;
}

/* Says what the end of the connection means, and lets go of the reader. */
static inline void transcript_end(struct transcript *t)
{
    struct http_event ev;
    int got = http_reader_finish(t->r, &ev);
    transcript_close_body(t);
    if (got == 1)
        buf_printf(&t->out, "FINISH END\n");
    else if (t->brief && got < 0)
        buf_printf(&t->out, "FINISH ERROR\n");
    else
        buf_printf(&t->out, "FINISH %d\n", got);
    http_reader_destroy(t->r);
    t->r = NULL;
}

#endif

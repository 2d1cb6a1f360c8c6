/* SPDX-License-Identifier: BSD-2-Clause */
#include "reader_parts.h"

#include <stdlib.h>

#include "base/check.h"

static struct http_reader *create(const struct http_limits *l, bool response)
{
    struct http_reader *r = xcalloc(1, sizeof *r);
    r->is_response = response;
    http_reader_reset(r, l);
    return r;
}

struct http_reader *http_request_reader_create(const struct http_limits *l)
{
    return create(l, false);
}

struct http_reader *http_response_reader_create(const struct http_limits *l)
{
    return create(l, true);
}

static void forget_marks(struct http_reader *r)
{
    free(r->kept.p);
    r->kept = (struct marks){NULL, 0, 0};
}

void http_reader_destroy(struct http_reader *r)
{
    if (!r)
        return;
    forget_marks(r);
    free(r);
}

void http_reader_reset(struct http_reader *r, const struct http_limits *l)
{
    bool is_response = r->is_response;
    forget_marks(r);
    *r = (struct http_reader){.limits = l, .is_response = is_response};
}

void http_reader_expect_no_body(struct http_reader *r)
{
    r->no_body = true;
}

const char *http_reader_error(const struct http_reader *r)
{
    return r->error ? r->error : "";
}

bool http_reader_is_idle(const struct http_reader *r)
{
    return r->state == READER_START && !r->interims;
}

int http_reader_fail(struct http_reader *r, int code, const char *why)
{
    forget_marks(r);
    r->state = READER_FAILED;
    r->code = r->is_response ? -502 : code;
    r->error = why;
    return r->code;
}

static void begin_section(struct http_reader *r)
{
    r->seen = r->line = 0;
    r->in_field = false;
}

/* Empty lines before a request (RFC 9112 2.2) are not part of it.  1 when
 * the first byte of a message is there. */
static int skip_empty_lines(struct http_reader *r, struct span *in)
{
    while (in->n && in->p[0] == '\r' && !r->is_response) {
        if (in->n < 2)
            return 0;
        if (in->p[1] != '\n')
            return http_reader_fail(r, -400, "CR without LF");
        if (++r->empty_lines > EMPTY_LINES_MAX)
            return http_reader_fail(r, -400, "empty lines before a request");
        span_advance(in, 2);
    }
    return in->n > 0;
}

/* The head is complete: give it and be ready for what follows it. */
static int give_head(struct http_reader *r, struct span *in,
                     struct http_event *ev)
{
    struct http_head *h = &http_scratch.head;
    int got = http_head_check(r);
    forget_marks(r);
    if (got < 0)
        return got;

    h->bytes = (const char *)in->p;
    span_advance(in, h->size);
    *ev = (struct http_event){.type = HTTP_EVENT_HEAD, .head = h};
    begin_section(r);
    r->empty_lines = 0;
    if (r->is_response && r->status < 200 && r->status != 101) {
        if (++r->interims > INTERIMS_MAX)
            return http_reader_fail(r, -502, "too many 1xx responses");
        r->state = READER_START;
        return 1;
    }
    switch (h->body) {
    case BODY_NONE:
        r->state = READER_END;
        break;
    case BODY_LENGTH:
        r->left = h->content_length;
        r->state = r->left ? READER_BODY_LENGTH : READER_END;
        break;
    case BODY_CHUNKED:
        llhttp_resume(&r->parser);
        r->chunk_excess = 0;
        r->state = READER_CHUNKS;
        break;
    case BODY_UNTIL_EOF:
        r->state = READER_BODY_EOF;
        break;
    }
    return 1;
}

static int next_in_head(struct http_reader *r, struct span *in,
                        struct http_event *ev)
{
    int got;
    check(in->n >= r->seen); /* what was shown is shown again */
    if (r->state == READER_START) {
        if ((got = skip_empty_lines(r, in)) < 1)
            return got;
        begin_section(r);
        r->phase = r->is_response ? PHASE_STATUS : PHASE_METHOD;
        r->state = READER_START_LINE;
    }
    r->base = in->p;
    if (r->state == READER_START_LINE) {
        if ((got = http_start_line_next(r, in->n)) < 1)
            return got;
        http_fields_begin(r);
        r->state = READER_FIELDS;
    }
    got = http_fields_next(r, in->n);
    return got == 1 ? give_head(r, in, ev) : got;
}

/* Chunk extensions and needless zeros are bounded over the whole message:
 * they cost the sender as much as us, and bring no body. */
static int count_framing(struct http_reader *r, size_t n)
{
    r->chunk_excess += n;
    if (r->chunk_excess > CHUNK_EXCESS_MAX + CHUNK_FRAME)
        return http_reader_fail(r, -400, "chunk extensions are too long");
    if (r->chunk_header)
        r->chunk_excess -=
            r->chunk_excess < CHUNK_FRAME ? r->chunk_excess : CHUNK_FRAME;
    return 1;
}

/* Run llhttp until a piece of body or the last chunk's line, or to the end
 * of the input. */
static int next_in_chunks(struct http_reader *r, struct span *in,
                          struct http_event *ev)
{
    while (in->n) {
        r->chunk_header = r->last_chunk = false;
        r->data = (struct span){in->p, 0};
        llhttp_errno_t err =
            llhttp_execute(&r->parser, (const char *)in->p, in->n);
        if (err != HPE_OK && err != HPE_PAUSED)
            return r->code ? r->code
                           : http_reader_fail(
                                 r, -400, llhttp_get_error_reason(&r->parser));
        size_t used = in->n;
        if (err == HPE_PAUSED)
            used = (size_t)((const uint8_t *)llhttp_get_error_pos(&r->parser) -
                            in->p);
        llhttp_resume(&r->parser);
        span_advance(in, used);
        if (count_framing(r, used - r->data.n) < 0)
            return r->code;
        if (r->data.n) {
            *ev = (struct http_event){.type = HTTP_EVENT_BODY, .data = r->data};
            return 1;
        }
        if (r->last_chunk) {
            begin_section(r);
            r->state = READER_TRAILERS;
            return 0;
        }
    }
    return 0;
}

/* 1 with the trailers, or 0: r->state tells whether they are over. */
static int next_in_trailers(struct http_reader *r, struct span *in,
                            struct http_event *ev)
{
    check(in->n >= r->seen);
    r->base = in->p;
    int got = http_fields_next(r, in->n);
    if (got < 1)
        return got;
    got = http_trailers_make(r);
    forget_marks(r);
    if (got < 0)
        return got;
    const struct http_head *h = &http_scratch.head;
    span_advance(in, h->size);
    r->state = READER_END;
    *ev = (struct http_event){.type = HTTP_EVENT_TRAILERS, .head = h};
    return h->fields_n > 0;
}

static int next_of_body(struct http_reader *r, struct span *in,
                        struct http_event *ev)
{
    if (!in->n)
        return 0;
    size_t n = in->n;
    if (r->state == READER_BODY_LENGTH) {
        if (n > r->left)
            n = (size_t)r->left;
        r->left -= n;
        if (!r->left)
            r->state = READER_END;
    }
    *ev = (struct http_event){.type = HTTP_EVENT_BODY, .data = {in->p, n}};
    span_advance(in, n);
    return 1;
}

static int give_end(struct http_reader *r, struct http_event *ev)
{
    begin_section(r);
    r->state = READER_START;
    r->interims = 0;
    r->no_body = false;
    *ev = (struct http_event){.type = HTTP_EVENT_END};
    return 1;
}

int http_reader_next(struct http_reader *r, struct span *in,
                     struct http_event *ev)
{
    int got = 0;
    for (;;) {
        enum reader_state before = r->state;
        switch (r->state) {
        case READER_START:
        case READER_START_LINE:
        case READER_FIELDS:
            return next_in_head(r, in, ev);
        case READER_BODY_LENGTH:
        case READER_BODY_EOF:
            return next_of_body(r, in, ev);
        case READER_CHUNKS:
            got = next_in_chunks(r, in, ev);
            break;
        case READER_TRAILERS:
            got = next_in_trailers(r, in, ev);
            break;
        case READER_END:
            return give_end(r, ev);
        case READER_FAILED:
            return r->code;
        }
        if (got || r->state == before)
            return got;
    }
}

int http_reader_finish(struct http_reader *r, struct http_event *ev)
{
    switch (r->state) {
    case READER_FAILED:
        return r->code;
    case READER_END:
    case READER_BODY_EOF:
        return give_end(r, ev);
    case READER_START:
        if (!r->interims)
            return 0;
        break;
    case READER_START_LINE:
    case READER_FIELDS:
    case READER_BODY_LENGTH:
    case READER_CHUNKS:
    case READER_TRAILERS:
        break;
    }
    return http_reader_fail(r, -400, "the connection ended within a message");
}

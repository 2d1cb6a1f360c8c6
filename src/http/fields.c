/* SPDX-License-Identifier: BSD-2-Clause */
#include "reader_parts.h"

#include "base/check.h"

enum { MARKS_FIRST = 16 };

_Thread_local struct scratch http_scratch;

static int fail(struct http_reader *r, int code, const char *why)
{
    http_reader_fail(r, code, why);
    return HPE_USER;
}

static struct mark *last_mark(struct http_reader *r)
{
    return &r->marks->p[r->marks->n - 1];
}

static void marks_grow(struct marks *m)
{
    m->capacity = m->capacity ? m->capacity * 2 : MARKS_FIRST;
    m->p = xrealloc(m->p, m->capacity * sizeof *m->p);
}

/* end: how far the current line is known to reach. */
static int check_line_size(struct http_reader *r, size_t end)
{
    if (end - r->line > r->limits->field_max)
        return fail(r, -494, "a field is too long");
    return 0;
}

/*
 * The bytes of a field line must be name, colon, blanks, value, CR, LF and
 * nothing else.  This is what finds line folding and bare line feeds, which
 * llhttp takes: with them the pieces do not meet.
 */
static int on_value_complete(llhttp_t *parser)
{
    struct http_reader *r = parser->data;
    const struct mark *m = last_mark(r);
    const uint8_t *p = r->base;
    size_t at = m->name + m->name_n;

    if (p[at++] != ':')
        return fail(r, -400, "no colon after a field name");
    while (p[at] == ' ' || p[at] == '\t')
        at++;
    if (m->value_n) {
        if (at != m->value)
            return fail(r, -400, "a field is folded");
        at += m->value_n;
    }
    if (p[at] != '\r' || p[at + 1] != '\n')
        return fail(r, -400, "a field is folded or does not end with CR LF");
    at += 2;
    int err = check_line_size(r, at);
    r->line = at;
    r->in_field = false;
    return err;
}

static int on_name(llhttp_t *parser, const char *p, size_t n)
{
    struct http_reader *r = parser->data;
    uint32_t at = (uint32_t)((const uint8_t *)p - r->base);

    if (!r->in_field) {
        if (at != r->line || !n)
            return fail(r, -400, "a field without a name, or a folded one");
        if (r->marks->n >= r->limits->fields_max)
            return fail(r, -494, "too many fields");
        if (r->marks->n == r->marks->capacity)
            marks_grow(r->marks);
        r->marks->p[r->marks->n++] = (struct mark){.name = at};
        r->in_field = true;
        r->in_value = false;
    }
    struct mark *m = last_mark(r);
    m->name_n = at + (uint32_t)n - m->name;
    return check_line_size(r, at + n);
}

static int on_value(llhttp_t *parser, const char *p, size_t n)
{
    struct http_reader *r = parser->data;
    uint32_t at = (uint32_t)((const uint8_t *)p - r->base);

    if (!r->in_field)
        return fail(r, -400, "a field without a name");
    if (!n)
        return 0; /* reported late: from the line behind it */
    struct mark *m = last_mark(r);
    if (!r->in_value)
        m->value = at;
    else if (at != m->value + m->value_n)
        return fail(r, -400, "a field is folded");
    r->in_value = true;
    m->value_n = at + (uint32_t)n - m->value;
    return check_line_size(r, at + n);
}

/* What follows depends on rules that llhttp does not know; when it is to read
 * on (chunks), it is resumed from here. */
static int on_headers_complete(llhttp_t *parser)
{
    struct http_reader *r = parser->data;
    r->section_end = true;
    /* Nothing is switched here: a CONNECT or Upgrade request has the body
     * that its fields say, and what follows a 101 is not ours to read. */
    parser->upgrade = 0;
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_reader *r = parser->data;
    r->section_end = true;
    return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct http_reader *r = parser->data;
    if (parser->content_length > INT64_MAX)
        return fail(r, -400, "a chunk is too large");
    r->chunk_header = true;
    r->last_chunk = parser->content_length == 0;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *p, size_t n)
{
    struct http_reader *r = parser->data;
    r->data.p += (const uint8_t *)p - r->data.p;
    r->data.n = n;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static void make_template(llhttp_t *parser, llhttp_type_t type,
                          const char *line)
{
    llhttp_init(parser, type, &settings);
    check(llhttp_execute(parser, line, strlen(line)) == HPE_OK);
}

void http_fields_begin(struct http_reader *r)
{
    static _Thread_local llhttp_t request, response;
    if (!request.settings) {
        make_template(&request, HTTP_REQUEST, "GET / HTTP/1.1\r\n");
        make_template(&response, HTTP_RESPONSE, "HTTP/1.1 200 OK\r\n");
    }
    r->parser = r->is_response ? response : request;
    r->parser.data = r;
    r->in_field = false;
}

/* Keep the marks of an incomplete section: the scratch is everybody's. */
static void marks_keep(struct http_reader *r)
{
    if (r->marks == &r->kept || !r->marks->n)
        return;
    r->kept.capacity = r->marks->n < MARKS_FIRST ? MARKS_FIRST : r->marks->n;
    r->kept.n = r->marks->n;
    r->kept.p = xmalloc(r->kept.capacity * sizeof *r->kept.p);
    memcpy(r->kept.p, r->marks->p, r->marks->n * sizeof *r->kept.p);
}

int http_fields_next(struct http_reader *r, size_t n)
{
    size_t max = r->limits->head_max;
    if (max > HEAD_BYTES_MAX)
        max = HEAD_BYTES_MAX;
    size_t shown = n < max ? n : max;

    r->marks = &r->kept;
    if (!r->kept.p) {
        r->marks = &http_scratch.marks;
        r->marks->n = 0;
    }
    r->section_end = false;
    llhttp_errno_t err =
        shown > r->seen
            ? llhttp_execute(&r->parser, (const char *)r->base + r->seen,
                             shown - r->seen)
            : HPE_OK;
    if (err == HPE_PAUSED && r->section_end) {
        const uint8_t *end = (const uint8_t *)llhttp_get_error_pos(&r->parser);
        r->seen = (size_t)(end - r->base);
        /* The empty line: as strict as the others. */
        if (r->in_field || r->seen != r->line + 2 || r->base[r->line] != '\r' ||
            r->base[r->line + 1] != '\n')
            return http_reader_fail(r, -400, "bare LF at the end of the head");
        return 1;
    }
    if (err != HPE_OK)
        return r->code ? r->code
                       : http_reader_fail(r, -400,
                                          llhttp_get_error_reason(&r->parser));
    r->seen = shown;
    if (n > max)
        return http_reader_fail(r, -494, "the head is too large");
    if (check_line_size(r, shown) != 0)
        return r->code;
    marks_keep(r);
    return 0;
}

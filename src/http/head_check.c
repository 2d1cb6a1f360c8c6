/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "http/authority.h"
#include "reader_parts.h"

/* What is gathered from the fields while they are walked once. */
struct facts {
    size_t hosts, lengths, codings, upgrades;
    struct str host, length, coding;
    bool connection_close, connection_keep_alive, connection_upgrade;
    bool expect_continue;
};

enum name_class {
    NAME_PLAIN = 0, /* letters, digits, "-" */
    NAME_UNDERSCORE = 1,
    NAME_ODD = 2, /* another character of a token */
    NAME_BAD = 4,
};

/* The classes of a name's characters, together. */
static unsigned name_class(struct str name)
{
    static _Thread_local uint8_t classes[256];
    if (!classes[0]) {
        for (unsigned c = 0; c < COUNT(classes); c++) {
            char lower = ascii_lower((char)c);
            if ((lower >= 'a' && lower <= 'z') || ascii_is_digit((char)c) ||
                c == '-')
                classes[c] = NAME_PLAIN;
            else if (c == '_')
                classes[c] = NAME_UNDERSCORE;
            else
                classes[c] = ascii_is_token((char)c) ? NAME_ODD : NAME_BAD;
        }
    }
    unsigned all = 0;
    for (size_t i = 0; i < name.n; i++)
        all |= classes[(uint8_t)name.p[i]];
    return all;
}

static void read_connection(struct facts *f, struct str value)
{
    struct str option;
    while (str_list_next(&value, &option)) {
        if (str_eq_nocase(option, STR("close")))
            f->connection_close = true;
        else if (str_eq_nocase(option, STR("keep-alive")))
            f->connection_keep_alive = true;
        else if (str_eq_nocase(option, STR("upgrade")))
            f->connection_upgrade = true;
    }
}

static void read_field(struct facts *f, const struct http_field *field)
{
    struct str name = field->name, value = field->value;
    switch (name.n) {
    case 4:
        if (str_eq_nocase(name, STR("host")) && !f->hosts++)
            f->host = value;
        break;
    case 6:
        if (str_eq_nocase(name, STR("expect")))
            f->expect_continue |= str_eq_nocase(value, STR("100-continue"));
        break;
    case 7:
        if (str_eq_nocase(name, STR("upgrade")) && value.n)
            f->upgrades++;
        break;
    case 10:
        if (str_eq_nocase(name, STR("connection")))
            read_connection(f, value);
        break;
    case 14:
        if (str_eq_nocase(name, STR("content-length")) && !f->lengths++)
            f->length = value;
        break;
    case 17:
        if (str_eq_nocase(name, STR("transfer-encoding")) && !f->codings++)
            f->coding = value;
        break;
    }
}

/* The marks as fields in the scratch; -1 when one must be refused. */
static int make_fields(struct http_reader *r, struct facts *f)
{
    struct scratch *s = &http_scratch;
    struct http_head *h = &s->head;
    const struct marks *marks = r->marks;

    if (marks->n > s->fields_capacity) {
        s->fields_capacity = marks->capacity;
        s->fields = xrealloc(s->fields, s->fields_capacity * sizeof *s->fields);
    }
    h->fields = s->fields;
    h->fields_n = 0;
    for (uint32_t i = 0; i < marks->n; i++) {
        const struct mark *m = &marks->p[i];
        struct http_field *field = &h->fields[h->fields_n];
        field->name = str_n(r->base + m->name, m->name_n);
        field->value = str_trim(str_n(r->base + m->value, m->value_n));
        unsigned class = name_class(field->name);
        if (class & NAME_BAD)
            return http_reader_fail(r, -400, "invalid field name");
        if (!http_field_value_is_valid(field->value))
            return http_reader_fail(r, -400, "invalid field value");
        if (class && !r->is_response &&
            ((class & NAME_ODD) || !r->limits->underscores_ok)) {
            if (!r->limits->drop_invalid)
                return http_reader_fail(r, -400, "invalid field name");
            continue;
        }
        read_field(f, field);
        h->fields_n++;
    }
    return 1;
}

static int check_coding(struct http_reader *r, const struct facts *f)
{
    if (r->version == 10)
        return http_reader_fail(r, -400, "Transfer-Encoding in HTTP/1.0");
    if (f->lengths)
        return http_reader_fail(r, -400,
                                "both Content-Length and Transfer-Encoding");
    if (f->codings > 1)
        return http_reader_fail(r, -400, "more than one Transfer-Encoding");
    if (str_eq_nocase(f->coding, STR("chunked")))
        return 1;

    struct str rest = f->coding, coding, last = {NULL, 0};
    size_t chunked = 0;
    while (str_list_next(&rest, &coding)) {
        chunked += str_eq_nocase(coding, STR("chunked"));
        last = coding;
    }
    /* "gzip, chunked" can be understood but not decoded; "chunked, gzip" and
     * "chunked, chunked" have no length that all would agree on. */
    if (!last.n || chunked > 1 ||
        (chunked && !str_eq_nocase(last, STR("chunked"))))
        return http_reader_fail(r, -400, "invalid Transfer-Encoding");
    return http_reader_fail(r, -501, "unknown Transfer-Encoding");
}

/* Responses that have no body whatever their fields say; 6.3 items 1, 2. */
static void settle_response_body(const struct http_reader *r,
                                 struct http_head *h)
{
    bool never = r->status < 200 || r->status == 204;
    if (never || r->status == 304 || r->no_body) {
        /* Who frames a body where there can be none may well send it, so
         * the connection is not to be used again. */
        if (never && (h->body == BODY_CHUNKED || h->content_length))
            h->keep_alive = false;
        h->body = BODY_NONE;
        h->content_length = 0;
    } else if (h->body == BODY_UNTIL_EOF) {
        h->keep_alive = false;
    }
}

/* RFC 9112 section 6.3. */
static int check_framing(struct http_reader *r, const struct facts *f)
{
    struct http_head *h = &http_scratch.head;

    if (f->lengths > 1)
        return http_reader_fail(r, -400, "more than one Content-Length");
    if (f->lengths && !str_to_u64(f->length, INT64_MAX, &h->content_length))
        return http_reader_fail(r, -400, "invalid Content-Length");
    if (f->codings) {
        int got = check_coding(r, f);
        if (got < 0)
            return got;
        /* Both of us must have seen the same. */
        if (!(r->parser.flags & F_CHUNKED))
            return http_reader_fail(r, -400, "invalid Transfer-Encoding");
        h->body = BODY_CHUNKED;
    } else if (f->lengths) {
        h->body = BODY_LENGTH;
    } else {
        h->body = r->is_response ? BODY_UNTIL_EOF : BODY_NONE;
    }
    if (r->is_response)
        settle_response_body(r, h);
    return 1;
}

/* "http://host:port/path?query"; RFC 9112 section 3.2.2. */
static int check_absolute(struct http_reader *r)
{
    struct scratch *s = &http_scratch;
    struct http_head *h = &s->head;
    size_t scheme = str_starts_nocase(h->target, STR("http://"))    ? 7
                    : str_starts_nocase(h->target, STR("https://")) ? 8
                                                                    : 0;
    if (!scheme)
        return http_reader_fail(r, -400, "invalid target");
    size_t end = scheme;
    while (end < h->target.n && h->target.p[end] != '/' &&
           h->target.p[end] != '?')
        end++;
    h->authority = str_slice(h->target, scheme, end);
    struct str rest = str_slice(h->target, end, h->target.n);
    if (!rest.n) {
        h->path = h->method == METHOD_OPTIONS ? STR("*") : STR("/");
    } else if (rest.p[0] == '/') {
        h->path = rest;
    } else {
        if (rest.n + 1 > s->path_capacity) {
            s->path_capacity = rest.n + 1;
            s->path = xrealloc(s->path, s->path_capacity);
        }
        s->path[0] = '/';
        memcpy(s->path + 1, rest.p, rest.n);
        h->path = str_n(s->path, rest.n + 1);
    }
    return 1;
}

/* The four forms of RFC 9112 section 3.2. */
static int check_target(struct http_reader *r)
{
    struct http_head *h = &http_scratch.head;
    struct str target = h->target;

    if (h->method == METHOD_CONNECT) {
        h->authority = target;
        h->path = str_slice(target, target.n, target.n);
        return 1;
    }
    if (target.p[0] == '/') {
        h->path = target;
        return 1;
    }
    if (str_eq(target, STR("*"))) {
        h->path = target;
        return h->method == METHOD_OPTIONS
                   ? 1
                   : http_reader_fail(r, -400, "target * is for OPTIONS");
    }
    return check_absolute(r);
}

/* RFC 9110 7.2 and RFC 9112 3.2: who the request is for. */
static int check_host(struct http_reader *r, const struct facts *f)
{
    struct http_head *h = &http_scratch.head;
    struct str host, port;

    if (f->hosts > 1)
        return http_reader_fail(r, -400, "more than one Host");
    if (!f->hosts && r->version == 11)
        return http_reader_fail(r, -400, "no Host in HTTP/1.1");
    if (f->hosts && http_authority_split(f->host, &host, &port) < 0)
        return http_reader_fail(r, -400, "invalid Host");
    if (!h->authority.p) {
        h->authority = f->hosts ? f->host : STR("");
        return 1;
    }
    if (http_authority_split(h->authority, &host, &port) < 0 ||
        (h->method == METHOD_CONNECT && !port.n))
        return http_reader_fail(r, -400, "invalid authority in the target");
    return 1;
}

int http_head_check(struct http_reader *r)
{
    struct http_head *h = &http_scratch.head;
    struct facts f = {0};
    int got;

    *h = (struct http_head){.version = r->version, .size = r->seen};
    if ((got = make_fields(r, &f)) < 0)
        return got;
    h->keep_alive =
        !f.connection_close && (r->version == 11 || f.connection_keep_alive);
    /* RFC 9110 7.8: Upgrade means nothing in HTTP/1.0. */
    h->upgrade = r->version == 11 && f.connection_upgrade && f.upgrades;
    if ((got = check_framing(r, &f)) < 0)
        return got;
    if (r->is_response) {
        h->status = r->status;
        h->reason = str_n(r->base + r->target, r->target_n);
        return 1;
    }
    h->method_text = str_n(r->base, r->method_n);
    h->method = http_method_find(h->method_text);
    h->target = str_n(r->base + r->target, r->target_n);
    h->expect_continue = r->version == 11 && f.expect_continue;
    if ((got = check_target(r)) < 0)
        return got;
    return check_host(r, &f);
}

bool http_field_may_trail(struct str name)
{
    static const struct str names[] = {
        STR_INIT("content-length"), STR_INIT("host"),
        STR_INIT("content-type"),   STR_INIT("content-encoding"),
        STR_INIT("content-range"),  STR_INIT("expect"),
        STR_INIT("authorization"),  STR_INIT("cookie"),
        STR_INIT("set-cookie"),     STR_INIT("cache-control"),
        STR_INIT("max-forwards"),   STR_INIT("range")};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq_nocase(name, names[i]))
            return false;
    return !http_field_is_hop_by_hop(name);
}

int http_trailers_make(struct http_reader *r)
{
    struct http_head *h = &http_scratch.head;
    struct facts unused = {0};

    *h = (struct http_head){.version = r->version, .size = r->seen};
    int got = make_fields(r, &unused);
    if (got < 0)
        return got;
    size_t kept = 0;
    for (size_t i = 0; i < h->fields_n; i++)
        if (http_field_may_trail(h->fields[i].name))
            h->fields[kept++] = h->fields[i];
    h->fields_n = kept;
    return 1;
}

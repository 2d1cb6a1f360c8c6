/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "base/check.h"
#include "base/clock.h"
#include "proxy_parts.h"
#include "serve/error_page.h"

enum {
    PIECES_MAX = 16, /* body pieces gathered from one read */
};

/* ---- the head ---- */

static bool list_has(const struct conf_list *list, struct str name)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq_nocase(*(struct str *)list->items[i], name))
            return true;
    return false;
}

/* What nginx does not pass unless proxy_pass_header says so. */
static bool is_hidden(const struct proxy_conf *c, struct str name)
{
    static const struct str hidden[] = {
        STR_INIT("Date"),
        STR_INIT("Server"),
        STR_INIT("X-Pad"),
        STR_INIT("X-Accel-Expires"),
        STR_INIT("X-Accel-Redirect"),
        STR_INIT("X-Accel-Limit-Rate"),
        STR_INIT("X-Accel-Buffering"),
        STR_INIT("X-Accel-Charset"),
    };
    if (c->hide.n && list_has(&c->hide, name))
        return true;
    for (size_t i = 0; i < COUNT(hidden); i++)
        if (str_eq_nocase(hidden[i], name))
            return !list_has(&c->pass, name);
    return false;
}

static bool is_named_by(struct str connection, struct str name)
{
    return connection.n && str_list_has(connection, name);
}

/* One field: to its own place in the response, or to the list. */
static void copy_field(struct proxy *p, const struct http_field *f)
{
    struct response *out = &p->request->response;

    if (str_eq_nocase(f->name, STR("Content-Length")))
        return; /* framing is ours */
    if (str_starts_nocase(f->name, STR("X-Accel-")))
        proxy_accel_field(p, f);
    if (is_hidden(p->conf, f->name))
        return;
    if (str_eq_nocase(f->name, STR("Server"))) {
        out->server = f->value;
    } else if (str_eq_nocase(f->name, STR("Date"))) {
        out->date = f->value;
    } else if (str_eq_nocase(f->name, STR("Content-Type"))) {
        out->content_type = f->value;
    } else if (str_eq_nocase(f->name, STR("Location"))) {
        struct str to = proxy_rewrite_location(p, f->value);
        /* The peer's own is passed as it is: not even made absolute. */
        if (to.p == f->value.p)
            response_add(p->request, f->name, to);
        else
            out->location = to;
    } else if (str_eq_nocase(f->name, STR("Refresh"))) {
        response_add(p->request, f->name, proxy_rewrite_refresh(p, f->value));
    } else if (str_eq_nocase(f->name, STR("Set-Cookie"))) {
        response_add(p->request, f->name, proxy_rewrite_cookie(p, f->value));
    } else {
        response_add(p->request, f->name, f->value);
    }
}

void proxy_copy_fields(struct proxy *p)
{
    const struct http_head *h = &p->response;
    struct str connection =
        http_head_join(h, STR("Connection"), p->request->arena);

    for (size_t i = 0; i < h->fields_n; i++) {
        const struct http_field *f = &h->fields[i];
        if (http_field_is_hop_by_hop(f->name) ||
            is_named_by(connection, f->name))
            continue;
        copy_field(p, f);
    }
    upstream_on_head(p);
}

/* A response that asks for another peer (proxy_next_upstream http_...). */
static unsigned next_reason(unsigned status)
{
    switch (status) {
    case 403:
        return NEXT_403;
    case 404:
        return NEXT_404;
    case 429:
        return NEXT_429;
    case 500:
        return NEXT_500;
    case 502:
        return NEXT_502;
    case 503:
        return NEXT_503;
    case 504:
        return NEXT_504;
    default:
        return 0;
    }
}

/* Of the response to the client; -1 when it is not known. */
static int64_t content_length(const struct proxy *p)
{
    const struct http_head *h = &p->response;
    uint64_t n;

    if (h->body == BODY_LENGTH)
        return (int64_t)h->content_length;
    if (!p->sends_head)
        return h->body == BODY_NONE ? 0 : -1;
    /* To the reader this message has no body; what GET would give is said by
     * the field alone. */
    struct str text = http_head_find(h, STR("Content-Length"));
    return str_to_u64(text, INT64_MAX, &n) ? (int64_t)n : -1;
}

static uint64_t rate_of(struct proxy *p)
{
    struct str text = value_eval(p->conf->limit_rate, &p->request->eval);
    uint64_t rate = 0;

    if (text.n && !conf_parse_size(text, &rate))
        log_err(&p->request->log, "invalid rate \"%.*s\"", STR_ARG(text));
    return rate < INT32_MAX ? rate : 0; /* faster than that is no limit */
}

/* The client's own conditions were not passed on, so they hold here. */
static void keep_in_cache(struct request *r, unsigned condition)
{
    if (condition != 304)
        return;
    r->response.status = 304;
    r->response.content_type = (struct str){NULL, 0};
    r->response.content_length = -1;
    r->response.allow_ranges = false;
}

static void answer_with(struct proxy *p, int (*answer)(struct proxy *p))
{
    proxy_leave(p);
    request_finish(p->request, answer(p));
}

static int go_to_target(struct proxy *p)
{
    return proxy_accel_redirect(p, proxy_accel_target(p));
}

static int precondition_failed(struct proxy *p)
{
    response_reset(p->request);
    return 412;
}

/* Another peer, an old answer, an error page or another location instead of
 * this response.  False: none of them. */
static bool something_else_answers(struct proxy *p)
{
    unsigned status = p->response.status;
    unsigned why = next_reason(status);

    if (why && proxy_has_another_peer(p) && proxy_may_retry(p, why)) {
        proxy_try_failed(p, why, status);
    } else if (why && proxy_cache_has_stale(p, why)) {
        answer_with(p, proxy_cache_send_stale);
    } else if (p->conf->intercept_errors && status >= 300 &&
               error_page_exists(p->request, status)) {
        p->trace->head = p->response;
        proxy_finish(p, (int)status);
    } else if (proxy_accel_target(p).p) {
        p->trace->head = p->response;
        answer_with(p, go_to_target);
    } else {
        return false;
    }
    return true;
}

/* False: it is not to be passed after all. */
static bool keep_response(struct proxy *p)
{
    struct request *r = p->request;

    if (!p->cache || !proxy_cache_begin(p)) {
        proxy_store_begin(p);
        return true;
    }
    unsigned condition = proxy_cache_condition(p);
    if (condition == 412) {
        answer_with(p, precondition_failed);
        return false;
    }
    proxy_cache_allow_ranges(p, false);
    keep_in_cache(r, condition);
    return true;
}

/* Returns false when the head ended this try or the request. */
static bool take_head(struct proxy *p, const struct http_head *head)
{
    struct request *r = p->request;
    struct upstream_try *t = &p->trace->tries[p->trace->n - 1];

    t->status = head->status;
    t->head_us = clock_now_us();
    log_debug(&r->log, "http upstream status %u", head->status);
    http_head_copy(&p->response, head, r->arena);
    p->keep = p->response.keep_alive;
    p->renews = proxy_cache_is_renewal(p, head->status);
    if (p->renews)
        return true; /* its end says that the connection may be kept */
    if (something_else_answers(p))
        return false;
    p->trace->head = p->response;
    p->state = PROXY_RECEIVING;
    request_doing(r, "reading upstream");
    r->response.status = p->response.status;
    proxy_copy_fields(p);
    r->response.content_length = content_length(p);
    r->unbuffered = !p->buffering;
    if (p->conf->force_ranges) {
        response_remove(r, STR("Accept-Ranges"));
        r->response.allow_ranges = r->response.single_range = true;
    }
    if (p->conf->pass_trailers && p->response.body == BODY_CHUNKED)
        r->response.expect_trailers = true;
    p->head_ms = clock_now_ms();
    if (p->conf->limit_rate && p->buffering)
        p->rate = rate_of(p);
    return keep_response(p);
}

/* early_hints: may a 103 be passed (RFC 8297)? */
static bool hints_are_wanted(const struct proxy *p)
{
    const struct conf_list *conditions = &p->conf->early_hints;

    for (size_t i = 0; i < conditions->n; i++) {
        struct str text = value_eval(conditions->items[i], &p->request->eval);
        if (text.n && !str_eq(text, STR("0")))
            return true;
    }
    return false;
}

static void pass_hints(struct proxy *p, const struct http_head *head)
{
    struct request *r = p->request;
    struct http_field *fields =
        arena_alloc(r->arena, (head->fields_n + 1) * sizeof *fields);
    struct str connection = http_head_join(head, STR("Connection"), r->arena);
    size_t n = 0;

    for (size_t i = 0; i < head->fields_n; i++) {
        const struct http_field *f = &head->fields[i];
        if (!http_field_is_hop_by_hop(f->name) &&
            !is_named_by(connection, f->name) && !is_hidden(p->conf, f->name) &&
            !str_eq_nocase(f->name, STR("Content-Length")))
            fields[n++] = *f;
    }
    request_send_interim(r, 103, fields, n);
}

static bool interim(struct proxy *p, const struct http_head *head)
{
    if (head->status == 101) {
        http_head_copy(&p->response, head, p->request->arena);
        p->trace->tries[p->trace->n - 1].status = 101;
        return false; /* tunnel_start() or an error follows */
    }
    /* 100 was answered by us; 102 says nothing. */
    if (head->status == 103 && p->conf->early_hints.n && hints_are_wanted(p))
        pass_hints(p, head);
    return true;
}

/* ---- the bytes ---- */

struct gathered {
    struct iovec iov[PIECES_MAX];
    int n;
    bool last;
    size_t held; /* bytes of input that are not looked at yet */
};

bool proxy_send_to_client(struct proxy *p, const struct iovec *iov, int n,
                          bool last)
{
    return request_send_body(p->request, iov, n, last);
}

void proxy_go_on_reading(struct proxy *p)
{
    if (p->state != PROXY_RECEIVING || !p->conn->stream->paused)
        return;
    p->rate_wait = false;
    proxy_arm(p, p->conf->read_timeout_ms);
    stream_resume(p->conn->stream);
}

/* Give the client what this read brought.  True while more may be read. */
static bool give(struct proxy *p, struct gathered *g)
{
    struct request *r = p->request;

    if (!g->n && !g->last && r->response.head_sent)
        return true;
    if (g->last)
        p->response_ended = true;
    bool more = proxy_spool_take(p, g->iov, g->n, g->last);
    g->n = 0;
    if (!more && p->state == PROXY_RECEIVING)
        stream_pause(p->conn->stream);
    return more;
}

static void bad_response(struct proxy *p, const char *why)
{
    log_err(&p->request->log, "upstream sent an invalid response: %s", why);
    p->keep = false;
    if (p->state == PROXY_RECEIVING)
        proxy_end_body(p, 502);
    else
        proxy_try_failed(p, NEXT_INVALID_HEADER, 502);
}

static void take_trailers(struct proxy *p, const struct http_head *head)
{
    struct http_head kept;

    http_head_copy(&kept, head, p->request->arena);
    p->trace->trailers = kept.fields;
    p->trace->trailers_n = kept.fields_n;
    for (size_t i = 0; i < kept.fields_n; i++)
        if (p->request->response.expect_trailers &&
            !http_field_is_hop_by_hop(kept.fields[i].name) &&
            !is_hidden(p->conf, kept.fields[i].name))
            response_add_trailer(p->request, kept.fields[i].name,
                                 kept.fields[i].value);
}

/* Take one event.  True to go on. */
static bool take_event(struct proxy *p, const struct http_event *ev,
                       struct gathered *g, struct span *in)
{
    switch (ev->type) {
    case HTTP_EVENT_HEAD:
        if (ev->head->status >= 200)
            return take_head(p, ev->head);
        if (interim(p, ev->head))
            return true;
        if (p->upgrade_asked && p->response.upgrade)
            tunnel_start(p, in);
        else
            bad_response(p, "101 that was not asked for");
        return false;
    case HTTP_EVENT_BODY:
        p->trace->tries[p->trace->n - 1].body += ev->data.n;
        g->iov[g->n++] = (struct iovec){ev->data.p, ev->data.n};
        return g->n < PIECES_MAX || give(p, g);
    case HTTP_EVENT_TRAILERS:
        take_trailers(p, ev->head);
        return true;
    case HTTP_EVENT_END:
        g->last = true;
        /* More bytes would be a response to a request that was not made. */
        if (in->n || g->held)
            p->keep = false;
        if (p->renews) {
            p->response_ended = true;
            answer_with(p, proxy_cache_renew);
            return false;
        }
        give(p, g);
        return false;
    }
    return false;
}

/* proxy_limit_rate: of the input, what may be looked at now. */
static void hold_back(struct proxy *p, struct span *in, struct gathered *g)
{
    uint64_t elapsed_ms = clock_now_ms() - p->head_ms;
    uint64_t allowed = p->rate + elapsed_ms * p->rate / 1000;
    uint64_t left = allowed > p->rate_used ? allowed - p->rate_used : 0;

    if (left >= in->n) {
        p->rate_used += in->n;
        return;
    }
    p->rate_used += left;
    g->held = in->n - (size_t)left;
    in->n = (size_t)left;
}

/* What was held back is looked at after a while. */
static void wait_for_rate(struct proxy *p, size_t held)
{
    uint64_t piece = held < p->rate ? held : p->rate;

    p->rate_wait = true;
    stream_pause(p->conn->stream);
    proxy_arm(p, piece * 1000 / p->rate + 1);
}

void proxy_on_data(void *owner, struct span *in)
{
    struct upstream_conn *c = owner;
    struct proxy *p = c->proxy;
    struct gathered g = {.n = 0};
    bool limited = false;

    if (p->state == PROXY_TUNNEL) {
        tunnel_from_upstream(p, in);
        return;
    }
    p->trace->tries[p->trace->n - 1].received += in->n;
    proxy_arm(p, p->conf->read_timeout_ms);
    for (;;) {
        struct http_event ev;
        if (p->rate && !limited && p->state == PROXY_RECEIVING) {
            hold_back(p, in, &g);
            limited = true;
        }
        int rc = http_reader_next(c->reader, in, &ev);
        if (rc == 0)
            break;
        if (rc < 0) {
            if (p->state == PROXY_RECEIVING && g.n)
                give(p, &g);
            if (c->proxy != p)
                break;
            bad_response(p, http_reader_error(c->reader));
            break;
        }
        if (!take_event(p, &ev, &g, in))
            break;
    }
    in->n += g.held;
    if (c->proxy == p && p->state == PROXY_RECEIVING &&
        (g.n || !p->request->response.head_sent))
        give(p, &g);
    if (c->proxy != p)
        span_advance(in, in->n); /* given back, or closed */
    else if (g.held)
        wait_for_rate(p, g.held);
}

void proxy_on_end(void *owner, enum stream_end end, int error)
{
    struct upstream_conn *c = owner;
    struct proxy *p = c->proxy;
    struct http_event ev;

    if (p->state == PROXY_TUNNEL) {
        tunnel_upstream_ended(p, end);
        return;
    }
    p->keep = false;
    if (end == STREAM_EOF && p->state == PROXY_RECEIVING &&
        http_reader_finish(c->reader, &ev) == 1) {
        struct gathered g = {.last = true};
        give(p, &g);
        return;
    }
    if (p->state == PROXY_RECEIVING) {
        log_err(&p->request->log, "upstream prematurely closed connection");
        proxy_end_body(p, 502);
        return;
    }
    if (end == STREAM_EOF)
        log_err(&p->request->log, "upstream prematurely closed connection");
    else if (proxy_ssl_log_error(p, c))
        ;
    else if (p->state == PROXY_CONNECTING)
        log_errno(&p->request->log, LEVEL_ERROR, error, "connect() failed");
    else
        log_errno(&p->request->log, LEVEL_ERROR, error,
                  "upstream connection failed");
    proxy_try_failed(p, NEXT_ERROR, 502);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "base/clock.h"
#include "bridge/conf.h"
#include "bridge/exchange.h"
#include "identity.h"

/* ---- the head ---- */

/* It may answer with ACCEPT and speak the other protocol itself. */
static bool put_upgrade(struct buf *out, struct request *r)
{
    return sluice_tlv_put_header(out, STR("Connection"), STR("Upgrade")) &&
           sluice_tlv_put_header(
               out, STR("Upgrade"),
               http_head_join(&r->head, STR("Upgrade"), r->arena));
}

/* Trailers are passed, and so is what says that they will come. */
static bool tells_trailers(const struct request *r, struct str name)
{
    return r->head.body == BODY_CHUNKED && str_eq_nocase(name, STR("Trailer"));
}

/* What concerns only this connection stays here (RFC 9110 section 7.6.1). */
static bool put_headers(struct buf *out, struct request *r)
{
    struct str connection =
        http_head_join(&r->head, STR("Connection"), r->arena);
    bool ok = true;

    for (size_t i = 0; i < r->head.fields_n; i++) {
        const struct http_field *f = &r->head.fields[i];
        bool passes =
            !http_field_is_hop_by_hop(f->name) || tells_trailers(r, f->name);
        if (!passes || (connection.n && str_list_has(connection, f->name)))
            continue;
        ok &= sluice_tlv_put_header(out, f->name, f->value);
    }
    return ok;
}

bool exchange_send_request(struct exchange *x)
{
    struct request *r = x->request;
    const struct websocket_conf *shared = request_conf(r, &websocket_module);
    struct buf *out = &x->link->scratch;
    struct sluice_open o = {
        .type = SLUICE_HTTP_REQ,
        .cid = x->cid,
        .more = !x->body_sent,
        .http_version = r->head.version,
        .flags = identity_flags(r),
        .app_id = link_app_id(x->link, x->app),
        .window_out = x->window_out,
        .window_in = x->window_in,
        .t_us = clock_wall_us(),
        .remote_port = address_port(request_remote(r)),
        .local_port = address_port(request_local(r)),
    };
    size_t begin;
    bool ok = sluice_open_begin(out, &o, &begin);

    ok &= identity_put(out, r, x->app, http_head_find(&r->head, STR("Origin")));
    ok &= identity_put_captures(out, r, x->conf->pattern);
    ok &= identity_put_params(out, r, &shared->params);
    ok &= identity_put_tls(out, r);
    ok &= put_headers(out, r);
    if (x->upgrade)
        ok &= put_upgrade(out, r);
    ok = sluice_frame_end(out, begin, ok);
    if (!ok || out->n > SLUICE_HEADER_SIZE + x->link->peer_max_frame) {
        buf_clear(out);
        return false;
    }
    link_send_scratch(x->link);
    return true;
}

/* ---- the body ---- */

/* They end the body, and need no credit.  What does not fit stays here. */
static void send_trailers(struct exchange *x)
{
    struct request *r = x->request;
    struct buf tlvs = {0};
    struct sluice_http_trailers t = {.cid = x->cid};

    for (size_t i = 0; i < r->trailers_n; i++) {
        const struct http_field *f = &r->trailers[i];
        if (tlvs.n + 6 + f->name.n + f->value.n <= x->link->peer_max_frame)
            sluice_tlv_put_header(&tlvs, f->name, f->value);
    }
    t.tlvs = buf_str(&tlvs);
    sluice_http_trailers_put(&x->link->scratch, &t);
    link_send_scratch(x->link);
    buf_fini(&tlvs);
    x->begun = x->body_sent = true;
}

/* Send what credit allows of the n bytes; returns how many.  The frame that
 * has the end says so. */
static size_t send_body(struct exchange *x, const uint8_t *p, size_t n)
{
    size_t at = 0;

    while (!x->body_sent && link_client_has_credit(exchange_client(x))) {
        size_t piece = n - at;
        if (piece > x->link->peer_max_frame)
            piece = x->link->peer_max_frame;
        bool last = x->body_ended && at + piece == n && !x->request->trailers_n;
        if (!piece && !last)
            break;
        link_send_data(exchange_client(x), SLUICE_HTTP_BODY,
                       last ? 0 : SLUICE_FLAG_MORE, 0, p + at, piece);
        at += piece;
        x->begun = true;
        x->body_sent = last;
    }
    if (x->body_ended && !x->body_sent && at == n && x->request->trailers_n)
        send_trailers(x);
    return at;
}

static bool is_waiting(const struct exchange *x)
{
    return x->pending.n || (x->body_ended && !x->body_sent);
}

/* Come back when there is credit, and read no more until then. */
static void starve(struct exchange *x)
{
    if (!link_has_credit(x->link) && !list_is_linked(&x->starved))
        list_push_back(&x->link->starved, &x->starved);
    request_pause_body(x->request);
}

void exchange_on_body(struct request *r, const uint8_t *p, size_t n, bool last)
{
    struct exchange *x = r->handler_state;

    if (!x || !x->link || x->body_ended || x->state >= EXCHANGE_ANSWERED)
        return;
    x->body_ended = last;
    if (x->pending.n) {
        buf_put(&x->pending, p, n);
    } else {
        size_t used = send_body(x, p, n);
        if (used < n)
            buf_put(&x->pending, p + used, n - used);
    }
    if (is_waiting(x))
        starve(x);
    exchange_await(x);
}

void exchange_acked(struct exchange *x)
{
    if (x->state == EXCHANGE_WAITING && !x->body_ended)
        request_send_continue(x->request);
}

void exchange_wake(struct exchange *x)
{
    if (x->state == EXCHANGE_OVER || x->held)
        return;
    buf_drop(&x->pending, send_body(x, x->pending.p, x->pending.n));
    if (is_waiting(x)) {
        starve(x);
    } else {
        buf_fini(&x->pending);
        request_resume_body(x->request);
    }
    exchange_await(x);
}

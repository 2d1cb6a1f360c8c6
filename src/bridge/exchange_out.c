/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "bridge/exchange.h"
#include "fields.h"
#include "offer.h"
#include "tunnel.h"

/* ---- the head ---- */

/* Content-Length is kept when it is given: it must be one number. */
static int take_length(struct exchange *x, struct str value)
{
    uint64_t n;

    if (!str_to_u64(value, INT64_MAX, &n) || (x->length_known && n != x->left))
        return -SLUICE_ERROR_HANDSHAKE;
    x->length_known = true;
    x->left = n;
    return 0;
}

static void copy_field(struct request *r, struct str name, struct str value)
{
    struct response *out = &r->response;

    value = arena_str(r->arena, value);
    if (str_eq_nocase(name, STR("Content-Type")))
        out->content_type = value;
    else if (!str_eq_nocase(name, STR("Server")) &&
             !str_eq_nocase(name, STR("Date")))
        response_add(r, arena_str(r->arena, name), value);
}

static int take_fields(struct exchange *x, struct str tlvs)
{
    struct sluice_tlv t;
    struct str name, value;

    while (sluice_tlv_next(&tlvs, &t) == 1) {
        if (t.tag != SLUICE_TAG_HEADER)
            continue;
        int rc = backend_field_get(&t, &name, &value);
        if (rc == 0 && str_eq_nocase(name, STR("Content-Length")))
            rc = take_length(x, value);
        else if (rc == 0 && (!http_field_is_hop_by_hop(name) ||
                             str_eq_nocase(name, STR("Trailer"))))
            copy_field(x->request, name, value);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* All of the response was given to the request.  Who wants to hear whether it
 * left whole hears it when it has. */
static void answered(struct exchange *x)
{
    struct request *r = x->request;

    x->state = EXCHANGE_ANSWERED;
    exchange_await(x);
    if (exchange_wants_done(x) && request_is_leaving(r))
        r->blocked = true;
    else
        request_finish(r, VERDICT_DONE);
}

static int take_head(struct exchange *x, const struct sluice_frame *f)
{
    struct request *r = x->request;
    struct sluice_http_res h;
    struct iovec none = {0};

    int rc = sluice_http_res_get(&h, f);
    if (rc < 0)
        return rc;
    if (x->state != EXCHANGE_WAITING)
        return -SLUICE_ERROR_BAD_STATE;
    rc = take_fields(x, h.tlvs);
    if (rc < 0) {
        response_reset(r);
        return rc;
    }
    bool bodiless =
        r->head.method == METHOD_HEAD || h.status == 204 || h.status == 304;
    if (!bodiless && !h.more && x->length_known && x->left) {
        response_reset(r);
        return -SLUICE_ERROR_HANDSHAKE;
    }
    r->response.status = h.status;
    struct str cookie = offer_cookie(r, x->link->backend);
    if (cookie.n)
        response_add(r, STR("Set-Cookie"), cookie);
    if (x->length_known)
        r->response.content_length = (int64_t)x->left;
    else if (!h.more && !bodiless)
        r->response.content_length = 0;
    if (h.more && !bodiless && !x->length_known && r->head.version >= 11)
        r->response.expect_trailers = true;
    else
        response_remove(r, STR("Trailer"));
    x->state = EXCHANGE_RESPONDING;
    request_doing(r, "reading a backend's response");
    request_send_body(r, &none, 0, !h.more);
    if (!h.more)
        answered(x);
    else
        exchange_await(x);
    return 0;
}

static int take_interim(struct exchange *x, const struct sluice_frame *f)
{
    struct sluice_http_res h;
    struct http_field fields[32];
    struct sluice_tlv t;
    size_t n = 0;

    int rc = sluice_http_res_get(&h, f);
    if (rc < 0)
        return rc;
    if (x->state != EXCHANGE_WAITING)
        return -SLUICE_ERROR_BAD_STATE;
    exchange_await(x);
    if (h.status == 100) {
        request_send_continue(x->request);
        return 0;
    }
    while (sluice_tlv_next(&h.tlvs, &t) == 1) {
        if (t.tag != SLUICE_TAG_HEADER)
            continue;
        struct http_field *field = &fields[n];
        rc = backend_field_get(&t, &field->name, &field->value);
        if (rc < 0)
            return rc;
        if (n + 1 == COUNT(fields))
            return -SLUICE_ERROR_LIMIT;
        if (!http_field_is_hop_by_hop(field->name) &&
            !str_eq_nocase(field->name, STR("Content-Length")))
            n++;
    }
    request_send_interim(x->request, h.status, fields, n);
    return 0;
}

/* ---- the body ---- */

/* What has left for the client, or is little enough. */
static void give_credit(struct exchange *x, bool urgent)
{
    if (!x->link || x->flushed_out == x->outstanding_out)
        return;
    x->flushed_out = x->outstanding_out;
    link_owe(exchange_client(x), urgent || x->flushed_out >= x->window_out / 2);
}

static int take_body(struct exchange *x, const struct sluice_frame *f)
{
    struct request *r = x->request;
    struct span data = f->payload;
    bool last = !(f->header.flags & SLUICE_FLAG_MORE);

    if (x->state != EXCHANGE_RESPONDING)
        return -SLUICE_ERROR_BAD_STATE;
    if (x->outstanding_out >= x->window_out ||
        x->link->outstanding_out >= x->link->window_out)
        return -SLUICE_ERROR_FLOW_CONTROL;
    if (x->length_known && !r->response.header_only &&
        (data.n > x->left || (last && data.n < x->left)))
        return -SLUICE_ERROR_HANDSHAKE;
    x->left -= data.n;
    link_client_spend(exchange_client(x), data.n);
    struct iovec iov = {data.p, data.n};
    bool room = request_send_body(r, &iov, 1, last);
    if (last) {
        answered(x);
        return 0;
    }
    if (room)
        give_credit(x, false);
    exchange_await(x);
    return 0;
}

void exchange_on_drain(struct request *r)
{
    struct exchange *x = r->handler_state;

    if (!x)
        return;
    r->blocked = false;
    if (x->state == EXCHANGE_ANSWERED) {
        request_finish(r, VERDICT_DONE);
        return;
    }
    give_credit(x, true);
    exchange_await(x);
}

/* ---- the end ---- */

/* To who can have them: of a length or to HTTP/1.0 they have no place, and
 * some fields have none behind any body. */
static int pass_trailers(struct request *r, struct str tlvs)
{
    struct sluice_tlv t;
    struct str name, value;

    while (sluice_tlv_next(&tlvs, &t) == 1) {
        if (t.tag != SLUICE_TAG_HEADER)
            continue;
        int rc = backend_field_get(&t, &name, &value);
        if (rc < 0)
            return rc;
        if (r->response.expect_trailers && http_field_may_trail(name))
            response_add_trailer(r, arena_str(r->arena, name),
                                 arena_str(r->arena, value));
    }
    return 0;
}

static int take_trailers(struct exchange *x, const struct sluice_frame *f)
{
    struct sluice_http_trailers t;

    int rc = sluice_http_trailers_get(&t, f);
    if (rc < 0)
        return rc;
    bool missing =
        x->length_known && x->left && !x->request->response.header_only;
    if (x->state != EXCHANGE_RESPONDING || missing)
        return -SLUICE_ERROR_BAD_STATE;
    rc = pass_trailers(x->request, t.tlvs);
    if (rc < 0)
        return rc;
    struct iovec none = {0};
    request_send_body(x->request, &none, 0, true);
    answered(x);
    return 0;
}

static int take_reset(struct exchange *x, const struct sluice_frame *f)
{
    struct sluice_http_reset h;

    int rc = sluice_http_reset_get(&h, f);
    if (rc < 0)
        return rc;
    if (x->state == EXCHANGE_ANSWERED)
        return 0;
    log_err(&x->request->log, "backend gave the request up: %s",
            sluice_error_name(h.code));
    exchange_given_up(x);
    return 0;
}

static void terminate(struct exchange *x)
{
    log_info(&x->request->log, "backend terminated the client");
    exchange_terminate(x);
}

/* A request has no option but who wants to hear of its end: nothing else of
 * it goes on for long, or waits for anything that can be set. */
static int take_options(struct exchange *x, const struct sluice_frame *f)
{
    struct sluice_set_opts o;
    struct sluice_tlv t;
    uint16_t id;
    uint32_t value;
    bool strange = false;

    int rc = sluice_set_opts_get(&o, f);
    if (rc < 0)
        return rc;
    while (sluice_tlv_next(&o.tlvs, &t) == 1) {
        if (t.tag != SLUICE_TAG_OPT || sluice_tlv_get_opt(&t, &id, &value) < 0)
            continue;
        if (id == SLUICE_OPT_EVENT_MASK) {
            x->knows_mask = true;
            x->wants_done = value & SLUICE_EVENT_HTTP_DONE;
        } else if (id <= SLUICE_OPT_VERSIONS) {
            strange = true;
        }
    }
    if (strange)
        link_send_error(x->link, x->cid, SLUICE_ERROR_UNSUPPORTED,
                        f->header.type, SLUICE_SEVERITY_INFO, 0,
                        "a request has no such option");
    return 0;
}

int exchange_take(struct exchange *x, const struct sluice_frame *f)
{
    enum sluice_type type = f->header.type;

    if (type == SLUICE_TERMINATE && x->link) {
        terminate(x);
        return 0;
    }
    /* Only the client has not got all of it yet. */
    if (x->state >= EXCHANGE_ANSWERED) {
        if (x->link)
            x->link->strays++;
        return 0;
    }
    if (type == SLUICE_HTTP_BODY)
        return take_body(x, f);
    if (type == SLUICE_HTTP_RES)
        return take_head(x, f);
    if (type == SLUICE_HTTP_INFO)
        return take_interim(x, f);
    if (type == SLUICE_HTTP_TRAILERS)
        return take_trailers(x, f);
    if (type == SLUICE_HTTP_RESET)
        return take_reset(x, f);
    if (type == SLUICE_ACCEPT)
        return tunnel_accept_request(x, f);
    if (type == SLUICE_SET_OPTS)
        return take_options(x, f);
    if (type != SLUICE_PAUSE && type != SLUICE_UNPAUSE)
        return -SLUICE_ERROR_BAD_STATE;
    x->held = type == SLUICE_PAUSE;
    if (x->held && !x->body_ended)
        request_pause_body(x->request);
    else
        exchange_wake(x);
    exchange_await(x);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/upgrade.h"

#include "base/check.h"
#include "base/clock.h"
#include "bridge/limits.h"
#include "bridge/session.h"
#include "events.h"
#include "handshake.h"
#include "identity.h"
#include "offer.h"
#include "serve/access_log.h"
#include "ws/close.h"
#include "ws/handshake.h"

/* ---- the request's side ---- */

static void on_gone(struct request *r)
{
    struct session *s = r->handler_state;

    if (!s)
        return;
    s->request = NULL;
    if (s->stream)
        return; /* the log is still to ask the session */
    r->handler_state = NULL;
    session_finish(s, ENDING_LEFT_EARLY);
}

/* FIN of a client that waits for its 101: nobody is there to talk to. */
static void on_eof(struct request *r)
{
    on_gone(r);
    request_finish(r, 499);
}

static void on_drain(struct request *r)
{
    struct session *s = r->handler_state;

    r->blocked = false;
    if (s)
        upgrade_drained(s);
}

const struct handler websocket_handler = {
    .name = "websocket",
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_abort = on_gone,
    .on_done = on_gone,
};

/* ---- is it a handshake that we take? ---- */

static struct ws_handshake_request
question_of(struct request *r, const struct websocket_conf *conf)
{
    const struct http_head *h = &r->head;
    return (struct ws_handshake_request){
        .method_is_get = h->method == METHOD_GET,
        .version_is_11 = h->version == 11,
        .upgrade = http_head_join(h, STR("Upgrade"), r->arena),
        .connection = http_head_join(h, STR("Connection"), r->arena),
        .key = http_head_find(h, STR("Sec-WebSocket-Key")),
        .key_count = http_head_count(h, STR("Sec-WebSocket-Key")),
        .version = http_head_find(h, STR("Sec-WebSocket-Version")),
        .version_count = http_head_count(h, STR("Sec-WebSocket-Version")),
        .key1 = http_head_find(h, STR("Sec-WebSocket-Key1")),
        .key1_count = http_head_count(h, STR("Sec-WebSocket-Key1")),
        .key2 = http_head_find(h, STR("Sec-WebSocket-Key2")),
        .key2_count = http_head_count(h, STR("Sec-WebSocket-Key2")),
        .versions = conf->versions,
        .has_body = h->body == BODY_CHUNKED ||
                    (h->body == BODY_LENGTH && h->content_length),
    };
}

/* What was wrong, for who wants to know. */
static int refused(struct request *r, const struct websocket_conf *conf,
                   int status, enum sluice_error code, const char *why)
{
    events_refused(conf->pool->name, r, code, why);
    return status;
}

static int refuse_malformed(struct request *r,
                            const struct websocket_conf *conf, int status,
                            const char *why)
{
    char versions[WS_VERSIONS_TEXT_MAX];
    size_t n = ws_versions_text(conf->versions, versions);

    log_info(&r->log, "client sent an invalid WebSocket handshake: %s", why);
    if (n && (status == 426 || status == 400))
        response_add(r, STR("Sec-WebSocket-Version"),
                     arena_str(r->arena, str_n(versions, n)));
    if (status == 426) {
        response_add(r, STR("Upgrade"), STR("websocket"));
        /* RFC 9110 section 7.8; it stands beside what HTTP/1.1 says there. */
        response_add(r, STR("Connection"), STR("Upgrade"));
    }
    if (status == 405)
        response_add(r, STR("Allow"), STR("GET"));
    return refused(
        r, conf, status,
        status == 426 ? SLUICE_ERROR_VERSION : SLUICE_ERROR_HANDSHAKE, why);
}

static int check_origin(struct request *r, const struct websocket_conf *conf,
                        const struct ws_framing *framing)
{
    bool one;
    struct str origin = handshake_origin(r, framing, &one);
    struct str authority;
    bool https;

    handshake_seen(r, &https, &authority);
    if (one && origin_is_allowed(conf->origin, origin, https, authority))
        return 0;
    log_write(&r->log, conf->origin_report ? LEVEL_WARN : LEVEL_ERROR,
              "origin \"%.*s\" %s", STR_ARG(origin),
              conf->origin_report ? "would be refused" : "is not allowed");
    if (conf->origin_report)
        return 0;
    return refused(r, conf, 403, SLUICE_ERROR_DENIED,
                   "the origin is not allowed");
}

static int check_offers(struct request *r, const struct websocket_conf *conf,
                        const struct ws_framing *framing)
{
    struct str rest = handshake_offers(r, framing);
    struct str token;
    bool agreed = false;
    int rc;

    while ((rc = ws_protocol_next(&rest, &token)) == 1)
        agreed |= handshake_is_listed(conf, token);
    if (rc < 0)
        return refuse_malformed(r, conf, 400, "bad list of subprotocols");
    if (!conf->protocol_required || agreed)
        return 0;
    log_info(&r->log, "client offers no subprotocol that is required here");
    return refused(r, conf, 400, SLUICE_ERROR_HANDSHAKE,
                   "no subprotocol that is required is offered");
}

/* The handshake is complete: make a session of it. */
static int begin(struct request *r, const struct websocket_conf *conf,
                 struct ws_handshake *hs)
{
    struct session *s = session_create(r, conf, hs);
    if (hs->framing->extensions)
        s->deflate = deflate_agree(
            &conf->deflate,
            http_head_join(&r->head, STR("Sec-WebSocket-Extensions"),
                           r->arena));

    r->handler = &websocket_handler;
    r->handler_state = s;
    unsigned status = limits_open(s);
    if (!status)
        status = upgrade_offer(s);
    if (status) {
        events_refused_with(conf->pool->name, r, status);
        r->handler = NULL;
        r->handler_state = NULL;
        s->request = NULL;
        session_finish(s, ENDING_NOT_OFFERED);
        return (int)status;
    }
    if (conf->accept_auto)
        handshake_accept(s, handshake_best_offer(s), NULL, 0);
    return VERDICT_PENDING;
}

/* ---- the secret of hixie-76, behind the head ---- */

static void on_secret(struct request *r, const uint8_t *p, size_t n, bool last)
{
    struct ws_handshake *hs = r->handler_state;
    size_t have = WS_SECRET_SIZE - r->raw_left - n;

    if (!last) {
        memcpy(hs->secret + have, p, n);
        return;
    }
    r->handler = NULL;
    r->handler_state = NULL;
    int rc = 500;
    if (ws_answer(hs))
        rc = begin(r, request_conf(r, &websocket_module), hs);
    else
        log_err(&r->log, "OpenSSL does no MD5, which version 76 needs");
    if (rc != VERDICT_PENDING)
        request_finish(r, rc);
}

static const struct handler secret_handler = {
    .name = "websocket",
    .on_body = on_secret,
};

static int wait_for_secret(struct request *r, struct ws_handshake *hs)
{
    r->handler = &secret_handler;
    r->handler_state = hs;
    request_expect_raw(r, WS_SECRET_SIZE);
    return VERDICT_PENDING;
}

/* ---- */

static int check_all(struct request *r, const struct websocket_conf *conf,
                     const struct ws_handshake_request *q,
                     struct ws_handshake *hs)
{
    const char *why;
    int rc = ws_handshake_check(q, hs, &why);

    if (rc < 0)
        return refuse_malformed(r, conf, -rc, why);
    rc = check_origin(r, conf, hs->framing);
    return rc ? rc : check_offers(r, conf, hs->framing);
}

int bridge_upgrade(struct request *r)
{
    const struct websocket_conf *conf = request_conf(r, &websocket_module);

    if (!conf->pool || r->taken)
        return VERDICT_DECLINED;
    struct ws_handshake_request q = question_of(r, conf);
    if (!ws_handshake_is_wanted(&q))
        return VERDICT_DECLINED;
    request_doing(r, "checking a WebSocket handshake");

    struct ws_handshake *hs = arena_calloc(r->arena, sizeof *hs);
    int rc = check_all(r, conf, &q, hs);
    if (rc) {
        /* It is a request like any other, and the next one may follow. */
        r->well_framed = !q.has_body;
        /* Eight bytes follow that are no request. */
        if (q.key1_count || q.key2_count)
            r->keep_alive = false;
        return rc;
    }
    if (hs->framing == &ws_framing_76)
        return wait_for_secret(r, hs);
    return begin(r, conf, hs);
}

void bridge_upgrade_refused(struct request *r, unsigned status)
{
    const struct websocket_conf *conf = request_conf(r, &websocket_module);

    if (!conf->pool)
        return;
    struct ws_handshake_request q = question_of(r, conf);
    if (ws_handshake_is_wanted(&q))
        events_refused_with(conf->pool->name, r, status);
}

/* ---- to the backend ---- */

static bool put_protocols(struct buf *out, struct session *s)
{
    const struct websocket_conf *conf = s->conf;
    struct str offers = handshake_offers(s->request, session_framing(s));
    struct str name;
    bool ok = true;

    if (conf->accept_auto) {
        name = handshake_best_offer(s);
        return !name.n || sluice_tlv_put(out, SLUICE_TAG_SUBPROTOCOL, name);
    }
    if (!conf->protocols.n) {
        while (ws_protocol_next(&offers, &name) == 1)
            ok &= sluice_tlv_put(out, SLUICE_TAG_SUBPROTOCOL, name);
        return ok;
    }
    for (size_t i = 0; i < conf->protocols.n; i++) {
        const struct str *ours = conf->protocols.items[i];
        if (handshake_is_offered(s, *ours))
            ok &= sluice_tlv_put(out, SLUICE_TAG_SUBPROTOCOL, *ours);
    }
    return ok;
}

/* False when the backend takes no frame of that size. */
static bool send_open(struct session *s)
{
    struct request *r = s->request;
    struct buf *out = &s->link->scratch;
    uint64_t max = session_max_message(s);
    struct sluice_open o = {
        .type = SLUICE_OPEN,
        .cid = s->cid,
        .ws_version = (uint16_t)session_framing(s)->version,
        .http_version = r->head.version,
        .flags = identity_flags(r),
        .app_id = link_app_id(s->link, s->app),
        .window_out = s->window_out,
        .window_in = s->window_in,
        .t_us = clock_wall_us(),
        .max_message = (uint32_t)(max < UINT32_MAX ? max : UINT32_MAX),
        .remote_port = address_port(request_remote(r)),
        .local_port = address_port(request_local(r)),
    };
    if (session_framing(s)->binary)
        o.flags |= SLUICE_OPEN_BINARY_OK;
    if (s->conf->accept_auto)
        o.flags |= SLUICE_OPEN_ALREADY_OPEN;
    if (s->deflate)
        o.flags |= SLUICE_OPEN_DEFLATE;

    size_t begin;
    bool one;
    bool ok = sluice_open_begin(out, &o, &begin);
    size_t from = out->n;
    ok &= identity_put(out, r, s->app,
                       handshake_origin(r, session_framing(s), &one));
    if (session_framing(s)->alphabet == WS_ALPHABET_HIXIE)
        ok &= sluice_tlv_put(out, SLUICE_TAG_LOCATION, handshake_location(r));
    if (s->deflate)
        ok &= sluice_tlv_put(out, SLUICE_TAG_EXTENSION,
                             str_c(s->deflate->answer));
    ok &= identity_put_captures(out, r, s->conf->pattern);
    ok &= identity_put_params(out, r, &s->conf->params);
    size_t to = out->n;
    ok &= identity_put_tls(out, r);
    ok &= identity_put_headers(out, r);
    if (s->conf->resume_headers)
        to = out->n;
    ok &= put_protocols(out, s);
    ok = sluice_frame_end(out, begin, ok);
    if (!ok || out->n > SLUICE_HEADER_SIZE + s->link->peer_max_frame) {
        buf_clear(out);
        return false;
    }
    if (s->link->features & SLUICE_FEATURE_RESUME)
        keep_open(s, &o, str_n(out->p + from, to - from));
    link_send_scratch(s->link);
    return true;
}

/* ---- which backend ---- */

unsigned upgrade_offer(struct session *s)
{
    struct offer o;
    struct app *app;
    struct link *l;
    bool one;

    if (!offer_begin(&o, s->request, s->conf->pool->name, s->conf->app))
        return o.status;
    o.origin = handshake_origin(s->request, session_framing(s), &one);
    o.version = ws_framing_bit(session_framing(s));
    while ((l = offer_next(&o, &app))) {
        if (!session_bind(s, l, app)) {
            offer_declined(&o, 503);
            continue;
        }
        if (!s->stream)
            session_set_state(s, SESSION_OPENING);
        if (send_open(s)) {
            events_state(s, TOLD_OPENING, TOLD_NONE);
            return 0;
        }
        log_err(session_log(s),
                "handshake is too big for the backend's frames");
        session_unbind(s);
        return 431;
    }
    return o.status;
}

/* The id is another one then: every OPEN is answered by its own CLOSED. */
bool upgrade_pass(struct session *s)
{
    struct link *l = s->link;
    struct request *r = s->request;
    bool one;
    unsigned status;
    struct app_ask ask = {
        .name = s->conf->app,
        .host = r->host,
        .path = r->uri,
        .origin = handshake_origin(r, session_framing(s), &one),
        .version = ws_framing_bit(session_framing(s)),
        .after = s->app,
    };
    struct app *next = s->app ? link_find_app(l, &ask, &status) : NULL;

    if (!next)
        return false;
    backend_count(l->backend);
    s->ending = ENDING_REJECTED;
    s->close_code = WS_CLOSE_ABNORMAL;
    session_leave_backend(s);
    s->ending = ENDING_NONE;
    s->close_code = 0;
    if (session_bind(s, l, next)) {
        session_set_state(s, SESSION_OPENING);
        if (send_open(s)) {
            events_state(s, TOLD_OPENING, TOLD_NONE);
            return true;
        }
        session_unbind(s);
    }
    session_fail(s, ENDING_NOT_OFFERED);
    return true;
}

void upgrade_refuse(struct session *s, unsigned status)
{
    struct request *r = s->request;
    s->request = NULL;
    r->handler_state = NULL;
    request_finish(r, (int)status);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "handshake.h"
#include "offer.h"

#include "base/check.h"
#include "base/clock.h"
#include "events.h"
#include "fields.h"
#include "http/authority.h"
#include "serve/access_log.h"
#include "serve/real_ip.h"
#include "tunnel.h"
#include "ws/handshake.h"

enum {
    REJECT_OUTPUT_MAX = 64 << 10 /* of its body that wait for the client before
                                    the backend has to */
};

/* ---- what the request says ---- */

/* No page can set either field.  hybi-11 gave version 8 the name of today;
 * clients that send both mean the older one. */
struct str handshake_origin(const struct request *r,
                            const struct ws_framing *framing, bool *one)
{
    const struct http_head *h = &r->head;
    struct str name = framing->origin_field;

    if (!http_head_count(h, name))
        name = STR("Origin");
    *one = http_head_count(h, name) <= 1;
    return http_head_find(h, name);
}

/* The last element is what our own peer says; the others it may have been
 * told. */
static struct str last_of(struct request *r, struct str name)
{
    struct str list = http_head_join(&r->head, name, r->arena);
    struct str element, last = {0};

    while (str_list_next(&list, &element))
        last = element;
    return last;
}

void handshake_seen(struct request *r, bool *https, struct str *authority)
{
    struct str host, port;

    *https = request_is_tls(r);
    *authority = r->head.authority;
    if (!real_ip_trusts_peer(r))
        return;
    struct str scheme = last_of(r, STR("X-Forwarded-Proto"));
    struct str name = last_of(r, STR("X-Forwarded-Host"));
    if (scheme.n)
        *https = str_eq_nocase(scheme, STR("https")) ||
                 str_eq_nocase(scheme, STR("wss"));
    if (name.n && http_authority_split(name, &host, &port) == 1)
        *authority = name;
}

struct str handshake_location(struct request *r)
{
    struct str authority;
    bool https;

    handshake_seen(r, &https, &authority);
    return arena_printf(r->arena, "%s://%.*s%.*s", https ? "wss" : "ws",
                        STR_ARG(authority), STR_ARG(r->head.path));
}

/* ---- subprotocols ---- */

struct str handshake_offers(struct request *r, const struct ws_framing *framing)
{
    return http_head_join(&r->head, framing->protocol_field, r->arena);
}

bool handshake_is_offered(struct session *s, struct str name)
{
    struct str offers = handshake_offers(s->request, session_framing(s));
    struct str token;
    while (ws_protocol_next(&offers, &token) == 1)
        if (str_eq(token, name))
            return true;
    return false;
}

struct str handshake_best_offer(struct session *s)
{
    const struct websocket_conf *conf = s->conf;

    for (size_t i = 0; i < conf->protocols.n; i++) {
        const struct str *ours = conf->protocols.items[i];
        if (handshake_is_offered(s, *ours))
            return *ours;
    }
    struct str offers = handshake_offers(s->request, session_framing(s));
    struct str first = {0};
    if (!conf->protocols.n && conf->protocol_required)
        ws_protocol_next(&offers, &first);
    return first;
}

bool handshake_is_listed(const struct websocket_conf *conf, struct str name)
{
    bool listed = !conf->protocols.n;

    for (size_t i = 0; i < conf->protocols.n; i++)
        listed |= str_eq(*(const struct str *)conf->protocols.items[i], name);
    return listed;
}

/* ---- fields of the backend ---- */

/* Ours to say, or able to break the message (SLUICE section 15). */
static bool is_reserved(struct str name)
{
    return http_field_is_hop_by_hop(name) ||
           str_starts_nocase(name, STR("Sec-WebSocket-")) ||
           str_starts_nocase(name, STR("WebSocket-")) || /* of hixie-75 */
           str_eq_nocase(name, STR("Content-Length"));
}

/* ---- ACCEPT ---- */

/* The request costs more memory than the session: it ends here when its log
 * lines, which are written at the session's end, can be kept without it, and
 * when it is not counted (limit_conn) as long as the session lives. */
void handshake_settle(struct session *s, unsigned status)
{
    struct request *r = s->request;

    if (!r)
        return;
    r->response.status = status;
    if (r->limit_holds)
        return;
    const struct access_log_conf *conf = request_conf(r, &access_log_module);
    if (!conf->is_set || conf->logs.n) {
        s->log_lines = access_log_keep(r);
        if (!s->log_lines)
            return;
    }
    s->request = NULL;
    r->handler_state = NULL;
    request_end_taken(r, status, r->bytes_sent);
}

static void put_hybi(struct buf *head, const struct session *s)
{
    buf_printf(head,
               "HTTP/1.1 101 Switching Protocols\r\n"
               "Upgrade: websocket\r\n"
               "Connection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n",
               s->handshake->accept);
}

/* The first three lines of 75 are compared byte by byte; 76 takes them in any
 * order, but wants this case. */
static void put_hixie(struct buf *head, const struct session *s)
{
    bool is_75 = session_framing(s) == &ws_framing_75;
    const char *prefix = is_75 ? "" : "Sec-";
    struct str location = handshake_location(s->request);
    bool one;
    struct str origin = handshake_origin(s->request, session_framing(s), &one);

    buf_printf(head,
               "HTTP/1.1 101 Web%sSocket Protocol Handshake\r\n"
               "Upgrade: WebSocket\r\n"
               "Connection: Upgrade\r\n",
               is_75 ? " " : "");
    if (origin.p)
        buf_printf(head, "%sWebSocket-Origin: %.*s\r\n", prefix,
                   STR_ARG(origin));
    buf_printf(head, "%sWebSocket-Location: %.*s\r\n", prefix,
               STR_ARG(location));
}

/* The request has it too, for $sent_http_ and $websocket_protocol. */
static void put_field(struct buf *head, struct request *r, struct str name,
                      struct str value)
{
    buf_printf(head, "%.*s: %.*s\r\n", STR_ARG(name), STR_ARG(value));
    response_add(r, name, arena_str(r->arena, value));
}

void handshake_accept(struct session *s, struct str protocol,
                      const uint8_t *fields, size_t n)
{
    struct request *r = s->request;
    struct buf head = {0};

    if (session_framing(s)->alphabet == WS_ALPHABET_HYBI)
        put_hybi(&head, s);
    else
        put_hixie(&head, s);
    if (protocol.n)
        put_field(&head, r, session_framing(s)->protocol_field, protocol);
    if (s->deflate)
        put_field(&head, r, STR("Sec-WebSocket-Extensions"),
                  str_c(s->deflate->answer));
    buf_put(&head, fields, n);
    struct str cookie =
        s->link ? offer_cookie(r, s->link->backend) : str_n(NULL, 0);
    if (cookie.n)
        buf_printf(&head, "Set-Cookie: %.*s\r\n", STR_ARG(cookie));
    buf_put_str(&head, STR("\r\n"));
    if (session_framing(s) == &ws_framing_76)
        buf_put(&head, s->handshake->answer, WS_ANSWER_SIZE);
    s->handshake = NULL;

    session_connect(s, request_take_stream(r));
    struct iovec iov = {head.p, head.n};
    s->base_out = s->stream->bytes_out + head.n;
    r->bytes_sent = head.n;
    stream_send(s->stream, &iov, 1);
    buf_fini(&head);
    keep_protocol(s, protocol);
    /* Until a backend has accepted it may have to be offered to another. */
    if (!s->conf->accept_auto)
        handshake_settle(s, 101);
    /* What the client sent behind its handshake is waiting. */
    stream_resume(s->stream);
}

static int collect_fields(struct session *s, struct str tlvs, struct buf *out,
                          struct str *protocol)
{
    struct sluice_tlv t;
    struct str name, value;

    while (sluice_tlv_next(&tlvs, &t) == 1) {
        if (t.tag == SLUICE_TAG_SUBPROTOCOL) {
            if (protocol->p || !handshake_is_listed(s->conf, t.value) ||
                !handshake_is_offered(s, t.value))
                return -SLUICE_ERROR_HANDSHAKE;
            *protocol = t.value;
        }
        if (t.tag != SLUICE_TAG_HEADER)
            continue;
        int rc = backend_field_get(&t, &name, &value);
        if (rc < 0)
            return rc;
        if (is_reserved(name))
            return -SLUICE_ERROR_HANDSHAKE;
        buf_printf(out, "%.*s: %.*s\r\n", STR_ARG(name), STR_ARG(value));
    }
    return 0;
}

int upgrade_accepted(struct session *s, const struct sluice_frame *f)
{
    struct sluice_accept a;
    struct str protocol = {0};
    struct buf fields = {0};

    int rc = sluice_accept_get(&a, f);
    if (rc < 0)
        return rc;
    if (s->accepted || s->state == SESSION_REJECTING)
        return -SLUICE_ERROR_BAD_STATE;
    if (a.tunnel)
        return tunnel_accept(s, &a);
    bool handshook = !s->stream;
    if (handshook) {
        rc = collect_fields(s, a.tlvs, &fields, &protocol);
        /* Before the 101, so that the client misses nothing after it. */
        if (rc == 0)
            rc = session_subscribe_tlvs(s, a.tlvs);
        if (rc < 0) {
            buf_fini(&fields);
            return rc;
        }
        events_state(s, TOLD_HANDSHAKING, TOLD_OPENING);
        if (!protocol.n && s->conf->protocol_required)
            protocol = handshake_best_offer(s);
        handshake_accept(s, protocol, fields.p, fields.n);
        buf_fini(&fields);
    }
    if (s->conf->accept_auto)
        handshake_settle(s, 101);
    s->accepted = true;
    s->keeping = s->at_least_once && s->keep;
    struct str state = sluice_tlv_find(a.tlvs, SLUICE_TAG_STATE);
    if (state.n && (rc = keep_state(s, state)) < 0)
        return rc;
    session_apply_options(s, a.tlvs);
    events_state(s, TOLD_CONNECTED,
                 handshook ? TOLD_HANDSHAKING : TOLD_OPENING);
    if (s->event_mask & SLUICE_EVENT_OPENED)
        link_send_empty(s->link, SLUICE_OPENED, 0, s->cid);
    session_wake(s);
    if (s->link->handover)
        session_move(s);
    return 0;
}

/* ---- REJECT ---- */

/* The status and the fields of the response; its body comes later. */
static int prepare_response(struct session *s, const struct sluice_reject *j)
{
    struct request *r = s->request;
    struct str tlvs = j->tlvs;
    struct sluice_tlv t;
    struct str name, value;

    /* Nobody is left to pass it to: as it said, or it is forbidden. */
    r->response.status =
        j->flags & SLUICE_REJECT_PASS && (j->status < 300 || j->status > 599)
            ? 403
            : j->status;
    while (sluice_tlv_next(&tlvs, &t) == 1) {
        if (t.tag != SLUICE_TAG_HEADER)
            continue;
        int rc = backend_field_get(&t, &name, &value);
        if (rc < 0)
            return rc;
        if (is_reserved(name))
            continue;
        value = arena_str(r->arena, value);
        if (str_eq_nocase(name, STR("Content-Type")))
            r->response.content_type = value;
        else if (str_eq_nocase(name, STR("Location")))
            r->response.location = value;
        else if (str_eq_nocase(name, STR("Server")) ||
                 str_eq_nocase(name, STR("Date")))
            continue;
        else
            response_add(r, arena_str(r->arena, name), value);
    }
    return 0;
}

static void respond(struct session *s, struct str body)
{
    struct request *r = s->request;
    struct response *p = &r->response;

    body = arena_str(r->arena, body);
    s->request = NULL;
    r->handler_state = NULL;
    session_finish(s, ENDING_REJECTED);
    if (body.n || p->content_type.p) {
        request_respond(r, p->status, p->content_type, body);
        request_finish(r, VERDICT_DONE);
    } else {
        request_finish(r, (int)p->status);
    }
}

/* Why: for us; for the client only while somebody debugs. */
static void note_reason(struct session *s, struct str tlvs, struct str *body)
{
    struct str reason = sluice_tlv_find(tlvs, SLUICE_TAG_REASON);

    if (!reason.n)
        return;
    log_info(session_log(s), "backend rejects the handshake: %.*s",
             STR_ARG(reason));
    if (body->n || !s->link->backend->pool->conf->set.debug)
        return;
    *body = reason;
    if (!s->request->response.content_type.p)
        s->request->response.content_type = STR("text/plain");
}

static int reject_late(struct session *s)
{
    session_fail(s, ENDING_LATE_REJECT);
    return 0;
}

int upgrade_rejected(struct session *s, const struct sluice_frame *f)
{
    struct sluice_reject j;

    int rc = sluice_reject_get(&j, f);
    if (rc < 0)
        return rc;
    if (s->accepted || s->state == SESSION_REJECTING)
        return -SLUICE_ERROR_BAD_STATE;
    if (s->stream)
        return reject_late(s);
    if (j.flags & SLUICE_REJECT_PASS && upgrade_pass(s))
        return 0;
    rc = prepare_response(s, &j);
    if (rc < 0) {
        response_reset(s->request);
        return rc;
    }
    struct str body = sluice_tlv_find(j.tlvs, SLUICE_TAG_BODY);
    note_reason(s, j.tlvs, &body);
    if (!j.more) {
        respond(s, body);
        return 0;
    }
    session_set_state(s, SESSION_REJECTING);
    buf_put_str(session_pending(s), body);
    return 0;
}

static void give_credit(struct session *s)
{
    s->flushed_out = s->outstanding_out;
    link_owe(session_client(s), true);
}

/* What is here leaves, without a length that nobody knows yet. */
static void send_pending(struct session *s, bool last)
{
    struct request *r = s->request;
    const struct buf *b = session_pending(s);
    struct iovec iov = {b->p, b->n};

    r->output_max = REJECT_OUTPUT_MAX;
    if (!r->response.head_sent)
        r->response.content_length = -1;
    bool room = request_send_body(r, &iov, 1, last);
    session_drop_pending(s);
    if (!last) {
        if (room)
            give_credit(s);
        return;
    }
    s->request = NULL;
    r->handler_state = NULL;
    session_finish(s, ENDING_REJECTED);
    request_finish(r, VERDICT_DONE);
}

void upgrade_drained(struct session *s)
{
    if (s->state != SESSION_REJECTING || !s->link)
        return;
    s->state_ms = (uint32_t)clock_now_ms();
    give_credit(s);
}

/* A body of up to half of the credit is collected, and then has a length. */
int upgrade_body(struct session *s, const struct sluice_frame *f)
{
    bool last = !(f->header.flags & SLUICE_FLAG_MORE);

    if (s->state != SESSION_REJECTING)
        return -SLUICE_ERROR_BAD_STATE;
    if (s->outstanding_out >= s->window_out ||
        s->link->outstanding_out >= s->link->window_out)
        return -SLUICE_ERROR_FLOW_CONTROL;
    link_client_spend(session_client(s), f->payload.n);
    s->state_ms = (uint32_t)clock_now_ms();
    buf_put(session_pending(s), f->payload.p, f->payload.n);
    if (s->request->response.head_sent ||
        (!last && s->outstanding_out >= s->window_out / 2))
        send_pending(s, last);
    else if (last)
        respond(s, buf_str(session_pending(s)));
    return 0;
}

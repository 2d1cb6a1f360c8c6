/* SPDX-License-Identifier: BSD-2-Clause */
#include "tunnel.h"

#include "base/clock.h"
#include "handshake.h"
#include "options.h"
#include "sluice/close.h"
#include "ws/close.h"

/* ---- the client's bytes ---- */

/* When credit is missing, it is put where it is found when there is some. */
static bool may_send(struct session *s)
{
    if (s->held)
        return false;
    if (link_client_has_credit(session_client(s)))
        return true;
    if (!link_has_credit(s->link) && !list_is_linked(&s->starved))
        list_push_back(&s->link->starved, &s->starved);
    return false;
}

/* Both directions have ended: what is queued leaves, then it is over. */
static void finish_if_done(struct session *s)
{
    if (!s->close_seen || !s->close_sent || s->state != SESSION_CONNECTED)
        return;
    session_set_state(s, SESSION_FLUSHING);
    timer_set(bridge.loop, &s->timer, session_close_timeout(s));
    if (!stream_queued(s->stream))
        session_on_written(s, 0);
}

/* The client will send no more, and all that it sent is with the backend. */
static void tell_end(struct session *s)
{
    if (!s->eof || s->close_seen || !session_is_open(s) || !may_send(s))
        return;
    s->close_seen = true;
    link_send_data(session_client(s), SLUICE_HTTP_BODY, 0, 0, NULL, 0);
    finish_if_done(s);
}

static void send_bytes(struct session *s, struct span *in)
{
    size_t n = in->n;

    if (n > s->link->peer_max_frame)
        n = s->link->peer_max_frame;
    link_send_data(session_client(s), SLUICE_HTTP_BODY, SLUICE_FLAG_MORE, 0,
                   in->p, n);
    s->reader.wire_bytes += n;
    span_advance(in, n);
}

static void on_data(void *owner, struct span *in)
{
    struct session *s = owner;

    s->heard_ms = (uint32_t)clock_now_ms();
    while (in->n && session_is_open(s)) {
        if (!may_send(s)) {
            stream_pause(s->stream);
            return;
        }
        send_bytes(s, in);
    }
    span_advance(in, in->n);
}

/* It comes behind the last of the bytes. */
static void on_end(void *owner, enum stream_end end, int error)
{
    struct session *s = owner;
    (void)error;

    s->eof = true;
    if (s->state == SESSION_LINGERING) {
        if (end == STREAM_ERROR || !stream_queued(s->stream))
            session_gone(s);
    } else if (end == STREAM_ERROR) {
        session_abort(s, s->close_seen ? ENDING_CLIENT_GONE
                                       : ENDING_SOCKET_FAILED);
    } else {
        tell_end(s);
    }
}

const struct stream_events tunnel_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_written = session_on_written,
};

void tunnel_wake(struct session *s)
{
    if (!s->link || !session_is_open(s))
        return;
    tell_end(s);
    if (s->link && s->stream->paused && may_send(s))
        stream_resume(s->stream);
}

/* ---- the backend's ---- */

/* What it answered, for the log: its own words begin with it. */
static unsigned status_of(struct span data)
{
    struct str line = str_n(data.p, data.n);
    uint64_t status;

    if (!str_starts(line, STR("HTTP/1.1 ")) || line.n < 12 ||
        !str_to_u64(str_slice(line, 9, 12), 999, &status) || status < 100)
        return 101;
    return (unsigned)status;
}

static int take_bytes(struct session *s, const struct sluice_frame *f)
{
    if (s->close_sent)
        return s->state == SESSION_CONNECTED ? -SLUICE_ERROR_BAD_STATE : 0;
    if (s->outstanding_out >= s->window_out ||
        s->link->outstanding_out >= s->link->window_out)
        return -SLUICE_ERROR_FLOW_CONTROL;
    link_client_spend(session_client(s), f->payload.n);
    s->active_ms = (uint32_t)clock_now_ms();
    if (!s->put && s->request)
        handshake_settle(s, status_of(f->payload));
    if (!stream_queued(s->stream))
        s->written_ms = s->active_ms;
    s->put += f->payload.n;
    stream_put(s->stream, f->payload.p, f->payload.n);
    if (f->header.flags & SLUICE_FLAG_MORE)
        return 0;
    s->close_sent = true;
    s->by_backend = !s->close_seen;
    stream_shutdown(s->stream);
    finish_if_done(s);
    return 0;
}

/* An end of both directions in good order, whatever the code: there is no
 * frame to say it in. */
static int take_close(struct session *s, const struct sluice_frame *f)
{
    struct sluice_close c;

    int rc = sluice_close_get(&c, f);
    if (rc < 0 || s->state != SESSION_CONNECTED)
        return rc;
    s->by_backend = s->close_seen = s->close_sent = true;
    stream_shutdown(s->stream);
    finish_if_done(s);
    return 0;
}

static int take_options(struct session *s, const struct sluice_frame *f)
{
    struct sluice_set_opts o;

    int rc = sluice_set_opts_get(&o, f);
    if (rc == 0)
        session_apply_options(s, o.tlvs);
    return rc;
}

static void hold(struct session *s, bool held)
{
    s->held = held;
    if (held)
        stream_pause(s->stream);
    else
        tunnel_wake(s);
}

int tunnel_take(struct session *s, const struct sluice_frame *f)
{
    enum sluice_type type = f->header.type;

    if (type == SLUICE_HTTP_BODY)
        return take_bytes(s, f);
    if (type == SLUICE_CLOSE)
        return take_close(s, f);
    if (type == SLUICE_SET_OPTS)
        return take_options(s, f);
    if (type == SLUICE_TERMINATE)
        session_abort(s, ENDING_TERMINATED);
    else if (type == SLUICE_PAUSE || type == SLUICE_UNPAUSE)
        hold(s, type == SLUICE_PAUSE);
    else if (type == SLUICE_DETACH)
        link_send_error(s->link, s->cid, SLUICE_ERROR_LIMIT, type,
                        SLUICE_SEVERITY_INFO, 0, "a tunnel can not move");
    else
        return -SLUICE_ERROR_BAD_STATE;
    return 0;
}

/* ---- its beginning ---- */

bool tunnel_is_allowed(const struct link *l)
{
    /* A reload may have withdrawn it from a link that has it. */
    return l->features & SLUICE_FEATURE_TUNNEL &&
           l->backend->pool->conf->set.allow_tunnel;
}

static void begin(struct session *s, struct str options)
{
    s->tunnel = s->accepted = true;
    s->base_out = 0;
    session_connect(s, request_take_stream(s->request));
    s->base_out = s->stream->bytes_out;
    s->state_ms = (uint32_t)clock_now_ms();
    session_apply_options(s, options);
    /* What the client sent behind its request is waiting. */
    stream_resume(s->stream);
}

int tunnel_accept(struct session *s, const struct sluice_accept *a)
{
    uint8_t secret[WS_SECRET_SIZE];
    bool has_secret = session_framing(s) == &ws_framing_76;

    if (s->stream) /* it has a 101 of ours */
        return -SLUICE_ERROR_BAD_STATE;
    if (!tunnel_is_allowed(s->link))
        return -SLUICE_ERROR_UNSUPPORTED;
    if (has_secret)
        memcpy(secret, s->handshake->secret, sizeof secret);
    s->handshake = NULL;
    s->at_least_once = s->keeping = false;
    keep_free(s);
    deflate_destroy(s->deflate);
    s->deflate = NULL;
    begin(s, a->tlvs);
    /* It is no part of the head, and was read. */
    if (has_secret)
        send_bytes(s, &(struct span){secret, sizeof secret});
    return 0;
}

/* The request's place on the link becomes the session's. */
static void move_in(struct session *s, struct exchange *x)
{
    struct link *l = x->link;
    bool owing = list_is_linked(&x->owing);

    s->cid = x->cid;
    s->pool = x->pool;
    s->link = l;
    s->app = x->app;
    s->window_in = x->window_in;
    s->outstanding_in = x->outstanding_in;
    s->window_out = x->window_out;
    s->outstanding_out = x->outstanding_out;
    s->flushed_out = x->flushed_out;
    list_remove(&x->on_link);
    list_remove(&x->owing);
    list_remove(&x->starved);
    list_push_back(&l->sessions, &s->on_link);
    list_push_back(&s->pool->sessions, &s->in_pool);
    slots_replace(&bridge.slots, s->cid, session_client(s));
    if (owing)
        link_owe(session_client(s), false);
    x->link = NULL;
    x->cid = 0;
}

int tunnel_accept_request(struct exchange *x, const struct sluice_frame *f)
{
    struct request *r = x->request;
    struct sluice_accept a;

    int rc = sluice_accept_get(&a, f);
    if (rc < 0)
        return rc;
    if (!a.tunnel || !x->upgrade || x->state != EXCHANGE_WAITING ||
        !x->body_sent)
        return -SLUICE_ERROR_BAD_STATE;
    if (!tunnel_is_allowed(x->link))
        return -SLUICE_ERROR_UNSUPPORTED;
    exchange_let_go(x);
    struct session *s = session_create_tunnel(r);
    move_in(s, x);
    session_begin_options(s, s->app);
    r->handler = &websocket_handler;
    r->handler_state = s;
    begin(s, a.tlvs);
    return 0;
}

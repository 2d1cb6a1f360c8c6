/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/session.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "bridge/limits.h"
#include "logs.h"
#include "options.h"
#include "serve/access_log.h"
#include "serve/core.h"
#include "tunnel.h"
#include "ws/close.h"

static const char *const state_names[] = {
    [SESSION_OPENING] = "opening",     [SESSION_REJECTING] = "rejecting",
    [SESSION_CONNECTED] = "connected", [SESSION_CLOSING] = "closing",
    [SESSION_FLUSHING] = "flushing",   [SESSION_LINGERING] = "lingering",
    [SESSION_DEAD] = "dead",
};

const char *session_state_name(enum session_state state)
{
    return state_names[state];
}

/* What it says is made when there is a line: not every session needs room for
 * it. */
static struct {
    struct log_ctx ctx;
    const struct session *session;
} line;

static void describe(const struct log_ctx *ctx, struct buf *out)
{
    const struct session *s = line.session;
    (void)ctx;
    buf_printf(out, ", client: %s", s->client);
    if (s->link)
        buf_printf(out, ", backend: unix:%s", s->link->backend->path);
}

const struct log_ctx *session_log(const struct session *s)
{
    const struct conf_scope *scope = s->conf->pass_scope;
    const struct core_conf *core = scope ? conf_get(scope, &core_module) : NULL;

    line.session = s;
    line.ctx = (struct log_ctx){
        .target = core ? core->log : log_process.target,
        .connection = s->connection,
        .debug = s->watched,
        .describe = describe,
    };
    return &line.ctx;
}

void session_set_state(struct session *s, enum session_state state)
{
    log_debug(session_log(s), "session %s -> %s", state_names[s->state],
              state_names[state]);
    if (s->link)
        logs_tell(s->link, session_client(s), LEVEL_DEBUG, "session %s -> %s",
                  state_names[s->state], state_names[state]);
    s->state = (uint8_t)state;
    s->state_ms = (uint32_t)clock_now_ms();
}

/* ---- time ---- */

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The ms until at + limit, 0 when that has passed. */
static uint64_t ms_until(uint32_t at, uint64_t limit, uint64_t now)
{
    uint32_t passed = (uint32_t)now - at;
    return passed >= limit ? 0 : limit - passed;
}

/* How long a state other than CONNECTED may last. */
static uint64_t state_limit_ms(const struct session *s)
{
    switch ((enum session_state)s->state) {
    case SESSION_OPENING:
    case SESSION_REJECTING:
        return s->conf->pool->set.accept_timeout_ms;
    case SESSION_CLOSING:
    case SESSION_FLUSHING:
        return session_close_timeout(s);
    case SESSION_LINGERING:
        return min_u64(session_close_timeout(s), SESSION_LINGER_MS);
    case SESSION_CONNECTED:
        /* websocket_accept auto: the client knows before the backend does. */
        if (!s->accepted)
            return s->conf->pool->set.accept_timeout_ms;
        break;
    case SESSION_DEAD:
        break;
    }
    return UINT64_MAX;
}

static void die(struct session *s, bool reset);

static void state_timed_out(struct session *s)
{
    switch ((enum session_state)s->state) {
    case SESSION_OPENING:
    case SESSION_REJECTING:
        session_finish(s, ENDING_ACCEPT_TIMEOUT);
        break;
    case SESSION_CLOSING:
        if (s->close_waits)
            session_close_now(s);
        else
            session_abort(s, ENDING_CLOSE_TIMEOUT);
        break;
    case SESSION_FLUSHING:
        session_abort(s, ENDING_SEND_TIMEOUT);
        break;
    case SESSION_LINGERING:
        die(s, stream_queued(s->stream) > 0);
        break;
    case SESSION_CONNECTED:
        session_fail(s, ENDING_ACCEPT_TIMEOUT);
        break;
    case SESSION_DEAD:
        break;
    }
}

/* A client that we keep from talking cannot be silent. */
static bool is_kept_waiting(const struct session *s)
{
    return s->stream->paused;
}

static void send_our_ping(struct session *s, uint64_t now)
{
    /* It says when it was sent, so that its answer is known. */
    s->pinged_ms = (uint32_t)now | 1;
    s->ping_token = (uint32_t)clock_now_us() | 1;
    session_send_control(s, WS_PING, &s->ping_token, sizeof s->ping_token);
}

static uint64_t check_pings(struct session *s, uint64_t now)
{
    const struct websocket_conf *conf = s->conf;

    uint64_t ping_ms = session_ping_interval(s);

    if (!ping_ms || !session_framing(s)->pings || s->tunnel ||
        is_kept_waiting(s))
        return UINT64_MAX;
    if (s->pinged_ms) {
        uint64_t left = ms_until(s->pinged_ms, conf->ping_timeout_ms, now);
        if (!left)
            session_abort(s, ENDING_PING_TIMEOUT);
        return left;
    }
    uint64_t left = ms_until(s->heard_ms, ping_ms, now);
    if (left)
        return left;
    send_our_ping(s, now);
    return conf->ping_timeout_ms;
}

static uint64_t check_idle(struct session *s, uint64_t now)
{
    uint64_t limit = session_idle_timeout(s);

    if (!limit)
        return UINT64_MAX;
    /* What the backend sends counts too, our pings do not. */
    bool heard_last = (int32_t)(s->heard_ms - s->active_ms) > 0;
    uint32_t active = heard_last ? s->heard_ms : s->active_ms;
    uint64_t left = ms_until(active, limit, now);
    if (!left && is_kept_waiting(s))
        return limit;
    if (!left)
        session_fail(s, ENDING_IDLE);
    return left;
}

static uint64_t check_sending(struct session *s, uint64_t now)
{
    uint64_t limit = s->conf->send_timeout_ms;

    /* Nobody sets this timer when output begins to wait: looking once in
     * every interval finds it in time. */
    if (!stream_queued(s->stream))
        return limit;
    uint64_t left = ms_until(s->written_ms, limit, now);
    if (!left)
        session_abort(s, ENDING_SEND_TIMEOUT);
    return left;
}

static void on_timer(struct timer *t)
{
    struct session *s = CONTAINER(t, struct session, timer);
    uint64_t now = clock_now_ms();
    uint64_t limit = state_limit_ms(s);
    uint64_t next = UINT64_MAX;

    if (limit != UINT64_MAX) {
        next = ms_until(s->state_ms, limit, now);
        if (!next) {
            state_timed_out(s);
            return;
        }
    }
    uint64_t (*const checks[])(struct session *, uint64_t) = {
        check_sending, check_idle, check_pings};
    for (size_t i = 0; i < COUNT(checks) && s->state == SESSION_CONNECTED; i++)
        next = min_u64(next, checks[i](s, now));
    if (!session_is_over(s))
        timer_set(bridge.loop, t, next);
    else if (s->state == SESSION_LINGERING)
        timer_set(bridge.loop, t, state_limit_ms(s));
}

/* ---- birth ---- */

struct session *session_create(struct request *r,
                               const struct websocket_conf *conf,
                               struct ws_handshake *handshake)
{
    char text[ADDRESS_TEXT_MAX];
    struct str ip = address_ip_text(request_remote(r), text);
    struct session *s = xcalloc(1, offsetof(struct session, client) + ip.n + 1);

    s->request = r;
    s->conf = conf;
    s->handshake = handshake;
    s->framing = ws_framing_index(handshake->framing);
    s->generation = generation_ref(r->generation);
    s->connection = request_connection(r);
    s->watched = r->log.debug;
    memcpy(s->client, ip.p, ip.n);
    session_begin_options(s, NULL);
    s->state_ms = (uint32_t)clock_now_ms();
    s->born_s = (uint32_t)(clock_now_ms() / 1000);
    timer_init(&s->timer, on_timer);
    list_push_back(&bridge.sessions, &s->all);
    bridge.live++;
    if (conf->pool)
        timer_set(bridge.loop, &s->timer, state_limit_ms(s));
    return s;
}

struct session *session_create_tunnel(struct request *r)
{
    struct ws_handshake none = {.framing = &ws_framing_13};
    struct session *s =
        session_create(r, request_conf(r, &websocket_module), &none);

    s->kind = LINK_SESSION;
    s->handshake = NULL;
    s->tunnel = true;
    s->state = SESSION_CONNECTED;
    return s;
}

void session_connect(struct session *s, struct stream *stream)
{
    s->stream = stream;
    stream_hand_over(stream, s->tunnel ? &tunnel_events : &session_events, s);
    session_connect_options(s);
    session_framing(s)->init(&s->reader, &s->conf->limits);
    if (s->deflate)
        s->reader.extension_rsv = WS_RSV1;
    s->heard_ms = s->written_ms = s->active_ms = (uint32_t)clock_now_ms();
    session_set_state(s, SESSION_CONNECTED);
    timer_set(bridge.loop, &s->timer, 0);
}

void session_adopt(struct session *s, struct generation *g)
{
    const struct websocket_conf *old = s->conf;

    /* A tunnel may stand where no session is configured. */
    if (!s->stream || session_is_over(s) || s->generation == g || !old->pool)
        return;
    const struct websocket_conf *conf = websocket_conf_in(g, old);
    if (!conf)
        return;
    s->conf = conf;
    s->reader.limits = &conf->limits;
    if (s->auto_pong == old->auto_pong) /* nobody said otherwise */
        s->auto_pong = conf->auto_pong;
    generation_ref(g);
    generation_unref(s->generation);
    s->generation = g;
    timer_set(bridge.loop, &s->timer, 0);
}

/* ---- endings ---- */

static void bury(struct loop_task *task)
{
    struct session *s = CONTAINER(task, struct session, grave);
    session_drop_pending(s);
    deflate_destroy(s->deflate);
    session_drop_waiting(s);
    session_line_clear(s);
    keep_free(s);
    if (s->close_reason)
        shared_unref(s->close_reason);
    generation_unref(s->generation);
    free(s->options);
    free(s);
}

void session_keep_reason(struct session *s, struct span reason)
{
    if (!reason.n || s->close_reason)
        return;
    s->close_reason = xcalloc(1, sizeof *s->close_reason + reason.n);
    s->close_reason->references = 1;
    s->close_reason->n = reason.n;
    memcpy(s->close_reason->bytes, reason.p, reason.n);
}

uint64_t session_bytes_out(const struct session *s)
{
    uint64_t sent = s->stream ? s->stream->bytes_out : s->base_out + s->put;
    return sent > s->base_out ? sent - s->base_out : 0;
}

/* It is logged, and the request forgotten. */
static void end_request(struct session *s)
{
    struct request *r = s->request;

    if (s->stream && s->log_lines)
        access_log_write_kept(s->log_lines, bridge.loop, &websocket_handler, s,
                              session_bytes_out(s));
    if (s->stream)
        s->log_lines = NULL;
    if (!r || !s->stream)
        return;
    s->request = NULL;
    r->body_sent = session_bytes_out(s);
    unsigned status = s->tunnel ? r->response.status : 0;
    request_end_taken(r, status ? status : 101, r->bytes_sent + r->body_sent);
}

void session_bury_if_done(struct session *s)
{
    if (s->state != SESSION_DEAD || s->cid)
        return;
    list_remove(&s->all);
    bridge.live--;
    s->grave.run = bury;
    loop_bury(bridge.loop, &s->grave);
}

static void die(struct session *s, bool reset)
{
    if (s->state == SESSION_DEAD)
        return;
    session_set_state(s, SESSION_DEAD);
    timer_clear(&s->timer);
    if (s->stream && reset)
        stream_reset(s->stream);
    else if (s->stream)
        stream_close(s->stream);
    s->stream = NULL;
    session_bury_if_done(s);
}

/* What CLOSED says the session was closed with. */
static unsigned final_code(const struct session *s,
                           const struct ending_row *row)
{
    if (s->tunnel)
        return s->close_seen && s->close_sent ? WS_CLOSE_NONE
                                              : WS_CLOSE_ABNORMAL;
    if (s->close_code)
        return s->close_code;
    return row->code && s->stream ? row->code : WS_CLOSE_ABNORMAL;
}

/* Read on, and drop it: closing with unread input would send a RST, which
 * can destroy our close frame on its way (RFC 6455 section 7.1.1). */
static void linger(struct session *s)
{
    session_set_state(s, SESSION_LINGERING);
    session_line_clear(s);
    deflate_release(s->deflate);
    session_drop_pending(s);
    s->in_last = false;
    if (s->eof && !stream_queued(s->stream)) {
        die(s, false);
        return;
    }
    stream_shutdown(s->stream);
    stream_resume(s->stream);
    timer_set(bridge.loop, &s->timer, state_limit_ms(s));
}

/* Everything but what becomes of the socket. */
static void finish(struct session *s, enum ending ending)
{
    const struct ending_row *row = ending_row(ending);

    s->ending = (uint8_t)ending;
    s->close_code = (uint16_t)final_code(s, row);
    log_write(session_log(s), row->level, "%s (%u messages in, %u out)",
              row->sentence, s->seq_in, session_seq_out(s));
    if (s->link)
        logs_tell(s->link, session_client(s), row->level,
                  "%s: code %u, cause %u (%u messages in, %u out)",
                  row->sentence, s->close_code, row->cause, s->seq_in,
                  session_seq_out(s));
    list_remove(&s->in_pool);
    end_request(s); /* its log line may name the backend */
    limits_close(s);
    session_drop_waiting(s);
    session_leave_backend(s);
    channels_leave(s);
}

/* Before the 101 there is a request to answer and no stream. */
static void finish_early(struct session *s, enum ending ending)
{
    unsigned status = ending_row(ending)->status;

    finish(s, ending);
    if (status && s->request)
        upgrade_refuse(s, status);
    die(s, false);
}

/* A tunnel has no close frame: that the backend's bytes are not all there,
 * only a RST can say. */
static bool is_cut_short(const struct session *s, enum ending ending)
{
    return s->tunnel && !s->close_sent &&
           (ending == ENDING_BACKEND_LOST || ending == ENDING_LOST_INSIDE ||
            ending == ENDING_BACKEND_FAULT);
}

void session_finish(struct session *s, enum ending ending)
{
    if (session_is_over(s))
        return;
    if (!s->stream) {
        finish_early(s, ending);
        return;
    }
    if (stream_queued(s->stream))
        stream_flush(s->stream); /* its log line counts the close frame */
    finish(s, ending);
    if (is_cut_short(s, ending))
        die(s, true);
    else
        linger(s);
    session_wake(s);
}

void session_fail(struct session *s, enum ending ending)
{
    unsigned code = ending_row(ending)->code;

    if (session_is_over(s))
        return;
    if (ending == ENDING_BACKEND_LOST && !s->tunnel)
        code = s->conf->pool->set.loss_code;
    if (ending == ENDING_SHUTDOWN && s->pool)
        code = s->pool->conf->set.drain_code;
    if (s->stream && code) {
        if (!s->close_sent)
            session_send_close(
                s, code, ending == ENDING_IDLE ? STR("idle timeout") : STR(""));
        if (!s->close_code)
            s->close_code = (uint16_t)code;
    }
    session_finish(s, ending);
}

void session_abort(struct session *s, enum ending ending)
{
    if (session_is_over(s))
        return;
    if (!s->stream) {
        finish_early(s, ending);
        return;
    }
    finish(s, ending);
    die(s, ending == ENDING_TERMINATED || ending == ENDING_KILLED ||
               stream_queued(s->stream) > 0);
    session_wake(s);
}

void session_gone(struct session *s)
{
    if (s->state == SESSION_LINGERING)
        die(s, false);
}

void session_destroy_now(struct session *s)
{
    if (!session_is_over(s))
        finish(s, ENDING_SHUTDOWN);
    session_forget(s);
    if (s->request)
        s->request->handler_state = NULL;
    die(s, false);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "bridge/limits.h"
#include "bridge/session.h"
#include "logs.h"
#include "tunnel.h"
#include "ws/close.h"

enum {
    SPARE_MAX = 64 << 10 /* a larger buffer is not kept for the next one */
};

/* ---- to the backend ---- */

/* Does the message under way, of which n bytes are at hand, go on to the
 * backend as it arrives?  In several frames, or long: what a frame announces
 * counts before it is here. */
static bool is_streamed(const struct session *s, size_t n)
{
    if (!(s->event_mask & SLUICE_EVENT_FRAGMENTS) || !s->link ||
        !(s->link->features & SLUICE_FEATURE_FRAGMENTS))
        return false;
    uint64_t threshold = session_stream_threshold(s);
    return s->in_started || !s->reader.fin || s->reader.fragments > 1 ||
           s->reader.message_size >= threshold || n >= threshold;
}

/* What the wire took beyond the payload since it was last told. */
static uint16_t wire_delta(struct session *s, size_t n)
{
    if (!(s->event_mask & SLUICE_EVENT_WIRE) || !s->link ||
        !(s->link->features & SLUICE_FEATURE_WIRECOUNT))
        return 0;
    int64_t delta = (int64_t)(s->reader.wire_bytes - s->wire_seen) - (int64_t)n;
    if (delta > INT16_MAX)
        delta = INT16_MAX;
    if (delta < INT16_MIN)
        delta = INT16_MIN;
    /* What does not fit is told with the next piece. */
    s->wire_seen += (uint64_t)((int64_t)n + delta);
    return (uint16_t)(int16_t)delta;
}

static bool may_forward(const struct session *s)
{
    return s->keeping ? kept_has_room(s)
                      : link_client_has_credit((const struct link_client *)s);
}

/* As large as one piece may be; parked, as it was. */
static size_t piece_max(const struct session *s)
{
    return s->link ? s->link->peer_max_frame : s->keep->max_frame;
}

/* A message is whole: a session that is to move can. */
static void leave_if_due(struct session *s, bool more)
{
    if (!more && s->link && s->link->handover)
        session_move(s);
}

static void send_piece(struct session *s, const uint8_t *p, size_t n, bool more)
{
    enum sluice_type type = SLUICE_CONT;

    if (!s->in_started) {
        type = s->in_opcode == WS_TEXT ? SLUICE_TEXT : SLUICE_BINARY;
        s->seq_in++;
    }
    s->in_started = more;
    if (s->keeping) {
        kept_put(s, type == SLUICE_CONT ? 0 : s->in_opcode, more,
                 wire_delta(s, n), p, n);
        kept_send(s);
        leave_if_due(s, more);
        return;
    }
    link_send_data(session_client(s), type, more ? SLUICE_FLAG_MORE : 0,
                   wire_delta(s, n), p, n);
    leave_if_due(s, more);
}

/*
 * Send what may be sent of the n bytes at p, which go on the message under
 * way and are its end when last.  Returns how many were used; *done when the
 * end was sent.  A message goes in one frame when it fits in one, unless the
 * backend asked for pieces; credit is looked at before every frame.
 */
static size_t send_pieces(struct session *s, const uint8_t *p, size_t n,
                          bool last, bool *done)
{
    size_t max = piece_max(s);
    size_t at = 0;

    *done = false;
    while (!*done && may_forward(s)) {
        size_t left = n - at;
        if (left > max) {
            send_piece(s, p + at, max, true);
            at += max;
        } else if (last) {
            send_piece(s, p + at, left, false);
            at = n;
            *done = true;
        } else if (left && is_streamed(s, left)) {
            send_piece(s, p + at, left, true);
            at = n;
        } else {
            break;
        }
    }
    return at;
}

/* Something is here that could be sent if there were credit. */
static bool is_due(const struct session *s)
{
    if (s->in_last)
        return true;
    if (!s->pending || !s->pending->n)
        return false;
    return s->pending->n > piece_max(s) || is_streamed(s, s->pending->n);
}

struct buf *session_pending(struct session *s)
{
    if (!s->pending) {
        s->pending =
            bridge.spare ? bridge.spare : xcalloc(1, sizeof *s->pending);
        bridge.spare = NULL;
    }
    return s->pending;
}

static void keep_pending(struct session *s, const uint8_t *p, size_t n)
{
    buf_put(session_pending(s), p, n);
}

/* An idle session keeps no buffer; the next one that needs one, and that is
 * often in the same turn, need not ask the heap. */
void session_drop_pending(struct session *s)
{
    if (!s->pending)
        return;
    if (bridge.spare || s->pending->capacity > SPARE_MAX) {
        buf_fini(s->pending);
        free(s->pending);
    } else {
        bridge.spare = s->pending;
        buf_clear(bridge.spare);
    }
    s->pending = NULL;
}

static void forward_pending(struct session *s)
{
    bool done;
    struct buf *b = session_pending(s);
    size_t used = send_pieces(s, b->p, b->n, s->in_last, &done);

    if (done) {
        session_drop_pending(s);
        s->in_last = false;
        s->in_opcode = 0;
    } else {
        buf_drop(b, used);
    }
}

static void forward(struct session *s, struct span data, bool last)
{
    if (s->discarding) {
        s->discarding = s->in_started = !last;
        if (last)
            s->in_opcode = 0;
        return;
    }
    if (s->pending && s->pending->n) {
        keep_pending(s, data.p, data.n);
        s->in_last = last;
        forward_pending(s);
        return;
    }
    bool done;
    size_t used = send_pieces(s, data.p, data.n, last, &done);
    if (done) {
        session_drop_pending(s);
        s->in_opcode = 0;
        return;
    }
    s->in_last = last;
    if (used < data.n)
        keep_pending(s, data.p + used, data.n - used);
}

/* May the next event be taken?  When credit is missing, the session is put
 * where it is found when there is some. */
static bool may_read(struct session *s)
{
    if (!s->accepted || s->held || limits_hold_back(s))
        return false;
    if (may_forward(s))
        return !is_due(s);
    if (s->link && !link_has_credit(s->link) && !list_is_linked(&s->starved))
        list_push_back(&s->link->starved, &s->starved);
    return false;
}

static const char *why_not(const struct session *s)
{
    return s->held               ? "PAUSE"
           : !s->accepted        ? "no ACCEPT"
           : limits_hold_back(s) ? "its limits"
           : may_forward(s)      ? "it moves"
                                 : "no credit";
}

/* ---- events of the client ---- */

/*
 * Inflate as much of the data as there is credit for; what is over goes back
 * to the reader, compressed as it is.
 */
static void on_deflated(struct session *s, const struct ws_event *ev,
                        struct span *in)
{
    struct span rest = ev->data;
    struct ws_piece piece;
    int got;

    if (ev->first)
        deflate_begin_in(s->deflate, ev->opcode == WS_TEXT,
                         session_max_message(s));
    while ((got = deflate_next_in(s->deflate, &rest, ev->last, &piece)) == 1) {
        forward(s, piece.data, piece.last);
        if (piece.last || !session_is_open(s))
            return;
        if (rest.n && !may_read(s)) {
            ws_reader_unread(&s->reader, in, ev, rest.n);
            return;
        }
    }
    if (got < 0)
        session_fail(s, ending_of_ws_code(got));
}

static void on_message(struct session *s, const struct ws_event *ev,
                       struct span *in)
{
    if (ev->first) {
        s->in_opcode = ev->opcode & 0xf;
        s->in_started = false;
    }
    if (s->options && s->reader.message_size > session_max_message(s))
        session_fail(s, ENDING_WS_TOO_BIG);
    else if (ev->rsv)
        on_deflated(s, ev, in);
    else
        forward(s, ev->data, ev->last);
    if (s->limits && session_is_open(s))
        limits_count(s, ev->data.n, ev->first);
}

static void tell_control(struct session *s, enum sluice_type type,
                         bool automatic, struct span data)
{
    if (!s->link)
        return;
    struct sluice_ping p = {
        .type = type,
        .cid = s->cid,
        .automatic = automatic,
        .data = str_n(data.p, data.n),
    };
    sluice_ping_put(&s->link->scratch, &p);
    link_send_scratch(s->link);
}

static void on_ping(struct session *s, const struct ws_event *ev)
{
    /* Without a backend nobody else could. */
    bool answer = (s->auto_pong || !s->link) && !s->close_sent;

    if (answer && stream_queued(s->stream) < SESSION_PONG_QUEUE)
        session_send_control(s, WS_PONG, ev->data.p, ev->data.n);
    if (s->event_mask & SLUICE_EVENT_PING || !s->auto_pong)
        tell_control(s, SLUICE_PING, answer, ev->data);
}

/* The answer to our own ping is nobody else's. */
static bool takes_rtt(struct session *s, struct span data)
{
    if (!s->ping_token || data.n != sizeof s->ping_token ||
        memcmp(data.p, &s->ping_token, sizeof s->ping_token) != 0)
        return false;
    uint32_t rtt = (uint32_t)clock_now_us() - (s->ping_token - 1);
    s->rtt_us = rtt ? rtt : 1;
    s->ping_token = 0;
    return true;
}

static void on_pong(struct session *s, const struct ws_event *ev)
{
    if (takes_rtt(s, ev->data))
        return;
    if (s->event_mask & SLUICE_EVENT_PONG)
        tell_control(s, SLUICE_PONG, false, ev->data);
}

/* RFC 6455 section 5.5.1: answer with the same code, then the connection is
 * ours to close. */
static void on_close(struct session *s, const struct ws_event *ev)
{
    s->close_seen = true;
    s->close_code = ev->code;
    session_keep_reason(s, ev->data);
    if (s->event_mask & SLUICE_EVENT_CLOSING && !s->by_backend && s->link) {
        struct sluice_close c = {
            .cid = s->cid,
            .code = ev->code == WS_CLOSE_NONE ? 0 : ev->code,
            .reason = str_n(ev->data.p, ev->data.n),
        };
        sluice_close_put(&s->link->scratch, &c);
        link_send_scratch(s->link);
    }
    if (!s->close_sent)
        session_send_close(s, ev->code, STR(""));
    session_set_state(s, SESSION_FLUSHING);
    timer_set(bridge.loop, &s->timer, session_close_timeout(s));
    if (!stream_queued(s->stream))
        session_on_written(s, 0);
}

static void on_event(struct session *s, const struct ws_event *ev,
                     struct span *in)
{
    switch (ev->type) {
    case WS_EVENT_DATA:
        on_message(s, ev, in);
        break;
    case WS_EVENT_PING:
        on_ping(s, ev);
        break;
    case WS_EVENT_PONG:
        on_pong(s, ev);
        break;
    case WS_EVENT_CLOSE:
        on_close(s, ev);
        break;
    }
}

/* ---- reading ---- */

static void on_data(void *owner, struct span *in)
{
    struct session *s = owner;
    struct ws_event ev;

    s->heard_ms = (uint32_t)clock_now_ms();
    s->pinged_ms = 0;
    while (session_is_open(s)) {
        if (!may_read(s)) {
            if (s->link)
                logs_tell(s->link, session_client(s), LEVEL_DEBUG,
                          "client is read no more: %s", why_not(s));
            stream_pause(s->stream);
            return;
        }
        int got = session_framing(s)->next(&s->reader, in, &ev);
        if (got == 0)
            return;
        if (got > 0)
            on_event(s, &ev, in);
        else
            session_fail(s, ending_of_ws_code(got));
    }
    /* It is closing, or over: nothing that follows has a meaning. */
    span_advance(in, in->n);
}

/* Where there are no close frames the connection's end closes, unless it is
 * inside a message. */
static enum ending end_of_stream(struct session *s)
{
    if (session_framing(s)->closes || s->reader.opcode)
        return ENDING_CLIENT_GONE;
    s->close_seen = s->close_sent = true;
    s->close_code = WS_CLOSE_NONE;
    return ENDING_CLIENT_CLOSED;
}

static void on_end(void *owner, enum stream_end end, int error)
{
    struct session *s = owner;
    (void)error;

    s->eof = true;
    if (s->state == SESSION_LINGERING) {
        if (end == STREAM_ERROR || !stream_queued(s->stream))
            session_gone(s);
    } else if (end == STREAM_ERROR) {
        session_abort(s, s->close_seen ? ENDING_CLIENT_CLOSED
                                       : ENDING_SOCKET_FAILED);
    } else if (s->state != SESSION_FLUSHING) {
        session_abort(s, end_of_stream(s));
    }
}

const struct stream_events session_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_written = session_on_written,
};

void session_wake(struct session *s)
{
    if (s->tunnel) {
        tunnel_wake(s);
        return;
    }
    if (s->keeping)
        kept_send(s);
    if (!s->stream || !session_is_open(s))
        return;
    if (is_due(s) && may_forward(s))
        forward_pending(s);
    if (s->stream->paused && may_read(s)) {
        if (s->link)
            logs_tell(s->link, session_client(s), LEVEL_DEBUG,
                      "client is read again");
        stream_resume(s->stream);
    }
}

void session_discard(struct session *s)
{
    s->discarding = s->in_started = !s->in_last;
    if (s->in_last)
        s->in_opcode = 0;
    s->in_last = false;
    session_drop_pending(s);
}

void session_keep_rest(struct session *s)
{
    if (!s->in_last)
        return;
    struct buf *b = session_pending(s);
    send_piece(s, b->p, b->n, false);
    session_drop_pending(s);
    s->in_last = false;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "base/clock.h"
#include "session_line.h"
#include "ws/close.h"

enum {
    COPY_MAX = 1024, /* payload bytes that leave in one piece with a header */
};

/* ---- frames to the client ---- */

/* Say when output begins to wait, and count it. */
static void put(struct session *s, const void *p, size_t n)
{
    if (!stream_queued(s->stream))
        s->written_ms = (uint32_t)clock_now_ms();
    s->put += n;
    if (!session_line_put(s, p, n))
        stream_put(s->stream, p, n);
}

static void put_frame(struct session *s, const struct ws_header *h,
                      const void *p)
{
    uint8_t frame[WS_HEADER_MAX + COPY_MAX + WS_TAIL_MAX];
    size_t n = session_framing(s)->head(frame, h);

    if (h->length > COPY_MAX) {
        put(s, frame, n);
        put(s, p, (size_t)h->length);
        n = 0;
    } else if (h->length) {
        memcpy(frame + n, p, (size_t)h->length);
        n += (size_t)h->length;
    }
    if (session_framing(s)->tail)
        n += session_framing(s)->tail(frame + n, h);
    if (n)
        put(s, frame, n);
}

void session_send_control(struct session *s, unsigned opcode, const void *p,
                          size_t n)
{
    struct ws_header h = {
        .opcode = (enum ws_opcode)opcode, .fin = true, .length = n};
    if (session_framing(s)->pings)
        put_frame(s, &h, p);
}

/* Without frames nothing but the end of the connection can stand inside a
 * message: FF 00 would be its end, and the beginning of another. */
static bool is_unclosable(const struct session *s)
{
    bool inside = s->out_open || (s->line && s->line->inside);
    return inside && session_framing(s)->alphabet == WS_ALPHABET_HIXIE;
}

void session_send_close(struct session *s, unsigned code, struct str reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    struct ws_header h = {.opcode = WS_CLOSE, .fin = true};

    if (s->tunnel)
        return; /* it is no WebSocket that we know of */
    if (session_framing(s)->codes)
        h.length = ws_close_payload(payload, code, reason);
    session_line_end(s);
    if (!is_unclosable(s))
        put_frame(s, &h, payload);
    s->close_sent = true;
    s->close_waits = false;
    session_drop_waiting(s);
}

/* ---- messages of the backend ---- */

static bool has_credit(const struct session *s)
{
    return s->outstanding_out < s->window_out &&
           s->link->outstanding_out < s->link->window_out;
}

static int check_data(struct session *s, const struct sluice_frame *f)
{
    bool starts = f->header.type != SLUICE_CONT;

    if (!s->stream || !s->accepted || starts == (s->out_opcode != 0) ||
        s->out_raw)
        return -SLUICE_ERROR_BAD_STATE;
    if (!has_credit(s))
        return -SLUICE_ERROR_FLOW_CONTROL;
    if (starts)
        s->out_text = (struct utf8){0};
    bool is_text = f->header.type == SLUICE_TEXT || s->out_opcode == WS_TEXT;
    if (!is_text)
        return 0;
    bool more = f->header.flags & SLUICE_FLAG_MORE;
    if (!utf8_next(&s->out_text, f->payload.p, f->payload.n) ||
        (!more && !utf8_is_complete(&s->out_text)))
        return -SLUICE_ERROR_BAD_UTF8;
    return 0;
}

/* Remember where this message ends in the output, so that its number can be
 * told when that much has left.  One mark is enough: what is behind it is
 * marked when it has been reached, or told when everything has left. */
static void message_ended(struct session *s)
{
    s->seq_out++;
    if (!s->has_mark) {
        s->has_mark = true;
        s->mark_at = (uint32_t)s->put;
        s->mark_seq = s->seq_out;
    }
}

/* The client's version has no binary messages: the backend is told once a
 * message, and what it spent comes back. */
static void skip_binary(struct session *s, const struct sluice_frame *f)
{
    if (f->header.type == SLUICE_BINARY)
        link_send_error(s->link, s->cid, SLUICE_ERROR_UNSUPPORTED,
                        f->header.type, SLUICE_SEVERITY_INFO,
                        WS_CLOSE_UNSUPPORTED,
                        "the client's version has no binary messages");
    s->flushed_out += (uint32_t)f->payload.n;
}

static void tell_flushed(struct session *s, size_t queued);

/* Is this message, or the one that this goes on, to be compressed? */
static bool is_deflated(const struct session *s, const struct sluice_frame *f)
{
    if (!s->deflate)
        return false;
    if (f->header.type == SLUICE_CONT)
        return s->deflate->deflating;
    /* A reload may have turned it off. */
    return s->conf->deflate.on && !(f->header.flags & SLUICE_FLAG_NOCOMPRESS) &&
           (f->header.flags & SLUICE_FLAG_MORE ||
            f->payload.n >= s->conf->deflate.min);
}

static void put_data(struct session *s, const struct sluice_frame *f,
                     enum ws_opcode opcode)
{
    bool more = f->header.flags & SLUICE_FLAG_MORE;
    bool starts = f->header.type != SLUICE_CONT;
    struct str data = sluice_payload(f);
    struct ws_header h = {
        .opcode = starts ? opcode : WS_CONT,
        .fin = !more,
    };

    if (is_deflated(s, f) &&
        deflate_out(s->deflate, &s->conf->deflate, data, starts, !more, &data))
        h.rsv = starts ? WS_RSV1 : 0;
    else
        data = sluice_payload(f);
    h.length = data.n;
    put_frame(s, &h, data.p);
}

/* Its turn: it goes to the client. */
static void own_data(struct session *s, const struct sluice_frame *f, bool skip)
{
    bool more = f->header.flags & SLUICE_FLAG_MORE;

    if (!skip)
        put_data(s, f, f->header.type == SLUICE_TEXT ? WS_TEXT : WS_BINARY);
    s->out_open = more;
    if (!more)
        message_ended(s);
}

int session_take_data(struct session *s, const struct sluice_frame *f)
{
    bool more = f->header.flags & SLUICE_FLAG_MORE;
    bool starts = f->header.type != SLUICE_CONT;
    enum ws_opcode opcode = f->header.type == SLUICE_TEXT ? WS_TEXT : WS_BINARY;
    bool skip;

    if (s->close_sent || s->close_waits)
        return 0; /* it races with a close frame, of either side */
    int rc = check_data(s, f);
    if (rc < 0)
        return rc;
    skip = !session_framing(s)->binary &&
           (starts ? opcode : (enum ws_opcode)s->out_opcode) == WS_BINARY;
    if (skip)
        skip_binary(s, f);
    link_client_spend(session_client(s), f->payload.n);
    s->link->counters.messages_out += !more;
    s->active_ms = (uint32_t)clock_now_ms();
    if (f->header.flags & SLUICE_FLAG_NOTIFY)
        s->notify = true;
    if (starts && more)
        s->out_opcode = opcode & 0xf;
    if (!more)
        s->out_opcode = 0;
    if (!session_wait_own(s, f, !more, skip)) {
        own_data(s, f, skip);
        if (!more)
            session_share_waiting(s);
    }
    if (skip)
        tell_flushed(s, session_queued(s));
    return 0;
}

/* ---- frames that the backend makes itself ---- */

/* What is reserved may have a meaning that both ends know; but a message stays
 * one, a control frame is short, and where permessage-deflate was agreed on
 * RSV1 is its own: on the first frame of a message. */
static int check_raw_head(const struct session *s, const struct ws_header *h)
{
    bool control = ws_is_control(h->opcode);

    if (s->deflate && h->rsv & WS_RSV1 && (control || h->opcode == WS_CONT))
        return -SLUICE_ERROR_WS_PROTOCOL;
    if (control && (!h->fin || h->length > WS_CONTROL_MAX))
        return -SLUICE_ERROR_WS_PROTOCOL;
    bool fits = h->opcode == WS_CONT ? s->out_raw : !s->out_opcode;
    return control || fits ? 0 : -SLUICE_ERROR_BAD_STATE;
}

/* Text is checked, unless a bit says that it is something else. */
static int check_raw_text(struct session *s, const struct ws_header *h,
                          struct str data)
{
    if (h->opcode != WS_CONT) {
        s->out_text = (struct utf8){0};
        s->out_packed = h->rsv != 0;
    }
    bool text = h->opcode == WS_TEXT ||
                (h->opcode == WS_CONT && s->out_opcode == WS_TEXT);
    if (!text || s->out_packed)
        return 0;
    if (!utf8_next(&s->out_text, (const uint8_t *)data.p, data.n) ||
        (h->fin && !utf8_is_complete(&s->out_text)))
        return -SLUICE_ERROR_BAD_UTF8;
    return 0;
}

/* A Close ends the session however it was written. */
static int take_raw_close(struct session *s, const struct sluice_frame *raw)
{
    struct sluice_frame f = {
        .header = {.type = SLUICE_CLOSE, .cid = s->cid},
    };
    uint8_t *p = raw->payload.p;
    size_t n = raw->payload.n;

    if (n == 1)
        return -SLUICE_ERROR_WS_PROTOCOL;
    if (n) {
        f.header.aux = (uint16_t)(p[0] << 8 | p[1]);
        f.header.length = (uint32_t)n - 2;
        f.payload = (struct span){p + 2, n - 2};
        if (!f.header.aux)
            return -SLUICE_ERROR_WS_PROTOCOL;
    }
    return session_take_close(s, &f);
}

static void spend_raw(struct session *s, const struct sluice_raw *w)
{
    link_client_spend(session_client(s), w->data.n);
    s->active_ms = (uint32_t)clock_now_ms();
}

/* The client's version has neither opcodes nor bits. */
static void skip_raw(struct session *s, const struct sluice_raw *w)
{
    link_send_error(s->link, s->cid, SLUICE_ERROR_UNSUPPORTED, SLUICE_RAW,
                    SLUICE_SEVERITY_INFO, WS_CLOSE_UNSUPPORTED,
                    "the client's version has no such frames");
    spend_raw(s, w);
    s->flushed_out += (uint32_t)w->data.n;
    tell_flushed(s, session_queued(s));
}

static struct ws_header raw_header(const struct sluice_raw *w)
{
    return (struct ws_header){
        .opcode = (enum ws_opcode)(w->head & 0x0f),
        .fin = w->head & 0x80,
        .rsv = w->head >> 4 & 7,
        .length = w->data.n,
    };
}

/* Its turn. */
static void own_raw(struct session *s, const struct ws_header *h,
                    const struct sluice_raw *w)
{
    put_frame(s, h, w->data.p);
    if (s->deflate && h->rsv & WS_RSV1)
        s->deflate->stale = true; /* the client's window moves on */
    s->out_open = !h->fin;
    if (h->fin)
        message_ended(s);
}

static void take_raw(struct session *s, const struct ws_header *h,
                     const struct sluice_raw *w, const struct sluice_frame *f)
{
    spend_raw(s, w);
    if (ws_is_control(h->opcode)) {
        put_frame(s, h, w->data.p);
        return;
    }
    s->link->counters.messages_out += h->fin;
    if (h->opcode != WS_CONT)
        s->out_opcode = h->opcode & 0xf;
    s->out_raw = !h->fin;
    if (h->fin)
        s->out_opcode = 0;
    if (session_wait_own(s, f, h->fin, false))
        return;
    own_raw(s, h, w);
    if (h->fin)
        session_share_waiting(s);
}

int session_take_raw(struct session *s, const struct sluice_frame *f)
{
    struct sluice_raw w;

    int rc = sluice_raw_get(&w, f);
    if (rc < 0)
        return rc;
    struct ws_header h = raw_header(&w);
    /* A reload may have withdrawn it from a link that has the feature. */
    if (!s->pool->conf->set.allow_raw)
        return -SLUICE_ERROR_UNSUPPORTED;
    if (!s->stream || !s->accepted)
        return -SLUICE_ERROR_BAD_STATE;
    if (s->close_sent || s->close_waits)
        return 0;
    if (!has_credit(s))
        return -SLUICE_ERROR_FLOW_CONTROL;
    if (session_framing(s)->alphabet == WS_ALPHABET_HIXIE) {
        skip_raw(s, &w);
        return 0;
    }
    rc = check_raw_head(s, &h);
    if (rc == 0 && h.opcode == WS_CLOSE)
        return take_raw_close(s, f);
    if (rc == 0 && !ws_is_control(h.opcode))
        rc = check_raw_text(s, &h, w.data);
    if (rc == 0)
        take_raw(s, &h, &w, f);
    return rc;
}

void session_put_own(struct session *s, const struct sluice_frame *f, bool skip)
{
    struct sluice_close c;
    struct sluice_raw w;

    if (f->header.type == SLUICE_CLOSE && sluice_close_get(&c, f) == 0) {
        session_send_close(s, c.code ? c.code : WS_CLOSE_NONE, c.reason);
    } else if (f->header.type == SLUICE_RAW && sluice_raw_get(&w, f) == 0) {
        struct ws_header h = raw_header(&w);
        own_raw(s, &h, &w);
    } else {
        own_data(s, f, skip);
    }
}

/* ---- control frames ---- */

int session_take_control(struct session *s, const struct sluice_frame *f)
{
    struct sluice_ping p;

    int rc = sluice_ping_get(&p, f);
    if (rc < 0)
        return rc;
    if (!s->stream || !s->accepted)
        return -SLUICE_ERROR_BAD_STATE;
    if (s->close_sent)
        return 0;
    /* Control data spends no credit: what is left out when a client does not
     * read is a ping that could not be answered, or a late pong. */
    if (stream_queued(s->stream) >
        session_send_buffer(s) + s->window_out + SESSION_PONG_QUEUE)
        return 0;
    s->active_ms = (uint32_t)clock_now_ms();
    session_send_control(s, p.type == SLUICE_PING ? WS_PING : WS_PONG, p.data.p,
                         p.data.n);
    return 0;
}

/* No answer will come to a Close that cannot be written. */
static void close_unasked(struct session *s)
{
    s->close_seen = true;
    s->close_code = WS_CLOSE_NONE;
    session_set_state(s, SESSION_FLUSHING);
    if (!stream_queued(s->stream))
        session_on_written(s, 0);
}

int session_take_close(struct session *s, const struct sluice_frame *f)
{
    struct sluice_close c;

    int rc = sluice_close_get(&c, f);
    if (rc < 0)
        return rc;
    if (!s->stream || !s->accepted)
        return -SLUICE_ERROR_BAD_STATE;
    if (s->close_sent || s->close_waits)
        return 0;
    s->by_backend = true;
    timer_set(bridge.loop, &s->timer, session_close_timeout(s));
    /* Messages that wait are before it; no others are. */
    if (session_waiting_own(s) && session_wait_own(s, f, true, false)) {
        if (session_is_over(s))
            return 0;
        s->close_waits = true;
        session_drop_groups(s);
        session_set_state(s, SESSION_CLOSING);
        return 0;
    }
    bool silently = is_unclosable(s) || !session_framing(s)->closes;
    session_send_close(s, c.code ? c.code : WS_CLOSE_NONE, c.reason);
    if (silently) {
        close_unasked(s);
        return 0;
    }
    session_set_state(s, SESSION_CLOSING);
    /* A client that is held could not answer. */
    s->held = false;
    session_wake(s);
    return 0;
}

void session_close_now(struct session *s)
{
    uint8_t reason[SLUICE_REASON_MAX];
    struct sluice_frame f;

    s->close_waits = false;
    if (session_take_waiting_close(s, &f, reason))
        session_put_own(s, &f, false);
    session_set_state(s, SESSION_CLOSING);
    timer_set(bridge.loop, &s->timer, session_close_timeout(s));
}

/* ---- what has left ---- */

/* Payload that is surely in the kernel: at most what is queued of all bytes
 * can be payload that is not. */
static bool count_flushed(struct session *s, size_t queued)
{
    uint32_t waiting = s->outstanding_out - s->flushed_out;
    uint32_t before = s->seq_flushed;

    if (waiting > queued)
        s->flushed_out += waiting - (uint32_t)queued;
    if (queued == 0) {
        s->seq_flushed = s->seq_out;
        s->has_mark = false;
    } else if (s->has_mark && s->put >= queued &&
               (int32_t)((uint32_t)(s->put - queued) - s->mark_at) >= 0) {
        s->seq_flushed = s->mark_seq;
        s->has_mark = s->seq_out != s->mark_seq;
        s->mark_at = (uint32_t)s->put;
        s->mark_seq = s->seq_out;
    }
    return s->seq_flushed != before;
}

static void tell_flushed(struct session *s, size_t queued)
{
    bool news = count_flushed(s, queued) && s->notify;
    if (queued == 0)
        s->notify = false;
    if (s->link && (s->flushed_out || news))
        link_owe(session_client(s),
                 news || s->flushed_out >= s->window_out / 2);
}

void session_on_written(void *owner, size_t queued)
{
    struct session *s = owner;

    s->written_ms = (uint32_t)clock_now_ms();
    queued = session_line_go_on(s);
    tell_flushed(s, queued);
    if (queued)
        return;
    if (s->state == SESSION_FLUSHING)
        session_finish(s, s->by_backend ? ENDING_BACKEND_CLOSED
                                        : ENDING_CLIENT_CLOSED);
    else if (s->state == SESSION_LINGERING && s->eof)
        session_gone(s);
}

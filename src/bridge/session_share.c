/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"
#include "logs.h"
#include "session_line.h"

void session_put_shared(struct session *s, struct shared *m, bool may_drop)
{
    if (m->deflated)
        s->deflate->stale = true; /* the client's window moves on */
    if (!stream_queued(s->stream))
        s->written_ms = (uint32_t)clock_now_ms();
    s->put += m->n;
    line_give(s, m, may_drop);
}

static size_t lag_of(const struct session *s)
{
    return stream_queued(s->stream) +
           (s->line ? s->line->bytes + s->line->waiting_bytes : 0);
}

/* Is there room for n more bytes, or can there be? */
static bool make_room(struct session *s, size_t n)
{
    size_t max = (size_t)session_send_buffer(s), lag = lag_of(s);

    if (!lag || lag + n <= max)
        return true;
    /* What came in this turn was not offered to the client yet. */
    stream_flush(s->stream);
    session_line_go_on(s);
    lag = lag_of(s);
    if (!lag || lag + n <= max)
        return true;
    if (s->conf->overflow != OVERFLOW_DROP_OLD)
        return false;
    if (line_has(s))
        line_drop_oldest(s->line, lag + n - max);
    lag = lag_of(s);
    if (s->line && lag + n > max) {
        size_t much = lag + n - max, waits = s->line->waiting_bytes;
        wait_drop_oldest(s, waits > much ? waits - much : 0);
    }
    return lag_of(s) + n <= max;
}

bool session_takes(const struct session *s, unsigned opcode)
{
    return s->state == SESSION_CONNECTED && !s->close_waits && !s->tunnel &&
           (opcode != WS_BINARY || session_framing(s)->binary);
}

enum share_result session_share(struct session *s, struct sharing *message)
{
    if (!session_takes(s, message->opcode))
        return SHARE_SKIPPED;
    struct shared *m = sharing_encode(message, s);
    if (!make_room(s, m->n)) {
        if (s->conf->overflow == OVERFLOW_CLOSE)
            session_fail(s, ENDING_SLOW_CLIENT);
        else if (s->link)
            logs_tell(s->link, session_client(s), LEVEL_WARN,
                      "client lags behind, a message of a group is dropped");
        return SHARE_DROPPED;
    }
    s->active_ms = (uint32_t)clock_now_ms();
    s->shared_out++;
    /* A message cannot stand inside another one (RFC 6455 section 5.4). */
    if (wait_is_due(s))
        wait_message(s, m);
    else
        session_put_shared(s, m, true);
    return SHARE_QUEUED;
}

/* ---- streams ---- */

void session_seat(struct session *s, struct seat *seat)
{
    struct line *l = line_of(s);

    seat->session = s;
    seat->next = l->seats;
    l->seats = seat;
}

void session_unseat(struct session *s, struct seat *seat)
{
    struct seat **place = &s->line->seats;

    while (*place != seat)
        place = &(*place)->next;
    *place = seat->next;
    line_drop_empty(s);
}

bool session_is_inside(const struct session *s, uint64_t serial)
{
    return s->line && s->line->inside == serial;
}

static bool has_seat(const struct session *s, uint64_t serial)
{
    const struct seat *seat = s->line ? s->line->seats : NULL;

    while (seat && seat_serial(seat) != serial)
        seat = seat->next;
    return seat != NULL;
}

/* There is no room.  What has begun can only be ended with the session. */
static void overflow(struct session *s, uint64_t serial)
{
    if (session_is_inside(s, serial) || s->conf->overflow == OVERFLOW_CLOSE)
        session_fail(s, ENDING_SLOW_CLIENT);
    else
        session_give_up_stream(s, serial);
}

void session_give_up_stream(struct session *s, uint64_t serial)
{
    for (struct seat *seat = s->line ? s->line->seats : NULL; seat;
         seat = seat->next) {
        if (seat_serial(seat) != serial)
            continue;
        seat_leave(seat);
        break;
    }
    wait_drop_stream(s, serial);
}

bool session_share_piece(struct session *s, uint64_t serial, struct shared *m,
                         bool last)
{
    bool inside = session_is_inside(s, serial);

    if (s->state != SESSION_CONNECTED && !(inside && s->close_waits)) {
        session_give_up_stream(s, serial);
        return false;
    }
    /* The end of what has begun is always taken. */
    if (!(inside && last) && !make_room(s, m->n)) {
        overflow(s, serial);
        return false;
    }
    if (!has_seat(s, serial))
        return false; /* it was the oldest */
    s->active_ms = (uint32_t)clock_now_ms();
    s->shared_out += last;
    if (inside || !wait_is_due(s))
        wait_give_piece(s, m, serial, last);
    else
        wait_piece(s, m, serial, last);
    return true;
}

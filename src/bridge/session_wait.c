/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "session_line.h"

bool wait_is_due(const struct session *s)
{
    return s->out_open || (s->line && (s->line->inside || s->line->waiting));
}

/* ---- to the end of the queue ---- */

static void add(struct session *s, struct waiter *w)
{
    struct line *l = line_of(s);

    if (l->waiting_last)
        l->waiting_last->next = w;
    else
        l->waiting = w;
    l->waiting_last = w;
    l->waiting_bytes += w->n;
    if (w->kind == WAITS_OWN) {
        l->own_bytes += w->n;
        l->own_messages += w->last && w->header.type != SLUICE_CLOSE;
    }
}

static void add_shared(struct session *s, struct shared *m, uint64_t serial,
                       bool last)
{
    struct waiter *w = xcalloc(1, sizeof *w);

    w->kind = serial ? WAITS_PIECE : WAITS_MESSAGE;
    w->message = m;
    m->references++;
    w->serial = serial;
    w->last = last;
    w->n = sizeof *w + m->n;
    add(s, w);
}

void wait_message(struct session *s, struct shared *m)
{
    add_shared(s, m, 0, true);
}

void wait_piece(struct session *s, struct shared *m, uint64_t serial, bool last)
{
    add_shared(s, m, serial, last);
}

bool session_wait_own(struct session *s, const struct sluice_frame *f,
                      bool last, bool skip)
{
    if (!s->line || !s->line->inside)
        return false;
    size_t n = skip ? 0 : f->payload.n;
    struct waiter *w = xcalloc(1, sizeof *w + n);
    w->kind = WAITS_OWN;
    w->last = last;
    w->skip = skip;
    w->header = f->header;
    w->header.length = (uint32_t)n;
    w->n = sizeof *w + n;
    if (n)
        memcpy(w->payload, f->payload.p, n);
    add(s, w);
    /* Credit bounds their bytes, but not the number of empty ones. */
    const struct pool_settings *set = &s->pool->conf->set;
    if (s->line->own_bytes >
        session_send_buffer(s) + s->window_out + set->max_frame)
        session_fail(s, ENDING_SLOW_CLIENT);
    return true;
}

uint32_t session_waiting_own(const struct session *s)
{
    return s->line ? s->line->own_messages : 0;
}

/* ---- out of it ---- */

/* The one at *place, whose predecessor is before; the caller owns it. */
static struct waiter *take(struct line *l, struct waiter **place,
                           struct waiter *before)
{
    struct waiter *w = *place;

    *place = w->next;
    if (l->waiting_last == w)
        l->waiting_last = before;
    l->waiting_bytes -= w->n;
    if (w->kind == WAITS_OWN) {
        l->own_bytes -= w->n;
        l->own_messages -= w->last && w->header.type != SLUICE_CLOSE;
    }
    return w;
}

static void destroy(struct waiter *w)
{
    if (w->message)
        shared_unref(w->message);
    free(w);
}

/* ---- it is their turn ---- */

static bool may_go(const struct session *s, const struct waiter *w)
{
    if (s->line->inside)
        return w->kind == WAITS_PIECE && w->serial == s->line->inside;
    return !s->out_open || w->kind == WAITS_OWN;
}

static void send_own(struct session *s, struct waiter *w)
{
    struct sluice_frame f = {
        .header = w->header,
        .payload = {w->payload, w->header.length},
    };
    session_put_own(s, &f, w->skip);
}

static void set_out(struct session *s, struct waiter *w)
{
    switch (w->kind) {
    case WAITS_MESSAGE:
        session_put_shared(s, w->message, true);
        break;
    case WAITS_PIECE:
        session_put_shared(s, w->message, false);
        line_of(s)->inside = w->last ? 0 : w->serial;
        break;
    case WAITS_OWN:
        send_own(s, w);
        break;
    }
}

/* Those of the message that is under way, wherever they stand, and then again
 * from the first. */
void session_share_waiting(struct session *s)
{
    bool again = true;

    while (again && s->line && s->line->waiting) {
        struct waiter *before = NULL, **place = &s->line->waiting;
        again = false;
        while (*place) {
            if (!may_go(s, *place)) {
                before = *place;
                place = &before->next;
                continue;
            }
            struct waiter *w = take(s->line, place, before);
            bool was_last = w->last;
            set_out(s, w);
            destroy(w);
            if (s->close_sent)
                return; /* it was the close frame: nothing waits any more */
            again = true;
            if (!s->line || (was_last && before))
                break; /* those in front of it come first now */
        }
    }
    line_drop_empty(s);
}

void wait_give_piece(struct session *s, struct shared *m, uint64_t serial,
                     bool last)
{
    session_put_shared(s, m, false);
    line_of(s)->inside = last ? 0 : serial;
    if (last)
        session_share_waiting(s);
}

/* ---- they are dropped ---- */

typedef bool waiter_test(const struct waiter *w, uint64_t serial);

static bool is_piece_of(const struct waiter *w, uint64_t serial)
{
    return w->kind == WAITS_PIECE && w->serial == serial;
}

static bool is_of_groups(const struct waiter *w, uint64_t serial)
{
    (void)serial;
    return w->kind != WAITS_OWN;
}

static void drop_all(struct session *s, waiter_test *test, uint64_t serial)
{
    struct waiter *before = NULL, **place;

    if (!s->line)
        return;
    for (place = &s->line->waiting; *place;) {
        if (test(*place, serial)) {
            destroy(take(s->line, place, before));
            continue;
        }
        before = *place;
        place = &before->next;
    }
    line_drop_empty(s);
}

void wait_drop_stream(struct session *s, uint64_t serial)
{
    drop_all(s, is_piece_of, serial);
}

static struct seat *seat_of(struct session *s, uint64_t serial)
{
    struct seat *seat = s->line ? s->line->seats : NULL;

    while (seat && seat_serial(seat) != serial)
        seat = seat->next;
    return seat;
}

/* A stream whose message has not begun here goes as a whole. */
static void drop_whole_stream(struct session *s, uint64_t serial)
{
    struct seat *seat = seat_of(s, serial);

    if (seat)
        seat_leave(seat);
    wait_drop_stream(s, serial);
}

void wait_drop_oldest(struct session *s, size_t until)
{
    struct waiter *before = NULL;
    struct waiter **place = s->line ? &s->line->waiting : NULL;

    while (place && *place && s->line->waiting_bytes > until) {
        struct waiter *w = *place;
        if (w->kind == WAITS_OWN) {
            before = w;
            place = &w->next;
        } else if (w->kind == WAITS_MESSAGE) {
            destroy(take(s->line, place, before));
        } else {
            /* Nothing before it is of this stream. */
            drop_whole_stream(s, w->serial);
            if (!s->line)
                return;
        }
    }
    line_drop_empty(s);
}

void session_drop_unfinished(struct session *s)
{
    struct waiter *before = NULL, *keep = NULL, **place;

    if (!s->line)
        return;
    for (struct waiter *w = s->line->waiting; w; w = w->next)
        if (w->kind == WAITS_OWN && w->last)
            keep = w;
    bool behind = !keep;
    for (place = &s->line->waiting; *place;) {
        struct waiter *w = *place;
        if (behind && w->kind == WAITS_OWN) {
            destroy(take(s->line, place, before));
            continue;
        }
        behind |= w == keep;
        before = w;
        place = &w->next;
    }
    line_drop_empty(s);
}

bool session_take_waiting_close(struct session *s, struct sluice_frame *f,
                                uint8_t reason[SLUICE_REASON_MAX])
{
    struct waiter *before = NULL, **place;

    if (!s->line)
        return false;
    for (place = &s->line->waiting; *place; place = &before->next) {
        if ((*place)->header.type != SLUICE_CLOSE) {
            before = *place;
            continue;
        }
        struct waiter *w = take(s->line, place, before);
        memcpy(reason, w->payload, w->header.length);
        *f = (struct sluice_frame){w->header, {reason, w->header.length}};
        destroy(w);
        line_drop_empty(s);
        return true;
    }
    return false;
}

static void leave_streams(struct session *s)
{
    while (s->line && s->line->seats)
        seat_leave(s->line->seats);
}

void session_drop_groups(struct session *s)
{
    if (!s->line)
        return;
    for (struct seat *seat = s->line->seats, *next; seat; seat = next) {
        next = seat->next;
        if (s->line->inside != seat_serial(seat))
            seat_leave(seat);
    }
    drop_all(s, is_of_groups, 0);
}

void session_drop_waiting(struct session *s)
{
    if (!s->line)
        return;
    s->lost_out += s->line->own_messages;
    while (s->line->waiting)
        destroy(take(s->line, &s->line->waiting, NULL));
    s->line->inside = 0;
    leave_streams(s);
    line_drop_empty(s);
}

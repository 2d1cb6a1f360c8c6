/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "bridge/session.h"

enum {
    COPY_MAX = 512,       /* a shared message below this is copied: a block of a
                             queue costs less than a reference */
    LINE_ROOM = 64 << 10, /* bytes queued in a stream that has a line */
};

/* ---- to the stream ---- */

static void unref_done(const void *p, size_t n, void *arg)
{
    (void)p;
    (void)n;
    shared_unref(arg);
}

static void give(struct session *s, struct shared *m)
{
    if (m->n <= COPY_MAX) {
        stream_put(s->stream, m->bytes, m->n);
        return;
    }
    m->references++;
    stream_put_ref(s->stream, m->bytes, m->n, unref_done, m);
}

/* ---- the line ---- */

/* A message of a group, or bytes of the session's own between two of them. */
struct place {
    struct place *next;
    struct shared *message; /* NULL: it was dropped */
    size_t n;               /* of it, also then: numbers count on */
    bool own;               /* not to be dropped */
};

struct line {
    struct place *first, *last;
    size_t bytes;   /* that are here */
    size_t dropped; /* and of those that were */
    /* Behind them: for the end of a fragmented message. */
    struct place *waiting, *waiting_last;
    size_t waiting_bytes;
};

static bool has_line(const struct session *s)
{
    return s->line && s->line->first;
}

static struct line *line_of(struct session *s)
{
    if (!s->line)
        s->line = xcalloc(1, sizeof *s->line);
    return s->line;
}

/* An idle session has none. */
static void drop_empty(struct session *s)
{
    if (s->line->first || s->line->waiting)
        return;
    free(s->line);
    s->line = NULL;
}

/* Takes the reference. */
static void add(struct place **first, struct place **last, struct shared *m,
                bool own)
{
    struct place *p = xmalloc(sizeof *p);

    *p = (struct place){.message = m, .n = m->n, .own = own};
    if (*last)
        (*last)->next = p;
    else
        *first = p;
    *last = p;
}

static size_t line_room(const struct session *s)
{
    uint64_t part = s->conf->send_buffer / 4;
    return part < LINE_ROOM ? (size_t)part : LINE_ROOM;
}

/* What was dropped counts until its place is reached: as not yet written. */
size_t session_queued(const struct session *s)
{
    return stream_queued(s->stream) +
           (s->line ? s->line->bytes + s->line->dropped : 0);
}

static void line_add(struct session *s, struct shared *m, bool own)
{
    struct line *l = line_of(s);

    add(&l->first, &l->last, m, own);
    l->bytes += m->n;
}

bool session_line_put(struct session *s, const void *p, size_t n)
{
    if (!has_line(s))
        return false;
    struct shared *m = xmalloc(sizeof *m + n);
    *m = (struct shared){.references = 1, .n = n};
    memcpy(m->bytes, p, n);
    line_add(s, m, true);
    return true;
}

static void line_pop(struct session *s)
{
    struct line *l = s->line;
    struct place *p = l->first;

    l->first = p->next;
    if (!l->first)
        l->last = NULL;
    if (p->message) {
        l->bytes -= p->n;
        shared_unref(p->message);
    } else {
        l->dropped -= p->n;
    }
    free(p);
    drop_empty(s);
}

size_t session_line_go_on(struct session *s)
{
    while (has_line(s) && stream_queued(s->stream) < line_room(s)) {
        if (s->line->first->message)
            give(s, s->line->first->message);
        line_pop(s);
    }
    return session_queued(s);
}

/* The place of a dropped message stays, joined with those beside it, so that
 * there are not more of them than of the session's own. */
static void drop_place(struct line *l, struct place *p)
{
    struct place *next = p->next;

    l->bytes -= p->n;
    l->dropped += p->n;
    shared_unref(p->message);
    p->message = NULL;
    if (!next || next->message)
        return;
    p->n += next->n;
    p->next = next->next;
    if (l->last == next)
        l->last = p;
    free(next);
}

static void drop_oldest(struct line *l, size_t n)
{
    struct place *before = NULL;
    size_t until = l->bytes > n ? l->bytes - n : 0;

    for (struct place *p = l->first; p && l->bytes > until; p = p->next) {
        bool mine = p->message && !p->own;
        if (mine)
            drop_place(l, p);
        if (mine && before && !before->message) {
            before->n += p->n;
            before->next = p->next;
            if (l->last == p)
                l->last = before;
            free(p);
            p = before;
        }
        before = p;
    }
}

void session_line_end(struct session *s)
{
    if (has_line(s))
        drop_oldest(s->line, s->line->bytes);
    while (has_line(s)) {
        if (s->line->first->message)
            give(s, s->line->first->message);
        line_pop(s);
    }
}

/* ---- messages of groups ---- */

static void share_now(struct session *s, struct shared *m)
{
    bool lags = has_line(s) || stream_queued(s->stream) > line_room(s);

    if (m->deflated)
        s->deflate->stale = true; /* the client's window moves on */
    if (!stream_queued(s->stream))
        s->written_ms = (uint32_t)clock_now_ms();
    s->put += m->n;
    if (lags && s->conf->overflow == OVERFLOW_DROP_OLD) {
        m->references++;
        line_add(s, m, false);
    } else if (has_line(s)) {
        /* A reload has changed it: what waits goes first. */
        m->references++;
        line_add(s, m, true);
    } else {
        stream_no_hurry(s->stream);
        give(s, m);
    }
}

static void share_later(struct session *s, struct shared *m)
{
    struct line *l = line_of(s);

    m->references++;
    add(&l->waiting, &l->waiting_last, m, false);
    l->waiting_bytes += m->n;
}

/* Take the first of those that wait; the reference is the caller's. */
static struct shared *take_waiting(struct session *s)
{
    struct line *l = s->line;
    struct place *p = l->waiting;
    struct shared *m = p->message;

    l->waiting = p->next;
    if (!l->waiting)
        l->waiting_last = NULL;
    l->waiting_bytes -= p->n;
    free(p);
    drop_empty(s);
    return m;
}

static bool has_waiting(const struct session *s)
{
    return s->line && s->line->waiting;
}

void session_share_waiting(struct session *s)
{
    while (has_waiting(s)) {
        struct shared *m = take_waiting(s);
        share_now(s, m);
        shared_unref(m);
    }
}

void session_drop_waiting(struct session *s)
{
    while (has_waiting(s))
        shared_unref(take_waiting(s));
    while (has_line(s))
        line_pop(s);
}

static size_t lag_of(const struct session *s)
{
    return stream_queued(s->stream) +
           (s->line ? s->line->bytes + s->line->waiting_bytes : 0);
}

/* Is there room for n more bytes, or can there be? */
static bool make_room(struct session *s, size_t n)
{
    size_t max = (size_t)s->conf->send_buffer, lag = lag_of(s);

    if (!lag || lag + n <= max)
        return true;
    if (s->conf->overflow != OVERFLOW_DROP_OLD)
        return false;
    if (has_line(s))
        drop_oldest(s->line, lag + n - max);
    while (has_waiting(s) && lag_of(s) + n > max)
        shared_unref(take_waiting(s));
    return lag_of(s) + n <= max;
}

enum share_result session_share(struct session *s, struct sharing *message)
{
    if (s->state != SESSION_CONNECTED || s->tunnel ||
        (message->opcode == WS_BINARY && !s->framing->binary))
        return SHARE_SKIPPED;
    struct shared *m = sharing_encode(message, s);
    if (!make_room(s, m->n)) {
        if (s->conf->overflow == OVERFLOW_CLOSE)
            session_fail(s, ENDING_SLOW_CLIENT);
        return SHARE_DROPPED;
    }
    s->active_ms = (uint32_t)clock_now_ms();
    s->shared_out++;
    /* A message cannot stand inside another one (RFC 6455 section 5.4). */
    if (s->out_opcode)
        share_later(s, m);
    else
        share_now(s, m);
    return SHARE_QUEUED;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "session_line.h"

#include <stdlib.h>

#include "base/check.h"

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

struct line *line_of(struct session *s)
{
    if (!s->line)
        s->line = xcalloc(1, sizeof *s->line);
    return s->line;
}

void line_drop_empty(struct session *s)
{
    struct line *l = s->line;

    if (!l || l->first || l->waiting || l->seats || l->inside)
        return;
    free(l);
    s->line = NULL;
}

static size_t line_room(const struct session *s)
{
    uint64_t part = session_send_buffer(s) / 4;
    return part < LINE_ROOM ? (size_t)part : LINE_ROOM;
}

/* What was dropped counts until its place is reached: as not yet written. */
size_t session_queued(const struct session *s)
{
    const struct line *l = s->line;

    return stream_queued(s->stream) +
           (l ? l->bytes + l->dropped + l->own_bytes : 0);
}

/* Takes the reference. */
static void line_add(struct session *s, struct shared *m, bool own)
{
    struct line *l = line_of(s);
    struct place *p = xmalloc(sizeof *p);

    *p = (struct place){.message = m, .n = m->n, .own = own};
    if (l->last)
        l->last->next = p;
    else
        l->first = p;
    l->last = p;
    l->bytes += m->n;
}

bool session_line_put(struct session *s, const void *p, size_t n)
{
    if (!line_has(s))
        return false;
    struct shared *m = xmalloc(sizeof *m + n);
    *m = (struct shared){.references = 1, .n = n};
    memcpy(m->bytes, p, n);
    line_add(s, m, true);
    return true;
}

void line_give(struct session *s, struct shared *m, bool may_drop)
{
    bool lags = line_has(s) || stream_queued(s->stream) > line_room(s);

    if (lags && s->conf->overflow == OVERFLOW_DROP_OLD) {
        m->references++;
        line_add(s, m, !may_drop);
    } else if (line_has(s)) {
        /* A reload has changed it: what waits goes first. */
        m->references++;
        line_add(s, m, true);
    } else {
        stream_no_hurry(s->stream);
        give(s, m);
    }
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
    line_drop_empty(s);
}

size_t session_line_go_on(struct session *s)
{
    while (line_has(s) && stream_queued(s->stream) < line_room(s)) {
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

void line_drop_oldest(struct line *l, size_t n)
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
    if (line_has(s))
        line_drop_oldest(s->line, s->line->bytes);
    while (line_has(s)) {
        if (s->line->first->message)
            give(s, s->line->first->message);
        line_pop(s);
    }
}

void session_line_clear(struct session *s)
{
    while (line_has(s))
        line_pop(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/bstream.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/utf8.h"
#include "bridge/session.h"

enum {
    PACKERS_MAX = 8 /* of one stream; whom there is none for is sent plain */
};

/* What all pieces of a compressed message of the stream go through. */
struct packer {
    struct ws_deflater *deflater;
    uint8_t bits, level;
    bool begun; /* a tail is owed: see pack() */
};

struct bstream {
    struct list on_link; /* link.streams */
    struct link *link;
    uint64_t id;     /* the backend's */
    uint64_t serial; /* this worker's: there is no other of the kind */
    struct list seats;
    struct utf8 text; /* what has come so far */
    uint8_t opcode;
    bool nocompress, notify;
    struct sluice_delivered d;
    struct packer packers[PACKERS_MAX];
    int packers_n;
};

/* One frame of it, as it is encoded for those who came before. */
struct piece {
    struct bstream *stream;
    enum ws_opcode opcode; /* WS_CONT but for the first */
    bool end;
    struct str data;
    struct shared *plain[WS_ALPHABETS];
    struct shared *packed[PACKERS_MAX];
};

/* ---- seats ---- */

uint64_t seat_serial(const struct seat *seat)
{
    return seat->stream->serial;
}

void seat_leave(struct seat *seat)
{
    list_remove(&seat->in_stream);
    session_unseat(seat->session, seat);
    free(seat);
}

/* Who has agreed on it gets what comes compressed, if there is any. */
static int packer_for(struct bstream *b, const struct session *s)
{
    const struct deflate_conf *conf = &s->conf->deflate;

    if (!s->deflate || !conf->on || b->nocompress)
        return -1;
    uint8_t bits = s->deflate->agreed.server_bits;
    for (int i = 0; i < b->packers_n; i++)
        if (b->packers[i].bits == bits && b->packers[i].level == conf->level)
            return i;
    if (b->packers_n == PACKERS_MAX)
        return -1;
    b->packers[b->packers_n] = (struct packer){
        .deflater = deflate_take(bits, conf->level),
        .bits = bits,
        .level = conf->level,
    };
    return b->packers_n++;
}

static void sit_down(struct session *s, void *arg)
{
    struct bstream *b = arg;

    b->d.matched++;
    if (!session_takes(s, b->opcode)) {
        b->d.skipped++;
        return;
    }
    struct seat *seat = xcalloc(1, sizeof *seat);
    seat->stream = b;
    seat->packer = packer_for(b, s);
    list_push_back(&b->seats, &seat->in_stream);
    session_seat(s, seat);
}

/* ---- pieces ---- */

static struct shared *plain(struct piece *p, const struct session *s)
{
    struct shared **made = &p->plain[session_framing(s)->alphabet];
    struct ws_header h = {
        .opcode = p->opcode, .fin = p->end, .length = p->data.n};

    if (!*made)
        *made = shared_encode(session_framing(s), &h, p->data.p);
    return *made;
}

/*
 * Every piece can be read as it arrives.  The 00 00 ff ff behind a flush is
 * owed until the next piece: so the last frame of the message is an empty one,
 * and what the client puts behind the whole (RFC 7692 section 7.2.2) is what is
 * missing.
 */
static struct shared *pack(struct piece *p, int i, const struct session *s)
{
    static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
    struct packer *z = &p->stream->packers[i];

    if (p->packed[i])
        return p->packed[i];
    struct buf *out = deflate_room();
    if (z->begun)
        buf_put(out, tail, sizeof tail);
    ws_deflate(z->deflater, p->data.p, p->data.n, true, out);
    struct ws_header h = {
        .opcode = p->opcode,
        .rsv = z->begun ? 0 : WS_RSV1,
        .length = out->n,
    };
    z->begun = true;
    p->packed[i] = shared_encode(session_framing(s), &h, out->p);
    p->packed[i]->deflated = true;
    return p->packed[i];
}

static void piece_fini(struct piece *p)
{
    for (size_t i = 0; i < COUNT(p->plain); i++)
        if (p->plain[i])
            shared_unref(p->plain[i]);
    for (size_t i = 0; i < COUNT(p->packed); i++)
        if (p->packed[i])
            shared_unref(p->packed[i]);
}

static void share(struct bstream *b, enum ws_opcode opcode, struct str data,
                  bool end)
{
    struct piece p = {.stream = b, .opcode = opcode, .end = end, .data = data};

    LIST_EACH(item, after, &b->seats)
    {
        struct seat *seat = CONTAINER(item, struct seat, in_stream);
        struct session *s = seat->session;
        struct shared *m = !end && seat->packer >= 0 ? pack(&p, seat->packer, s)
                                                     : plain(&p, s);
        if (session_share_piece(s, b->serial, m, end) && end)
            b->d.queued++;
    }
    piece_fini(&p);
}

/* ---- life ---- */

static struct bstream *find(struct link *l, uint64_t id)
{
    LIST_EACH(item, after, &l->streams)
    {
        struct bstream *b = CONTAINER(item, struct bstream, on_link);
        if (b->id == id)
            return b;
    }
    return NULL;
}

static void destroy(struct bstream *b)
{
    while (!list_is_empty(&b->seats))
        seat_leave(CONTAINER(b->seats.next, struct seat, in_stream));
    for (int i = 0; i < b->packers_n; i++)
        deflate_give(b->packers[i].deflater, b->packers[i].bits);
    list_remove(&b->on_link);
    b->link->streams_n--;
    free(b);
}

/* There will be no more of it: who is inside can only be closed, and who has
 * not begun never hears of it. */
static void break_off(struct bstream *b, enum ending ending)
{
    while (!list_is_empty(&b->seats)) {
        struct seat *seat = CONTAINER(b->seats.next, struct seat, in_stream);
        struct session *s = seat->session;
        if (session_is_inside(s, b->serial))
            session_fail(s, ending);
        else
            session_give_up_stream(s, b->serial);
    }
    destroy(b);
}

void bstreams_lost(struct link *l)
{
    while (!list_is_empty(&l->streams))
        break_off(CONTAINER(l->streams.next, struct bstream, on_link),
                  ENDING_LOST_INSIDE);
}

/* ---- frames ---- */

static bool text_is_bad(struct bstream *b, struct str data, bool end)
{
    return b->opcode == WS_TEXT &&
           (!utf8_next(&b->text, (const uint8_t *)data.p, data.n) ||
            (end && !utf8_is_complete(&b->text)));
}

/* NULL: refused. */
static struct bstream *start(struct link *l, const struct sluice_frame *f,
                             const struct sluice_bstream *m)
{
    static uint64_t serial;

    if (find(l, m->stream)) {
        group_refuse(l, f, m->stream, SLUICE_ERROR_BAD_STATE,
                     "this stream has begun already");
        return NULL;
    }
    if (l->streams_n >= l->backend->pool->conf->set.streams_max) {
        group_refuse(l, f, m->stream, SLUICE_ERROR_LIMIT,
                     "there are streams_max streams already");
        return NULL;
    }
    struct bstream *b = xcalloc(1, sizeof *b);
    b->link = l;
    b->id = m->stream;
    b->serial = ++serial;
    b->opcode = m->first.opcode;
    /* An empty beginning cannot be compressed: what stands for nothing (RFC
     * 7692 section 7.2.3.6) could not go on. */
    b->nocompress = m->first.nocompress || !m->first.data.n;
    list_init(&b->seats);
    list_push_back(&l->streams, &b->on_link);
    l->streams_n++;
    return b;
}

/* What was asked for is answered, also for a stream that is not there. */
static void finish(struct link *l, struct bstream *b,
                   const struct sluice_bstream *m)
{
    struct sluice_delivered d = {.token = m->token};
    bool notify = m->notify;

    if (b) {
        d = b->d;
        d.dropped = d.matched - d.skipped - d.queued;
        notify = b->notify;
        destroy(b);
    }
    if (notify)
        group_deliver(l, &d);
}

int link_bstream(struct link *l, const struct sluice_frame *f)
{
    struct sluice_bstream m;

    int rc = sluice_bstream_get(&m, f);
    if (rc < 0)
        return rc;
    if (m.start && m.first.app_id > l->apps_n)
        return -SLUICE_ERROR_PROTOCOL;
    struct bstream *b = m.start ? start(l, f, &m) : find(l, m.stream);
    struct str data = m.start ? m.first.data : m.data;
    if (b && m.notify) {
        b->notify = true;
        b->d.token = m.token;
    }
    if (b && text_is_bad(b, data, m.end)) {
        group_refuse(l, f, m.stream, SLUICE_ERROR_BAD_UTF8,
                     "text is not UTF-8");
        break_off(b, ENDING_BACKEND_FAULT);
        b = NULL;
    }
    if (b && m.start) {
        group_each(l, &m.first, sit_down, b);
        share(b, (enum ws_opcode)b->opcode, data, false);
    } else if (b && data.n) {
        share(b, WS_CONT, data, false);
    }
    if (b && m.end)
        share(b, WS_CONT, STR(""), true);
    if (!b && !m.start)
        l->strays++; /* of one that was refused, or given up */
    if (m.end)
        finish(l, b, &m);
    return 0;
}

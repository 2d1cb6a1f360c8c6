/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "group.h"

/*
 * The beginning goes with the first data, to the links that are there then:
 * their clients of that moment are the ones who get it.  A link that comes
 * later has none of them.
 */
struct psb_stream {
    struct list all; /* psb.streams */
    uint64_t id;
    struct psb_target to;
    bool begun, ends;
};

enum { FIRST_SIZE = 12 };

static struct psb_stream *find(psb_t *b, uint64_t id)
{
    LIST_EACH(item, after, &b->streams)
    {
        struct psb_stream *s = CONTAINER(item, struct psb_stream, all);
        if (s->id == id)
            return s;
    }
    errno = ENOENT;
    return NULL;
}

static void destroy(struct psb_stream *s)
{
    list_remove(&s->all);
    psb_target_fini(&s->to);
    free(s);
}

uint64_t psb_bstream_begin_with(psb_t *b, int app, int binary,
                                const psb_group *g)
{
    struct psb_stream *s = xcalloc(1, sizeof *s);

    /* Every gateway takes frames of so much, and a first piece too. */
    if (psb_target_init(&s->to, b, app, binary, g) == -1 ||
        s->to.ids.n > SLUICE_MAX_FRAME_MIN / 2) {
        psb_target_fini(&s->to);
        free(s);
        errno = EINVAL;
        return 0;
    }
    /* None that could be a client's: those have a generation above these
     * bits. */
    do
        b->last_stream = b->last_stream % SLUICE_SLOT_MAX + 1;
    while (find(b, b->last_stream));
    s->id = b->last_stream;
    list_push_back(&b->streams, &s->all);
    return s->id;
}

uint64_t psb_bstream_begin(psb_t *b, int app, int binary)
{
    return psb_bstream_begin_with(b, app, binary, NULL);
}

/* ---- one link ---- */

static bool takes_part(const struct psb_link *l, const struct psb_stream *s)
{
    return !l->dead && sluice_ids_have(buf_str(&l->streams), s->id);
}

/* May it begin there? */
static bool join(struct psb_link *l, const struct psb_stream *s)
{
    if (!psb_target_has(&s->to, l) ||
        !(l->reader.features & SLUICE_FEATURE_BSTREAM))
        return false;
    sluice_ids_append(&l->streams, s->id);
    return true;
}

static void leave(struct psb_link *l, uint64_t id)
{
    struct buf rest = {0};

    for (size_t i = 0; i < sluice_ids_count(buf_str(&l->streams)); i++) {
        uint64_t other = sluice_ids_at(buf_str(&l->streams), i);
        if (other != id)
            sluice_ids_append(&rest, other);
    }
    buf_fini(&l->streams);
    l->streams = rest;
}

/* In frames of what it takes. */
static void put(struct psb_link *l, const struct psb_stream *s, struct str data,
                struct psb_report *report)
{
    struct sluice_bstream m = {
        .stream = s->id,
        .first = psb_target_head(&s->to, l),
    };
    size_t max = l->peer_max_frame - FIRST_SIZE - s->to.ids.n;
    bool end = s->ends;

    m.start = !s->begun && join(l, s);
    if (!takes_part(l, s))
        return;
    do {
        m.data = str_slice(data, 0, data.n < max ? data.n : max);
        data = str_slice(data, m.data.n, data.n);
        m.first.data = m.data;
        m.end = end && !data.n;
        m.notify = m.end && report;
        m.token = m.notify ? psb_report_token(report) : 0;
        sluice_bstream_put(&l->out, &m);
        m.start = false;
    } while (data.n);
    if (end)
        psb_report_expect(report, l);
}

/* ---- all of them ---- */

static int send_all(psb_t *b, struct psb_stream *s, struct str data)
{
    struct psb_report *report = NULL;
    bool slow = false;

    /* A piece that is left out somewhere would be missing in the message. */
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        if (!l->dead && data.n && psb_link_pending(l) + data.n > PSB_OUT_MAX)
            return psb_refuse(ENOBUFS);
    }
    if (s->ends && s->to.g.done &&
        !(report = psb_report_delivered(b, &s->to.g)))
        return -1;
    LIST_EACH(item, next, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        put(l, s, data, report);
        if (takes_part(l, s))
            slow |= psb_link_was_put(l);
        if (s->ends)
            leave(l, s->id);
    }
    s->begun = true;
    psb_report_seal(report);
    return slow;
}

int psb_bstream_write(psb_t *b, uint64_t id, const void *p, size_t n)
{
    struct psb_stream *s = find(b, id);

    if (!s)
        return -1;
    return n ? send_all(b, s, str_n(p, n)) : 0;
}

int psb_bstream_end(psb_t *b, uint64_t id)
{
    struct psb_stream *s = find(b, id);

    if (!s)
        return -1;
    s->ends = true;
    int rc = send_all(b, s, STR(""));
    if (rc == -1)
        s->ends = false;
    else
        destroy(s);
    return rc;
}

void psb_bstreams_fini(psb_t *b)
{
    while (!list_is_empty(&b->streams))
        destroy(CONTAINER(b->streams.next, struct psb_stream, all));
}

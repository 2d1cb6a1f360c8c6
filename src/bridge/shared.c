/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "bridge/session.h"

struct shared *shared_encode(const struct ws_framing *framing,
                             const struct ws_header *h, const void *p)
{
    uint8_t head[WS_HEADER_MAX], tail[WS_TAIL_MAX];
    size_t n = (size_t)h->length;
    size_t head_n = framing->head(head, h);
    size_t tail_n = framing->tail ? framing->tail(tail, h) : 0;
    struct shared *m = xmalloc(sizeof *m + head_n + n + tail_n);

    *m = (struct shared){.references = 1, .n = head_n + n + tail_n};
    memcpy(m->bytes, head, head_n);
    if (n)
        memcpy(m->bytes + head_n, p, n);
    memcpy(m->bytes + head_n + n, tail, tail_n);
    return m;
}

static struct shared *plain(struct sharing *m, const struct session *s)
{
    struct shared **encoded = &m->encoded[session_framing(s)->alphabet];
    struct ws_header h = {
        .opcode = (enum ws_opcode)m->opcode, .fin = true, .length = m->data.n};
    if (!*encoded)
        *encoded = shared_encode(session_framing(s), &h, m->data.p);
    return *encoded;
}

/*
 * Compressed once for all who agreed on the same, and who that is does not
 * even depend on all of it: what fits in a smaller window is compressed with
 * that one.  It refers to nothing before it, so it fits behind anything.
 */
static struct shared *deflated(struct sharing *m, const struct session *s)
{
    unsigned level = s->conf->deflate.level;
    unsigned bits =
        deflate_window_for(m->data.n, s->deflate->agreed.server_bits);
    uint16_t key = (uint16_t)(bits << 8 | level);
    struct str out;

    for (struct shared *old = m->deflated; old; old = old->next)
        if (old->key == key)
            return old;
    /* When it gets no smaller that is remembered: nothing is not a frame. */
    bool smaller = deflate_shared(bits, level, m->data, &out);
    struct ws_header h = {
        .opcode = (enum ws_opcode)m->opcode,
        .fin = true,
        .rsv = WS_RSV1,
        .length = smaller ? out.n : 0,
    };
    struct shared *made = shared_encode(session_framing(s), &h, out.p);
    if (!smaller)
        made->n = 0;
    made->deflated = true;
    made->key = key;
    made->next = m->deflated;
    m->deflated = made;
    return made;
}

struct shared *sharing_encode(struct sharing *m, const struct session *s)
{
    const struct deflate_conf *conf = &s->conf->deflate;

    /* A reload may have turned it off. */
    if (!s->deflate || !conf->on || m->nocompress || m->data.n < conf->min)
        return plain(m, s);
    struct shared *small = deflated(m, s);
    return small->n ? small : plain(m, s);
}

void sharing_fini(struct sharing *m)
{
    for (size_t i = 0; i < WS_ALPHABETS; i++)
        if (m->encoded[i])
            shared_unref(m->encoded[i]);
    while (m->deflated) {
        struct shared *first = m->deflated;
        m->deflated = first->next;
        shared_unref(first);
    }
}

void shared_unref(struct shared *m)
{
    if (--m->references == 0)
        free(m);
}

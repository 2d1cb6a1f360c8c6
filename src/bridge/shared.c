/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "bridge/session.h"

static struct shared *encode(const struct ws_framing *framing,
                             const struct ws_header *h, const void *p)
{
    uint8_t head[WS_HEADER_MAX], tail[WS_TAIL_MAX];
    size_t n = (size_t)h->length;
    size_t head_n = framing->head(head, h);
    size_t tail_n = framing->tail ? framing->tail(tail, h) : 0;
    struct shared *m = xmalloc(sizeof *m + head_n + n + tail_n);

    m->references = 1;
    m->n = head_n + n + tail_n;
    memcpy(m->bytes, head, head_n);
    if (n)
        memcpy(m->bytes + head_n, p, n);
    memcpy(m->bytes + head_n + n, tail, tail_n);
    return m;
}

struct shared *sharing_encode(struct sharing *m, const struct session *s)
{
    struct shared **encoded = &m->encoded[s->framing->alphabet];
    struct ws_header h = {
        .opcode = (enum ws_opcode)m->opcode, .fin = true, .length = m->data.n};
    if (!*encoded)
        *encoded = encode(s->framing, &h, m->data.p);
    return *encoded;
}

void sharing_fini(struct sharing *m)
{
    for (size_t i = 0; i < WS_ALPHABETS; i++)
        if (m->encoded[i])
            shared_unref(m->encoded[i]);
}

void shared_unref(struct shared *m)
{
    if (--m->references == 0)
        free(m);
}

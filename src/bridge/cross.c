/* SPDX-License-Identifier: BSD-2-Clause */
#include "cross.h"

#include "base/utf8.h"
#include "bridge/session.h"
#include "ws/close.h"

static bool may_cross(const struct link *l)
{
    return l->features & SLUICE_FEATURE_CROSS &&
           l->backend->pool->conf->set.cross_backend;
}

struct session *cross_find(struct link *l, uint64_t cid)
{
    struct link_client *c = slots_find(&bridge.slots, cid);
    struct session *s =
        c && c->kind == LINK_SESSION ? (struct session *)c : NULL;

    if (!s || session_is_over(s))
        return NULL;
    if (s->link == l)
        return s;
    return s->pool == l->backend->pool && may_cross(l) ? s : NULL;
}

/* As a message of a group, which one is: the owner's numbers and credit do not
 * know it. */
static int take_message(struct session *s, const struct sluice_frame *f)
{
    struct sharing m = {
        .opcode = f->header.type == SLUICE_TEXT ? WS_TEXT : WS_BINARY,
        .nocompress = f->header.flags & SLUICE_FLAG_NOCOMPRESS,
        .data = sluice_payload(f),
    };

    if (f->header.flags & SLUICE_FLAG_MORE)
        return -SLUICE_ERROR_BAD_STATE;
    if (m.opcode == WS_TEXT && !utf8_is_valid(m.data.p, m.data.n))
        return -SLUICE_ERROR_BAD_UTF8;
    if (m.opcode == WS_BINARY && !session_framing(s)->binary)
        return -SLUICE_ERROR_UNSUPPORTED;
    session_share(s, &m);
    sharing_fini(&m);
    return 0;
}

static int take(struct session *s, const struct sluice_frame *f)
{
    unsigned type = f->header.type;

    if (type == SLUICE_TEXT || type == SLUICE_BINARY)
        return take_message(s, f);
    if (type == SLUICE_PING || type == SLUICE_PONG)
        return session_take_control(s, f);
    if (type == SLUICE_CLOSE)
        return session_take_close(s, f);
    if (type == SLUICE_SUBSCRIBE)
        return session_subscribe(s, f);
    if (type == SLUICE_UNSUBSCRIBE)
        return session_unsubscribe(s, f);
    if (type != SLUICE_TERMINATE)
        return -SLUICE_ERROR_DENIED;
    session_abort(s, ENDING_TERMINATED);
    return 0;
}

int cross_take(struct link *l, const struct sluice_frame *f)
{
    struct session *s = cross_find(l, f->header.cid);

    if (!s || s->tunnel) {
        l->strays++;
        return 0;
    }
    int rc = s->accepted && s->stream ? take(s, f) : -SLUICE_ERROR_BAD_STATE;
    if (rc == 0 || rc == -SLUICE_ERROR_PROTOCOL)
        return rc;
    /* What it got wrong is not the client's fault, nor its owner's. */
    group_refuse(l, f, f->header.cid, (enum sluice_error) - rc,
                 "refused for a client of another backend");
    return 0;
}

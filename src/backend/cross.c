/* SPDX-License-Identifier: BSD-2-Clause */
/* By ids: clients of this backend, and of others of the pool. */
#include <errno.h>

#include "internal.h"
#include "sluice/client.h"
#include "sluice/close.h"
#include "sluice/group.h"

/* To the gateway that has the client, if it lets us. */
static struct psb_link *link_to(psb_t *b, psb_cid cid)
{
    bool refused = false;

    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        if (!cid || !l->ready || l->dead ||
            l->process != sluice_cid_process(cid))
            continue;
        if (l->reader.features & SLUICE_FEATURE_CROSS)
            return l;
        refused = true;
    }
    errno = refused ? ENOTSUP : ENOENT;
    return NULL;
}

int psb_send_to(psb_t *b, psb_cid cid, int binary, const void *p, size_t n)
{
    psb_client_t *c = psb_find(b, cid);

    if (c)
        return psb_send(c, binary, p, n);
    return link_to(b, cid) ? psb_msend(b, &cid, 1, binary, p, n) : -1;
}

int psb_close_cid(psb_t *b, psb_cid cid, int code, const char *reason)
{
    struct sluice_close m = {cid, (uint16_t)code, str_c(reason ? reason : "")};
    psb_client_t *c = psb_find(b, cid);

    if (c)
        return psb_close(c, code, reason);
    if (!psb_close_is_legal(code, m.reason))
        return psb_refuse(EINVAL);
    struct psb_link *l = link_to(b, cid);
    if (!l)
        return -1;
    sluice_close_put(&l->out, &m);
    psb_link_dirty(l);
    return 0;
}

int psb_terminate_cid(psb_t *b, psb_cid cid)
{
    psb_client_t *c = psb_find(b, cid);

    if (c)
        return psb_terminate(c);
    struct psb_link *l = link_to(b, cid);
    if (!l)
        return -1;
    sluice_empty_put(&l->out, SLUICE_TERMINATE, 0, cid);
    psb_link_dirty(l);
    return 0;
}

struct ending {
    int code;
    const char *reason;
};

static int end_one(psb_client_t *c, void *arg)
{
    const struct ending *e = arg;

    if (c->http || c->state == PSB_CLOSED)
        return 0;
    /* Who has no answer yet is refused. */
    if (e->code == -1 || c->state == PSB_CONNECTING)
        psb_terminate(c);
    else
        psb_close(c, e->code, e->reason);
    return 0;
}

int psb_close_all(psb_t *b, int app, int code, const char *reason)
{
    struct ending e = {code, reason};

    if (code != -1 && !psb_close_is_legal(code, str_c(reason ? reason : "")))
        return psb_refuse(EINVAL);
    psb_foreach(b, app, end_one, &e);
    return 0;
}

static int tell_channel(psb_t *b, psb_cid cid, enum sluice_type type,
                        struct str name)
{
    if (name.p && (!name.n || name.n > SLUICE_CHANNEL_MAX))
        return psb_refuse(EINVAL);
    struct psb_link *l = link_to(b, cid);
    if (!l)
        return -1;
    if (!(l->reader.features & SLUICE_FEATURE_CHANNELS))
        return psb_refuse(ENOTSUP);
    psb_put_channel(l, cid, type, name);
    return 0;
}

int psb_subscribe_cid(psb_t *b, psb_cid cid, const char *channel)
{
    psb_client_t *c = psb_find(b, cid);
    return c ? psb_subscribe(c, channel)
             : tell_channel(b, cid, SLUICE_SUBSCRIBE, str_c(channel));
}

int psb_unsubscribe_cid(psb_t *b, psb_cid cid, const char *channel)
{
    psb_client_t *c = psb_find(b, cid);
    struct str name = channel ? str_c(channel) : (struct str){0};
    return c ? psb_unsubscribe(c, channel)
             : tell_channel(b, cid, SLUICE_UNSUBSCRIBE, name);
}

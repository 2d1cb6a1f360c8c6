/* SPDX-License-Identifier: BSD-2-Clause */
#include "group.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "sluice/link.h"
#include "sluice/tlv.h"

#define LINK_OF(item) CONTAINER(item, struct psb_link, all)

/* ---- who is meant ---- */

int psb_target_init(struct psb_target *t, psb_t *b, int app, int binary,
                    const psb_group *g)
{
    *t = (struct psb_target){
        .app = app,
        .opcode = binary & ~PSB_NOCOMPRESS ? 2 : 1,
        .nocompress = (binary & PSB_NOCOMPRESS) != 0,
    };
    if (g)
        t->g = *g;
    if (app < 0 || (size_t)app > b->apps_n || t->g.except_n > UINT16_MAX ||
        t->g.scope < PSB_ALL || t->g.scope > PSB_PROCESS)
        return psb_refuse(EINVAL);
    for (size_t i = 0; i < t->g.except_n; i++)
        if (t->g.except[i])
            sluice_ids_append(&t->ids, t->g.except[i]);
    return 0;
}

void psb_target_fini(struct psb_target *t)
{
    buf_fini(&t->ids);
}

bool psb_target_has(const struct psb_target *t, const struct psb_link *l)
{
    if (!l->ready || l->dead)
        return false;
    if (t->app && !l->app_ids[t->app - 1])
        return false; /* nobody came through it */
    return t->g.scope != PSB_PROCESS ||
           l->process == sluice_cid_process(t->g.of);
}

struct sluice_broadcast psb_target_head(const struct psb_target *t,
                                        const struct psb_link *l)
{
    return (struct sluice_broadcast){
        .opcode = t->opcode,
        .nocompress = t->nocompress,
        .opts = t->g.scope == PSB_OWN ? SLUICE_BROADCAST_OWN_ONLY : 0,
        .app_id = t->app ? l->app_ids[t->app - 1] : 0,
        .except = buf_str(&t->ids),
    };
}

/* Group sends spend no credit: their bound is what waits to be written. */
int psb_link_room(const struct psb_link *l, size_t n, size_t around)
{
    if (n > l->peer_max_frame || around > l->peer_max_frame - n)
        return EMSGSIZE;
    return psb_link_pending(l) + n > PSB_OUT_MAX ? ENOBUFS : 0;
}

bool psb_link_was_put(struct psb_link *l)
{
    psb_link_dirty(l);
    if (psb_link_pending(l) <= PSB_OUT_SLOW)
        return false;
    l->psb->slow = true;
    return true;
}

/* It goes to all of them or to none. */
static int check_room(psb_t *b, const struct psb_target *t, uint64_t feature,
                      size_t n, size_t around)
{
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        if (!psb_target_has(t, l) || feature & ~l->reader.features)
            continue;
        int error = psb_link_room(l, n, around);
        if (error)
            return psb_refuse(error);
    }
    return 0;
}

/* ---- broadcasts ---- */

int psb_broadcast_with(psb_t *b, int app, int binary, const void *p, size_t n,
                       const psb_group *g)
{
    struct psb_target t;
    struct psb_report *report = NULL;
    bool slow = false;

    int rc = psb_target_init(&t, b, app, binary, g);
    if (rc == 0)
        rc = check_room(b, &t, 0, n, 12 + t.ids.n);
    if (rc == 0 && t.g.done && !(report = psb_report_delivered(b, &t.g)))
        rc = -1;
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        if (rc == -1 || !psb_target_has(&t, l))
            continue;
        struct sluice_broadcast m = psb_target_head(&t, l);
        m.data = str_n(p, n);
        m.notify = report != NULL;
        m.token = psb_report_token(report);
        sluice_broadcast_put(&l->out, &m);
        psb_report_expect(report, l);
        slow |= psb_link_was_put(l);
    }
    psb_report_seal(report);
    psb_target_fini(&t);
    return rc == -1 ? -1 : slow;
}

int psb_broadcast(psb_t *b, int app, int binary, const void *p, size_t n,
                  psb_cid except)
{
    psb_group g = {.except = &except, .except_n = except != 0};
    return psb_broadcast_with(b, app, binary, p, n, &g);
}

/* ---- by ids ---- */

/* Those that this link can reach: its own clients, and those of others at its
 * gateway. */
static void pick_ids(const struct psb_link *l, const psb_cid *cids,
                     size_t count, struct buf *ids)
{
    bool cross = l->reader.features & SLUICE_FEATURE_CROSS;

    buf_clear(ids);
    for (size_t i = 0; i < count; i++) {
        if (l->process != sluice_cid_process(cids[i]))
            continue;
        const psb_client_t *c =
            psb_client_at((struct psb_link *)(uintptr_t)l, cids[i]);
        if (c ? !c->gone && !c->http : cross)
            sluice_ids_append(ids, cids[i]);
    }
}

/* In frames of what it takes. */
static void msend_on(struct psb_link *l, struct str ids, struct sluice_msend *m,
                     struct psb_report *report)
{
    size_t max = (l->peer_max_frame - 8 - m->data.n) / 8 * 8;

    for (size_t at = 0; at < ids.n; at += max) {
        m->ids = str_slice(ids, at, at + max);
        sluice_msend_put(&l->out, m);
        psb_report_expect(report, l);
    }
}

int psb_msend_with(psb_t *b, const psb_cid *cids, size_t count, int binary,
                   const void *p, size_t n, const psb_group *g)
{
    struct psb_target t;
    struct psb_report *report = NULL;
    struct buf ids = {0};
    bool slow = false;

    int rc = psb_target_init(&t, b, 0, binary, g);
    if (rc == 0 && (t.g.scope != PSB_ALL || t.ids.n))
        rc = psb_refuse(EINVAL);
    if (rc == 0)
        rc = check_room(b, &t, 0, n, 8 + 8);
    if (rc == 0 && t.g.done && !(report = psb_report_delivered(b, &t.g)))
        rc = -1;
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        struct sluice_msend m = {
            .opcode = t.opcode,
            .nocompress = t.nocompress,
            .notify = report != NULL,
            .token = psb_report_token(report),
            .data = str_n(p, n),
        };
        if (rc == -1 || !psb_target_has(&t, l))
            continue;
        pick_ids(l, cids, count, &ids);
        if (!ids.n)
            continue;
        msend_on(l, buf_str(&ids), &m, report);
        slow |= psb_link_was_put(l);
    }
    psb_report_seal(report);
    psb_target_fini(&t);
    buf_fini(&ids);
    return rc == -1 ? -1 : slow;
}

int psb_msend(psb_t *b, const psb_cid *cids, size_t count, int binary,
              const void *p, size_t n)
{
    return psb_msend_with(b, cids, count, binary, p, n, NULL);
}

/* ---- channels ---- */

/* 0, or -1 when this client cannot be told about a channel of that name. */
static int check_channel(const psb_client_t *c, struct str name)
{
    if (c->gone || c->link->dead || c->state == PSB_CLOSED)
        return psb_refuse(EPIPE);
    if (!(c->link->reader.features & SLUICE_FEATURE_CHANNELS))
        return psb_refuse(ENOTSUP);
    bool legal = name.n && name.n <= SLUICE_CHANNEL_MAX;
    return c->http || c->tunnel || !legal ? psb_refuse(EINVAL) : 0;
}

void psb_put_channel(struct psb_link *l, psb_cid cid, enum sluice_type type,
                     struct str name)
{
    struct sluice_header h = {.type = (uint8_t)type, .cid = cid};
    size_t begin = sluice_frame_begin(&l->out, &h);
    bool ok = !name.n || sluice_channel_put(&l->out, name);

    sluice_frame_end(&l->out, begin, ok);
    psb_link_dirty(l);
}

int psb_subscribe(psb_client_t *c, const char *channel)
{
    struct str name = str_c(channel);

    if (check_channel(c, name) == -1)
        return -1;
    if (c->answered)
        psb_put_channel(c->link, c->cid, SLUICE_SUBSCRIBE, name);
    else
        sluice_tlv_put(&c->joins, SLUICE_TAG_CHANNEL, name);
    return 0;
}

int psb_unsubscribe(psb_client_t *c, const char *channel)
{
    struct str name = channel ? str_c(channel) : (struct str){0};

    if (check_channel(c, channel ? name : STR("*")) == -1)
        return -1;
    if (!c->answered)
        return psb_refuse(ENOTCONN);
    psb_put_channel(c->link, c->cid, SLUICE_UNSUBSCRIBE, name);
    return 0;
}

int psb_publish_with(psb_t *b, const char *channel, int binary, const void *p,
                     size_t n, const psb_group *g)
{
    struct psb_target t;
    struct psb_report *report = NULL;
    struct str name = str_c(channel);
    bool slow = false;

    int rc = psb_target_init(&t, b, 0, binary, g);
    if (rc == 0 && (!name.n || name.n > SLUICE_CHANNEL_MAX || t.ids.n > 8 ||
                    t.g.scope == PSB_OWN))
        rc = psb_refuse(EINVAL);
    if (rc == 0)
        rc = check_room(b, &t, SLUICE_FEATURE_CHANNELS, n, 4 + name.n);
    if (rc == 0 && t.g.done && !(report = psb_report_delivered(b, &t.g)))
        rc = -1;
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        if (rc == -1 || !psb_target_has(&t, l) ||
            !(l->reader.features & SLUICE_FEATURE_CHANNELS))
            continue;
        struct sluice_publish m = {
            .except = t.ids.n ? sluice_ids_at(buf_str(&t.ids), 0) : 0,
            .notify = report != NULL,
            .nocompress = t.nocompress,
            .token = psb_report_token(report),
            .opcode = t.opcode,
            .channel = name,
            .data = str_n(p, n),
        };
        sluice_publish_put(&l->out, &m);
        psb_report_expect(report, l);
        slow |= psb_link_was_put(l);
    }
    psb_report_seal(report);
    psb_target_fini(&t);
    return rc == -1 ? -1 : slow;
}

int psb_publish(psb_t *b, const char *channel, int binary, const void *p,
                size_t n, psb_cid except)
{
    psb_group g = {.except = &except, .except_n = except != 0};
    return psb_publish_with(b, channel, binary, p, n, &g);
}

int psb_presence(psb_t *b, const char *channel, int list, psb_presence_fn *done,
                 void *arg)
{
    struct sluice_presence_req q = {.list = list != 0,
                                    .channel = str_c(channel)};

    if (!done || !q.channel.n || q.channel.n > SLUICE_CHANNEL_MAX)
        return psb_refuse(EINVAL);
    struct psb_report *report = psb_report_presence(b, done, arg);
    if (!report)
        return -1;
    q.token = psb_report_token(report);
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        if (!l->ready || l->dead ||
            !(l->reader.features & SLUICE_FEATURE_CHANNELS))
            continue;
        sluice_presence_req_put(&l->out, &q);
        psb_link_dirty(l);
        psb_report_expect(report, l);
    }
    psb_report_seal(report);
    return 0;
}

void psb_log(psb_t *b, int level, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct sluice_log line = {.level = (uint16_t)(level < 0   ? 0
                                                  : level > 7 ? 7
                                                              : level),
                              .text = str_c(text)};
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        if (l->ready && !l->dead && psb_link_pending(l) < PSB_OUT_SLOW) {
            sluice_log_put(&l->out, &line);
            psb_link_dirty(l);
            return;
        }
    }
    fprintf(stderr, "%s: %s\n", b->name, text);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "group.h"
#include "sluice/link.h"

enum report_kind { DELIVERED, PRESENCE, STATS };

struct psb_report {
    struct list all; /* psb.reports */
    psb_t *psb;
    enum report_kind kind;
    uint16_t token;
    bool sealed;
    size_t expected; /* answers */
    int lost;        /* that will never come */
    bool told;       /* STATS: that there is no more */
    psb_delivered delivered;
    uint32_t count;
    struct buf ids;
    union {
        psb_delivered_fn *on_delivered;
        psb_presence_fn *on_presence;
        psb_stats_fn *on_stats;
    };
    void *arg;
};

static struct psb_report *find(psb_t *b, uint16_t token)
{
    LIST_EACH(item, after, &b->reports)
    {
        struct psb_report *r = CONTAINER(item, struct psb_report, all);
        if (r->token == token)
            return r;
    }
    return NULL;
}

static struct psb_report *create(psb_t *b, enum report_kind kind, void *arg)
{
    if (b->reports_n >= PSB_REPORTS_MAX) {
        errno = EAGAIN;
        return NULL;
    }
    struct psb_report *r = xcalloc(1, sizeof *r);
    do
        b->last_token++;
    while (!b->last_token || find(b, b->last_token));
    r->psb = b;
    r->kind = kind;
    r->token = b->last_token;
    r->arg = arg;
    list_push_back(&b->reports, &r->all);
    b->reports_n++;
    return r;
}

struct psb_report *psb_report_delivered(psb_t *b, const psb_group *g)
{
    struct psb_report *r = create(b, DELIVERED, g->arg);
    if (r)
        r->on_delivered = g->done;
    return r;
}

struct psb_report *psb_report_presence(psb_t *b, psb_presence_fn *done,
                                       void *arg)
{
    struct psb_report *r = create(b, PRESENCE, arg);
    if (r)
        r->on_presence = done;
    return r;
}

struct psb_report *psb_report_stats(psb_t *b, psb_stats_fn *done, void *arg)
{
    struct psb_report *r = create(b, STATS, arg);
    if (r)
        r->on_stats = done;
    return r;
}

uint16_t psb_report_token(const struct psb_report *r)
{
    return r ? r->token : 0;
}

/* What a link is to answer: kept there, oldest first. */
void psb_report_expect(struct psb_report *r, struct psb_link *l)
{
    if (!r)
        return;
    r->expected++;
    buf_put_le16(&l->asked, r->token);
}

void psb_report_seal(struct psb_report *r)
{
    if (!r)
        return;
    r->sealed = true;
    if (!r->expected && !r->psb->busy)
        psb_sync(r->psb);
}

/* ---- answers ---- */

static void tell_stats(struct psb_report *r, struct str json)
{
    r->told = r->sealed && !r->expected;
    r->on_stats(r->psb, psb_buf_of(json), r->told, r->arg);
}

/* The token, if the link was asked with it: not any more. */
static struct psb_report *answered(struct psb_link *l, uint16_t token)
{
    for (size_t at = 0; at < l->asked.n; at += 2) {
        if (le16_get(l->asked.p + at) != token)
            continue;
        memmove(l->asked.p + at, l->asked.p + at + 2, l->asked.n - at - 2);
        l->asked.n -= 2;
        struct psb_report *r = find(l->psb, token);
        check(r);
        r->expected--;
        return r;
    }
    return NULL;
}

int psb_on_delivered(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_delivered d;

    int rc = sluice_delivered_get(&d, f);
    struct psb_report *r = rc == 0 ? answered(l, d.token) : NULL;
    if (r && r->kind == DELIVERED) {
        r->delivered.matched += d.matched;
        r->delivered.queued += d.queued;
        r->delivered.skipped += d.skipped;
        r->delivered.dropped += d.dropped;
    }
    return rc;
}

int psb_on_presence(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_presence p;

    int rc = sluice_presence_get(&p, f);
    struct psb_report *r = rc == 0 ? answered(l, p.token) : NULL;
    if (r && r->kind == PRESENCE) {
        r->count += p.count;
        buf_put_str(&r->ids, p.ids);
    }
    return rc;
}

/* The question that an answer of this scope, or an error (scope -1), is for:
 * they come in their order, but for the client that they are about. */
static struct psb_report *take_stats(struct psb_link *l, int scope, psb_cid cid)
{
    for (size_t at = 0; at < l->stats.n; at += 12) {
        const uint8_t *q = l->stats.p + at;
        if ((scope >= 0 && le16_get(q) != scope) || le64_get(q + 4) != cid)
            continue;
        uint16_t token = le16_get(q + 2);
        memmove(l->stats.p + at, l->stats.p + at + 12, l->stats.n - at - 12);
        l->stats.n -= 12;
        return answered(l, token);
    }
    return NULL;
}

int psb_on_stats(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_stats s;

    int rc = sluice_stats_get(&s, f);
    struct psb_report *r = rc == 0 ? take_stats(l, s.scope, s.cid) : NULL;
    if (r)
        tell_stats(r, s.json);
    return rc;
}

void psb_on_stats_error(struct psb_link *l, psb_cid cid)
{
    struct psb_report *r = take_stats(l, -1, cid);
    if (r)
        r->lost++;
}

int psb_stats(psb_t *b, int scope, psb_cid cid, psb_stats_fn *done, void *arg)
{
    struct sluice_stats q = {.scope = (uint16_t)scope, .cid = cid};
    bool one = scope == PSB_STATS_INSTANCE;

    if (!done || scope < PSB_STATS_LINK || scope > PSB_STATS_CLIENT ||
        (scope == PSB_STATS_CLIENT) != (cid != 0))
        return psb_refuse(EINVAL);
    struct psb_report *r = psb_report_stats(b, done, arg);
    if (!r)
        return -1;
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        if (!l->ready || l->dead || (one && r->expected) ||
            (cid && l->process != sluice_cid_process(cid)))
            continue;
        sluice_stats_req_put(&l->out, &q);
        psb_link_dirty(l);
        buf_put_le16(&l->stats, q.scope);
        buf_put_le16(&l->stats, r->token);
        buf_put_le64(&l->stats, cid);
        psb_report_expect(r, l);
    }
    psb_report_seal(r);
    return 0;
}

/* ---- the end ---- */

void psb_reports_lose(struct psb_link *l)
{
    while (l->asked.n) {
        struct psb_report *r = answered(l, le16_get(l->asked.p));
        r->lost++;
    }
    buf_fini(&l->asked);
    buf_fini(&l->stats);
}

static bool is_due(const struct psb_report *r)
{
    return r->sealed && !r->expected;
}

bool psb_reports_due(const psb_t *b)
{
    LIST_EACH(item, after, &b->reports)
    {
        if (is_due(CONTAINER(item, struct psb_report, all)))
            return true;
    }
    return false;
}

static void destroy(struct psb_report *r)
{
    r->psb->reports_n--;
    list_remove(&r->all);
    buf_fini(&r->ids);
    free(r);
}

static void tell_presence(struct psb_report *r)
{
    size_t n = sluice_ids_count(buf_str(&r->ids));
    psb_cid *ids = xcalloc(n + 1, sizeof *ids);
    psb_members m = {r->count, r->lost, ids, n};

    for (size_t i = 0; i < n; i++)
        ids[i] = sluice_ids_at(buf_str(&r->ids), i);
    r->on_presence(r->psb, &m, r->arg);
    free(ids);
}

static void tell(struct psb_report *r)
{
    switch (r->kind) {
    case DELIVERED:
        r->delivered.lost = r->lost;
        r->on_delivered(r->psb, &r->delivered, r->arg);
        break;
    case PRESENCE:
        tell_presence(r);
        break;
    case STATS:
        if (!r->told)
            r->on_stats(r->psb, (psb_buf){NULL, 0}, 1, r->arg);
        break;
    }
}

static struct psb_report *take_due(psb_t *b)
{
    LIST_EACH(item, after, &b->reports)
    {
        struct psb_report *r = CONTAINER(item, struct psb_report, all);
        if (is_due(r)) {
            list_remove(&r->all);
            return r;
        }
    }
    return NULL;
}

void psb_reports_run(psb_t *b)
{
    struct psb_report *r;

    while ((r = take_due(b))) {
        tell(r);
        destroy(r);
    }
}

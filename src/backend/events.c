/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

#include "internal.h"
#include "sluice/app.h"
#include "sluice/link.h"
#include "sluice/tlv.h"

enum { LEVEL_NONE = 0xffff };

/* ---- SETLOG and LOG ---- */

void psb_link_set_log(struct psb_link *l)
{
    int debug = l->psb->debug;
    unsigned level = debug > 1 ? 7 : debug == 1 ? 6 : LEVEL_NONE;

    sluice_empty_put(&l->out, SLUICE_SETLOG, (uint16_t)level, 0);
}

void psb_set_debug(psb_t *b, int level)
{
    b->debug = level > 0 ? level : 0;
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = CONTAINER(item, struct psb_link, all);
        if (!l->ready || l->dead)
            continue;
        psb_link_set_log(l);
        psb_link_dirty(l);
    }
}

int psb_on_log(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_log line;
    psb_t *b = l->psb;
    bool taken = false;

    int rc = sluice_log_get(&line, f);
    if (rc < 0)
        return rc;
    psb_client_t *c = line.cid ? psb_client_at(l, line.cid) : NULL;
    for (size_t i = 0; i < b->apps_n; i++) {
        const psb_handlers *h = &b->apps[i]->h;
        if (!h->on_log)
            continue;
        taken = true;
        h->on_log(b, c, line.level, psb_buf_of(line.text), b->apps[i]->app.ud);
    }
    if (!taken)
        fprintf(stderr, "%s: gateway: %.*s\n", b->name, STR_ARG(line.text));
    return 0;
}

/* ---- what is not about a client ---- */

static psb_buf text_of(struct str tlvs, enum sluice_tag tag)
{
    return psb_buf_of(sluice_tlv_find(tlvs, tag));
}

int psb_on_conn(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_conn m;
    psb_t *b = l->psb;

    int rc = sluice_conn_get(&m, f);
    if (rc < 0)
        return rc;
    struct str port = sluice_tlv_find(m.tlvs, SLUICE_TAG_REMOTE_PORT);
    for (size_t i = 0; i < b->apps_n; i++)
        if (b->apps[i]->h.on_conn)
            b->apps[i]->h.on_conn(b, text_of(m.tlvs, SLUICE_TAG_REMOTE_ADDR),
                                  port.n == 2 ? le16_get(port.p) : 0,
                                  b->apps[i]->app.ud);
    return 0;
}

int psb_on_client_error(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_client_error e;
    psb_t *b = l->psb;

    int rc = sluice_client_error_get(&e, f);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < b->apps_n; i++)
        if (b->apps[i]->h.on_refused)
            b->apps[i]->h.on_refused(
                b, e.code, text_of(e.tlvs, SLUICE_TAG_REASON),
                text_of(e.tlvs, SLUICE_TAG_REMOTE_ADDR),
                text_of(e.tlvs, SLUICE_TAG_TARGET), b->apps[i]->app.ud);
    return 0;
}

int psb_on_goaway(struct psb_link *l, const struct sluice_frame *f)
{
    struct sluice_goaway g;
    psb_t *b = l->psb;

    int rc = sluice_goaway_get(&g, f);
    if (rc < 0)
        return rc;
    int grace_ms = g.grace_ms < INT32_MAX ? (int)g.grace_ms : INT32_MAX;
    for (size_t i = 0; i < b->apps_n; i++)
        if (b->apps[i]->h.on_goaway)
            b->apps[i]->h.on_goaway(b, g.mode, grace_ms, b->apps[i]->app.ud);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>

#include "internal.h"
#include "sluice/link.h"

enum { LEVEL_NONE = 0xffff };

static psb_buf buf_of(struct str s)
{
    return (psb_buf){(const uint8_t *)s.p, s.n};
}

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
        h->on_log(b, c, line.level, buf_of(line.text), b->apps[i]->app.ud);
    }
    if (!taken)
        fprintf(stderr, "%s: gateway: %.*s\n", b->name, STR_ARG(line.text));
    return 0;
}

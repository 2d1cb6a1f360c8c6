/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/utf8.h"
#include "bridge/loss.h"
#include "bridge/session.h"

static void count(struct sluice_delivered *d, enum share_result result)
{
    d->matched++;
    switch (result) {
    case SHARE_QUEUED:
        d->queued++;
        break;
    case SHARE_SKIPPED:
        d->skipped++;
        break;
    case SHARE_DROPPED:
        d->dropped++;
        break;
    }
}

static void deliver(struct link *l, const struct sluice_delivered *d)
{
    sluice_delivered_put(&l->scratch, d);
    link_send_scratch(l);
}

/* Text is checked once for all who get it. */
static bool text_is_bad(struct link *l, const struct sluice_frame *f,
                        unsigned opcode, struct str data)
{
    if (opcode != WS_TEXT || utf8_is_valid(data.p, data.n))
        return false;
    uint64_t skipped;
    if (log_limit_pass(&l->noise, &skipped))
        log_err(link_log(l), "%s frame refused: %s",
                sluice_type_name(f->header.type),
                sluice_error_name(SLUICE_ERROR_BAD_UTF8));
    link_send_error(l, 0, SLUICE_ERROR_BAD_UTF8, f->header.type,
                    SLUICE_SEVERITY_INFO, 0, "text is not UTF-8");
    return true;
}

/* To the clients that came to app (0: any) through one link. */
static void share_on(struct link *l, unsigned app_id, struct str except,
                     struct sharing *m, struct sluice_delivered *d)
{
    LIST_EACH(item, after, &l->sessions)
    {
        struct session *s = CONTAINER(item, struct session, on_link);
        if (app_id && link_app_id(l, s->app) != app_id)
            continue;
        if (!s->accepted || session_is_over(s))
            continue; /* not a member yet, or any more */
        if (except.n && sluice_ids_have(except, s->cid))
            continue;
        count(d, session_share(s, m));
    }
}

/* The same app has another number on a sibling's link. */
static void share_on_siblings(struct link *l, const struct sluice_broadcast *b,
                              struct sharing *m, struct sluice_delivered *d)
{
    LIST_EACH(item, after, &l->backend->pool->backends)
    {
        struct link *other = CONTAINER(item, struct backend, in_pool)->link;
        if (!other || other == l)
            continue;
        unsigned id = 0;
        if (b->app_id) {
            struct app *a = link_app_named(other, l->apps[b->app_id - 1].name);
            if (!a)
                continue;
            id = link_app_id(other, a);
        }
        share_on(other, id, b->except, m, d);
    }
}

/* Sessions whose backend is gone are members still. */
static void share_on_parked(struct link *l, const struct sluice_broadcast *b,
                            struct sharing *m, struct sluice_delivered *d)
{
    struct str name = b->app_id ? l->apps[b->app_id - 1].name : STR("");

    LIST_EACH(item, after, &l->backend->pool->losses)
    {
        struct loss *x = CONTAINER(item, struct loss, in_pool);
        LIST_EACH(member, next, &x->sessions)
        {
            struct session *s = CONTAINER(member, struct session, on_link);
            if (session_is_over(s) ||
                (b->app_id && !str_eq(keep_app(s), name)) ||
                (b->except.n && sluice_ids_have(b->except, s->cid)))
                continue;
            count(d, session_share(s, m));
        }
    }
}

int link_broadcast(struct link *l, const struct sluice_frame *f)
{
    struct sluice_broadcast b;

    int rc = sluice_broadcast_get(&b, f);
    if (rc < 0)
        return rc;
    if (b.app_id > l->apps_n)
        return -SLUICE_ERROR_PROTOCOL;
    struct sluice_delivered d = {.token = b.token};
    if (!text_is_bad(l, f, b.opcode, b.data)) {
        struct sharing m = {.opcode = b.opcode, .data = b.data};
        share_on(l, b.app_id, b.except, &m, &d);
        if (!(b.opts & SLUICE_BROADCAST_OWN_ONLY) &&
            l->backend->pool->conf->set.cross_backend) {
            share_on_siblings(l, &b, &m, &d);
            share_on_parked(l, &b, &m, &d);
        }
        sharing_fini(&m);
    }
    if (b.notify)
        deliver(l, &d);
    return 0;
}

int link_msend(struct link *l, const struct sluice_frame *f)
{
    struct sluice_msend b;

    int rc = sluice_msend_get(&b, f);
    if (rc < 0)
        return rc;
    struct sluice_delivered d = {.token = b.token};
    if (!text_is_bad(l, f, b.opcode, b.data)) {
        struct sharing m = {.opcode = b.opcode, .data = b.data};
        for (size_t i = 0; i < sluice_ids_count(b.ids); i++) {
            struct session *s = session_find(l, sluice_ids_at(b.ids, i));
            if (!s || !s->stream || !s->accepted)
                continue;
            count(&d, session_share(s, &m));
        }
        sharing_fini(&m);
    }
    if (b.notify)
        deliver(l, &d);
    return 0;
}

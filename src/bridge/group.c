/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/utf8.h"
#include "bridge/loss.h"
#include "bridge/session.h"
#include "cross.h"

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

void group_deliver(struct link *l, const struct sluice_delivered *d)
{
    sluice_delivered_put(&l->scratch, d);
    link_send_scratch(l);
}

void group_refuse(struct link *l, const struct sluice_frame *f, uint64_t id,
                  enum sluice_error code, const char *why)
{
    uint64_t skipped;

    if (log_limit_pass(&l->noise, &skipped))
        log_err(link_log(l), "%s frame refused: %s",
                sluice_type_name(f->header.type), sluice_error_name(code));
    link_send_error(l, id, code, f->header.type, SLUICE_SEVERITY_INFO, 0, why);
}

/* Text is checked once for all who get it. */
static bool text_is_bad(struct link *l, const struct sluice_frame *f,
                        unsigned opcode, struct str data)
{
    if (opcode != WS_TEXT || utf8_is_valid(data.p, data.n))
        return false;
    group_refuse(l, f, 0, SLUICE_ERROR_BAD_UTF8, "text is not UTF-8");
    return true;
}

/* ---- who is meant ---- */

/* The clients that came to app (0: any) through one link. */
static void each_on(struct link *l, unsigned app_id, struct str except,
                    group_member_fn *fn, void *arg)
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
        fn(s, arg);
    }
}

/* The same app has another number on a sibling's link. */
static void each_on_siblings(struct link *l, const struct sluice_broadcast *b,
                             group_member_fn *fn, void *arg)
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
        each_on(other, id, b->except, fn, arg);
    }
}

/* Sessions whose backend is gone are members still. */
static void each_parked(struct link *l, const struct sluice_broadcast *b,
                        group_member_fn *fn, void *arg)
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
            fn(s, arg);
        }
    }
}

void group_each(struct link *l, const struct sluice_broadcast *b,
                group_member_fn *fn, void *arg)
{
    each_on(l, b->app_id, b->except, fn, arg);
    if (b->opts & SLUICE_BROADCAST_OWN_ONLY ||
        !l->backend->pool->conf->set.cross_backend)
        return;
    each_on_siblings(l, b, fn, arg);
    each_parked(l, b, fn, arg);
}

/* ---- messages ---- */

struct sending {
    struct sharing message;
    struct sluice_delivered d;
};

static void send_to(struct session *s, void *arg)
{
    struct sending *x = arg;
    count(&x->d, session_share(s, &x->message));
}

int link_broadcast(struct link *l, const struct sluice_frame *f)
{
    struct sluice_broadcast b;

    int rc = sluice_broadcast_get(&b, f);
    if (rc < 0)
        return rc;
    if (b.app_id > l->apps_n)
        return -SLUICE_ERROR_PROTOCOL;
    struct sending x = {
        .message = {.opcode = b.opcode,
                    .nocompress = b.nocompress,
                    .data = b.data},
        .d = {.token = b.token},
    };
    if (!text_is_bad(l, f, b.opcode, b.data)) {
        group_each(l, &b, send_to, &x);
        sharing_fini(&x.message);
    }
    if (b.notify)
        group_deliver(l, &x.d);
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
        struct sharing m = {
            .opcode = b.opcode, .nocompress = b.nocompress, .data = b.data};
        for (size_t i = 0; i < sluice_ids_count(b.ids); i++) {
            struct session *s = cross_find(l, sluice_ids_at(b.ids, i));
            if (!s || !s->stream || !s->accepted)
                continue;
            count(&d, session_share(s, &m));
        }
        sharing_fini(&m);
    }
    if (b.notify)
        group_deliver(l, &d);
    return 0;
}

/* ---- channels ---- */

void channel_share(struct channel *c, struct sharing *m, const struct link *of,
                   uint64_t except, struct sluice_delivered *d)
{
    channel_hold(c);
    LIST_EACH(item, after, &c->members)
    {
        struct session *s =
            CONTAINER(item, struct membership, of_channel)->session;
        if ((of && s->link != of) || (except && s->cid == except))
            continue;
        if (s->stream && s->accepted)
            count(d, session_share(s, m));
    }
    channel_release(c);
}

/* With cross_backend off a link has its own clients only. */
static const struct link *limit_of(const struct link *l)
{
    return l->backend->pool->conf->set.cross_backend ? NULL : l;
}

int link_publish(struct link *l, const struct sluice_frame *f)
{
    struct sluice_publish p;

    int rc = sluice_publish_get(&p, f);
    if (rc < 0)
        return rc;
    struct sluice_delivered d = {.token = p.token};
    struct channel *c = channel_find(&l->backend->pool->channels, p.channel);
    if (!text_is_bad(l, f, p.opcode, p.data) && c) {
        struct sharing m = {
            .opcode = p.opcode, .nocompress = p.nocompress, .data = p.data};
        channel_share(c, &m, limit_of(l), p.except, &d);
        sharing_fini(&m);
    }
    if (p.notify)
        group_deliver(l, &d);
    return 0;
}

/* The ids of members, as many as the backend takes in one frame; the count is
 * of all. */
int link_presence(struct link *l, const struct sluice_frame *f)
{
    struct sluice_presence_req q;
    struct buf ids = {0};

    int rc = sluice_presence_req_get(&q, f);
    if (rc < 0)
        return rc;
    struct sluice_presence p = {.token = q.token, .list = q.list};
    struct channel *c = channel_find(&l->backend->pool->channels, q.channel);
    const struct link *of = limit_of(l);
    if (c) {
        LIST_EACH(item, after, &c->members)
        {
            struct session *s =
                CONTAINER(item, struct membership, of_channel)->session;
            if (of && s->link != of)
                continue;
            p.count++;
            if (q.list && ids.n + 12 <= l->peer_max_frame)
                sluice_ids_append(&ids, s->cid);
        }
    }
    p.ids = buf_str(&ids);
    sluice_presence_put(&l->scratch, &p);
    link_send_scratch(l);
    buf_fini(&ids);
    return 0;
}

static int join(struct session *s, struct str name)
{
    struct pool *p = s->pool;

    if (!name.n || name.n > SLUICE_CHANNEL_MAX ||
        !channel_join(&p->channels, s, name, (size_t)p->conf->set.channels_max))
        return -SLUICE_ERROR_LIMIT;
    return 0;
}

int session_subscribe(struct session *s, const struct sluice_frame *f)
{
    struct str rest = sluice_payload(f), name;

    int rc = sluice_channels_check(f);
    while (rc == 0 && sluice_channel_next(&rest, &name) == 1)
        rc = join(s, name);
    return rc;
}

int session_unsubscribe(struct session *s, const struct sluice_frame *f)
{
    struct str rest = sluice_payload(f), name;

    int rc = sluice_channels_check(f);
    if (rc == 0 && !rest.n)
        channels_leave(s);
    while (rc == 0 && sluice_channel_next(&rest, &name) == 1)
        channel_leave(s, name);
    return rc;
}

int session_subscribe_tlvs(struct session *s, struct str tlvs)
{
    struct sluice_tlv t;
    int rc = 0;

    while (rc == 0 && sluice_tlv_next(&tlvs, &t) == 1)
        if (t.tag == SLUICE_TAG_CHANNEL)
            rc = join(s, t.value);
    return rc;
}

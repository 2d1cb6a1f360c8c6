/* SPDX-License-Identifier: BSD-2-Clause */
#include "splice.h"

#include "base/check.h"

enum {
    HELD_MAX = 64 * 1024, /* bytes that wait, of each and of own text */
    RUNNING_MAX = 64,     /* subrequests at once */
};

static void free_all(void *arg)
{
    struct splice *s = arg;
    LIST_EACH(item, after, &s->parts)
    {
        buf_fini(&CONTAINER(item, struct splice_part, link)->bytes);
    }
    list_init(&s->parts);
}

void splice_init(struct splice *s, struct filter *f)
{
    *s = (struct splice){.filter = f};
    list_init(&s->parts);
    arena_on_destroy(f->request->arena, free_all, s);
}

static struct splice_part *part_of(struct list *item)
{
    return CONTAINER(item, struct splice_part, link);
}

/* Pass on what is at the front. */
static void advance(struct splice *s)
{
    bool room = true;

    if (s->advancing)
        return;
    s->advancing = true;
    while (room && !list_is_empty(&s->parts)) {
        struct splice_part *p = part_of(s->parts.next);
        if (p->bytes.n) {
            struct buf bytes = p->bytes;
            s->held -= p->is_text ? bytes.n : 0;
            p->bytes = (struct buf){.max = 0};
            room = filter_pass_str(s->filter, buf_str(&bytes));
            buf_fini(&bytes);
            continue;
        }
        if (!p->ended) {
            subrequest_drained(p->sub);
            if (!p->bytes.n)
                break;
            continue;
        }
        list_remove(&p->link);
        buf_fini(&p->bytes);
    }
    s->advancing = false;
}

void splice_drain(struct splice *s)
{
    advance(s);
}

bool splice_has_room(const struct splice *s)
{
    return !s->filter->full && s->held < HELD_MAX && s->running < RUNNING_MAX;
}

bool splice_end(struct splice *s)
{
    if (!list_is_empty(&s->parts))
        return false;
    if (!s->ending)
        filter_pass_end(s->filter);
    s->ending = true;
    return true;
}

/* ---- text ---- */

static struct splice_part *add(struct splice *s)
{
    struct splice_part *p = arena_calloc(s->filter->request->arena, sizeof *p);
    p->splice = s;
    list_push_back(&s->parts, &p->link);
    return p;
}

void splice_text(struct splice *s, struct str text)
{
    if (!text.n)
        return;
    if (list_is_empty(&s->parts)) {
        filter_pass_str(s->filter, text);
        return;
    }
    struct splice_part *p = part_of(s->parts.prev);
    if (!p->is_text) {
        p = add(s);
        p->is_text = p->ended = true;
    }
    buf_put(&p->bytes, text.p, text.n);
    s->held += text.n;
}

/* ---- subrequests ---- */

static bool on_body(void *owner, struct request *sub, const struct iovec *iov,
                    int n)
{
    struct splice_part *p = owner;
    struct splice *s = p->splice;
    (void)sub;

    p->any = true;
    if (s->parts.next == &p->link && !p->bytes.n && !s->filter->full)
        return filter_pass(s->filter, iov, n, false);
    for (int i = 0; i < n; i++)
        buf_put(&p->bytes, iov[i].iov_base, iov[i].iov_len);
    return p->bytes.n < HELD_MAX;
}

static void on_end(void *owner, struct request *sub, bool complete)
{
    struct splice_part *p = owner;
    struct splice *s = p->splice;
    (void)sub;

    p->sub = NULL;
    p->ended = true;
    s->running--;
    if (!complete && p->any) {
        filter_fail(s->filter); /* the client must see that it is not all */
        return;
    }
    if (!p->any)
        buf_put(&p->bytes, p->stub.p, p->stub.n);
    advance(s);
    filter_go_on(s->filter);
}

static const struct subrequest_events events = {
    .on_body = on_body,
    .on_end = on_end,
};

struct splice_part *splice_include(struct splice *s, struct str uri,
                                   struct str args)
{
    struct splice_part *p = add(s);

    p->sub = subrequest_create(s->filter->request, uri, args, 0, &events, p);
    if (!p->sub) {
        list_remove(&p->link);
        return NULL;
    }
    s->running++;
    return p;
}

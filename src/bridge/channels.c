/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/channels.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/random.h"
#include "base/siphash.h"
#include "bridge/session.h"

enum { BUCKETS_MIN = 16 };

/* ---- the table ---- */

static struct list *bucket_of(const struct channels *t, struct str name)
{
    static uint64_t key[2];

    if (!key[0])
        random_bytes(key, sizeof key);
    return &t->buckets[siphash(key, name.p, name.n) & (t->buckets_n - 1)];
}

struct channel *channel_find(const struct channels *t, struct str name)
{
    if (!t->n)
        return NULL;
    LIST_EACH(item, after, bucket_of(t, name))
    {
        struct channel *c = CONTAINER(item, struct channel, in_table);
        if (str_eq(c->name, name))
            return c;
    }
    return NULL;
}

static void grow(struct channels *t)
{
    struct channels bigger = {
        .buckets_n = t->buckets_n ? t->buckets_n * 2 : BUCKETS_MIN, .n = t->n};

    bigger.buckets = xcalloc(bigger.buckets_n, sizeof *bigger.buckets);
    for (size_t i = 0; i < bigger.buckets_n; i++)
        list_init(&bigger.buckets[i]);
    for (size_t i = 0; i < t->buckets_n; i++) {
        struct list *item;
        while ((item = list_pop_front(&t->buckets[i]))) {
            struct channel *c = CONTAINER(item, struct channel, in_table);
            list_push_back(bucket_of(&bigger, c->name), item);
        }
    }
    free(t->buckets);
    *t = bigger;
}

static struct channel *create(struct channels *t, struct str name)
{
    struct channel *c = xcalloc(1, sizeof *c + name.n);
    char *text = (char *)(c + 1);

    if (t->n >= t->buckets_n)
        grow(t);
    memcpy(text, name.p, name.n);
    c->name = str_n(text, name.n);
    c->channels = t;
    list_init(&c->members);
    list_push_back(bucket_of(t, name), &c->in_table);
    t->n++;
    return c;
}

static void destroy_if_empty(struct channel *c)
{
    struct channels *t = c->channels;

    if (c->members_n)
        return;
    list_remove(&c->in_table);
    free(c);
    if (--t->n == 0) {
        free(t->buckets);
        *t = (struct channels){0};
    }
}

/* ---- members ---- */

bool channel_join(struct channels *t, struct session *s, struct str name,
                  size_t max)
{
    size_t n = 0;

    for (struct membership *m = s->channels; m; m = m->next, n++)
        if (str_eq(m->channel->name, name))
            return true;
    if (n >= max)
        return false;
    struct channel *c = channel_find(t, name);
    if (!c)
        c = create(t, name);
    struct membership *m = xcalloc(1, sizeof *m);
    m->session = s;
    m->channel = c;
    m->next = s->channels;
    s->channels = m;
    list_push_back(&c->members, &m->of_channel);
    c->members_n++;
    return true;
}

/* Take the membership at *place out. */
static void leave(struct membership **place)
{
    struct membership *m = *place;

    *place = m->next;
    list_remove(&m->of_channel);
    m->channel->members_n--;
    destroy_if_empty(m->channel);
    free(m);
}

void channel_leave(struct session *s, struct str name)
{
    for (struct membership **m = &s->channels; *m; m = &(*m)->next) {
        if (!str_eq((*m)->channel->name, name))
            continue;
        leave(m);
        return;
    }
}

void channels_leave(struct session *s)
{
    while (s->channels)
        leave(&s->channels);
}

void channel_hold(struct channel *c)
{
    c->members_n++;
}

void channel_release(struct channel *c)
{
    c->members_n--;
    destroy_if_empty(c);
}

void channels_fini(struct channels *t)
{
    while (t->n) {
        size_t i = 0;
        while (list_is_empty(&t->buckets[i]))
            i++;
        struct channel *c =
            CONTAINER(t->buckets[i].next, struct channel, in_table);
        struct membership *m =
            CONTAINER(c->members.next, struct membership, of_channel);
        channel_leave(m->session, c->name);
    }
}

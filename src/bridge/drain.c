/* SPDX-License-Identifier: BSD-2-Clause */
#include "drain.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "bridge/session.h"

struct drain {
    struct pool *pool;
    struct timer timer;
    size_t n, at;
    uint64_t due_ms[]; /* sorted; one session is closed at each */
};

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The next session of the pool that is not closed yet; those that were looked
 * at go to the end of the list. */
static struct session *next_of(struct pool *p)
{
    for (size_t i = bridge.live; i > 0; i--) {
        struct list *first = list_pop_front(&bridge.sessions);
        struct session *s = CONTAINER(first, struct session, all);
        list_push_back(&bridge.sessions, first);
        if (s->pool == p && s->stream && s->state == SESSION_CONNECTED)
            return s;
    }
    return NULL;
}

static void on_timer(struct timer *t)
{
    struct drain *d = CONTAINER(t, struct drain, timer);
    uint64_t now = clock_now_ms();

    for (; d->at < d->n && d->due_ms[d->at] <= now; d->at++) {
        struct session *s = next_of(d->pool);
        if (!s) {
            d->at = d->n;
            return;
        }
        session_fail(s, ENDING_SHUTDOWN);
    }
    if (d->at < d->n)
        timer_set(bridge.loop, t, d->due_ms[d->at] - now);
}

uint64_t drain_begin(struct pool *p)
{
    const struct pool_settings *set = &p->conf->set;
    uint64_t now = clock_now_ms();
    size_t n = p->clients;

    if (!n)
        return 0;
    struct drain *d = xcalloc(1, sizeof *d + n * sizeof d->due_ms[0]);
    d->pool = p;
    d->n = n;
    for (size_t i = 0; i < n; i++) {
        d->due_ms[i] = now;
        if (set->drain_rate)
            d->due_ms[i] += i * 1000 / set->drain_rate;
        if (set->drain_jitter_ms)
            d->due_ms[i] += random_below((uint32_t)set->drain_jitter_ms + 1);
    }
    qsort(d->due_ms, n, sizeof d->due_ms[0], compare);
    timer_init(&d->timer, on_timer);
    p->drain = d;
    on_timer(&d->timer);
    return d->due_ms[n - 1] - now;
}

void drain_fini(struct pool *p)
{
    if (!p->drain)
        return;
    timer_clear(&p->drain->timer);
    free(p->drain);
    p->drain = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "proxy_parts.h"

enum {
    TRIM_MS = 100 /* how long surplus idle connections may live */
};

static void bury_conn(struct loop_task *task)
{
    struct upstream_conn *c = CONTAINER(task, struct upstream_conn, grave);
    http_reader_destroy(c->reader);
    proxy_ssl_forget(c);
    free(c->local);
    free(c);
}

void upstream_conn_close(struct upstream_conn *c)
{
    if (!c->stream)
        return;
    if (list_is_linked(&c->link)) {
        list_remove(&c->link);
        c->upstream->idle_n--;
    }
    timer_clear(&c->timer);
    stream_close(c->stream);
    c->stream = NULL;
    c->grave.run = bury_conn;
    loop_bury(c->loop, &c->grave);
}

static void on_timer(struct timer *timer)
{
    struct upstream_conn *c = CONTAINER(timer, struct upstream_conn, timer);
    if (c->proxy)
        proxy_upstream_timeout(c);
    else
        upstream_conn_close(c);
}

struct upstream_conn *upstream_dial(struct loop *loop, struct upstream *u,
                                    struct peer *p,
                                    const struct http_limits *limits,
                                    const struct connect_options *how,
                                    bool *pending)
{
    struct upstream_conn *c = xcalloc(1, sizeof *c);

    *c = (struct upstream_conn){
        .upstream = u,
        .peer = p,
        .loop = loop,
        .started_ms = clock_now_ms(),
    };
    timer_init(&c->timer, on_timer);
    c->stream = stream_connect(loop, p->object, how, &proxy_upstream_events, c,
                               pending);
    if (!c->stream) {
        free(c);
        return NULL;
    }
    const struct address *to = p->object;
    if (how->local && how->local->sa.any.sa_family == to->sa.any.sa_family) {
        c->local = xmalloc(sizeof *c->local);
        *c->local = *how->local;
    }
    c->reader = http_response_reader_create(limits);
    return c;
}

/* Was it dialled from there (NULL: from anywhere)? */
static bool is_from(const struct upstream_conn *c, const struct address *local)
{
    const struct address *peer = c->peer->object;

    if (local && local->sa.any.sa_family != peer->sa.any.sa_family)
        local = NULL; /* of no use to dial it */
    if (!local || !c->local)
        return !local && !c->local;
    return address_eq(local, c->local);
}

struct upstream_conn *upstream_take_idle(struct upstream *u, struct peer *p,
                                         const struct proxy_ssl *want,
                                         const struct address *local)
{
    LIST_EACH(link, after, &u->idle)
    {
        struct upstream_conn *c = CONTAINER(link, struct upstream_conn, link);
        if (c->peer != p || !proxy_ssl_fits(want, c) || !is_from(c, local))
            continue;
        list_remove(&c->link);
        u->idle_n--;
        return c;
    }
    return NULL;
}

/* ---- idle ---- */

/* A byte or an end on an idle connection: it is of no use any more. */
static void idle_on_data(void *owner, struct span *in)
{
    struct upstream_conn *c = owner;
    span_advance(in, in->n);
    upstream_conn_close(c);
}

static void idle_on_end(void *owner, enum stream_end end, int error)
{
    (void)end, (void)error;
    upstream_conn_close(owner);
}

static const struct stream_events idle_events = {
    .on_data = idle_on_data,
    .on_end = idle_on_end,
};

/* Under load the number of idle connections swings within a few turns of the
 * loop; only what stays above the limit is surplus. */
void upstream_trim(struct timer *timer)
{
    struct upstream *u = CONTAINER(timer, struct upstream, trim);
    while (u->idle_n > u->keepalive)
        upstream_conn_close(
            CONTAINER(u->idle.prev, struct upstream_conn, link));
}

void upstream_give_back(struct upstream_conn *c)
{
    struct upstream *u = c->upstream;
    bool fresh = c->requests < u->keepalive_requests &&
                 clock_now_ms() - c->started_ms < u->keepalive_time_ms;

    c->proxy = NULL;
    if (!u->keepalive || !fresh || c->peer->vacant ||
        stream_queued(c->stream) || stream_kept(c->stream) ||
        c->stream->ended) {
        upstream_conn_close(c);
        return;
    }
    c->reused = true;
    list_push_front(&u->idle, &c->link);
    u->idle_n++;
    if (u->idle_n > u->keepalive && !timer_is_set(&u->trim))
        timer_set(c->loop, &u->trim, TRIM_MS);
    stream_hand_over(c->stream, &idle_events, c);
    stream_resume(c->stream);
    timer_set(c->loop, &c->timer, u->keepalive_timeout_ms);
}

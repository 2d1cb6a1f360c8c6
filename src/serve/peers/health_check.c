/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/health.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "http/writer.h"
#include "io/connect.h"
#include "io/tls.h"
#include "peers/peers.h"

/* One round after another, for one health_check of one generation. */
struct health_run {
    struct health_check *check;
    struct loop *loop;
    struct timer timer;
    struct list probes;
    struct loop_task grave;
};

/* One question to one server. */
struct probe {
    struct list link;
    struct health_run *run;
    struct peer *peer;
    struct address address; /* of the peer when it was asked */
    struct timer timer;
    struct stream *stream;
    struct tls *tls;
    struct http_reader *reader;
    bool headed; /* the head was good, the body is being read */
    struct buf body;
    struct loop_task grave;
};

/* ---- the end of a question ---- */

static void bury_probe(struct loop_task *task)
{
    struct probe *p = CONTAINER(task, struct probe, grave);
    http_reader_destroy(p->reader);
    tls_unref(p->tls);
    buf_fini(&p->body);
    free(p);
}

static void end(struct probe *p)
{
    list_remove(&p->link);
    timer_clear(&p->timer);
    if (p->stream)
        stream_close(p->stream);
    p->stream = NULL;
    p->grave.run = bury_probe;
    loop_bury(p->run->loop, &p->grave);
}

static bool is_still(const struct probe *p)
{
    return !p->peer->vacant && address_eq(p->peer->object, &p->address);
}

/* why NULL: it is well. */
static void conclude(struct probe *p, const char *why)
{
    struct health_check *c = p->run->check;
    struct upstream *u = c->upstream;

    if (is_still(p) &&
        balance_checked(&u->balance, p->peer, !why, (uint32_t)c->fails,
                        (uint32_t)c->passes, clock_now_ms())) {
        if (why)
            log_warn(&log_process,
                     "peer %.*s of upstream \"%.*s\" is unhealthy: %s",
                     STR_ARG(p->peer->name), STR_ARG(u->name), why);
        else
            log_notice(&log_process,
                       "peer %.*s of upstream \"%.*s\" is healthy",
                       STR_ARG(p->peer->name), STR_ARG(u->name));
    }
    end(p);
}

/* ---- the answer ---- */

static bool take_body(struct probe *p, const struct span *data)
{
    size_t room = HEALTH_BODY_MAX - p->body.n;
    buf_put(&p->body, data->p, data->n < room ? data->n : room);
    return p->body.n < HEALTH_BODY_MAX;
}

/* True while more is wanted. */
static bool take_event(struct probe *p, const struct http_event *ev)
{
    const struct match *m = p->run->check->match;
    const char *why;

    switch (ev->type) {
    case HTTP_EVENT_HEAD:
        if (ev->head->status < 200 && ev->head->status != 101)
            return true;
        why = match_head(m, ev->head);
        if (why || !match_needs_body(m)) {
            conclude(p, why);
            return false;
        }
        p->headed = true;
        return true;
    case HTTP_EVENT_BODY:
        if (take_body(p, &ev->data))
            return true;
        break;
    case HTTP_EVENT_TRAILERS:
        return true;
    case HTTP_EVENT_END:
        break;
    }
    conclude(p, match_body(m, buf_str(&p->body)));
    return false;
}

static void on_data(void *owner, struct span *in)
{
    struct probe *p = owner;
    struct http_event ev;
    int rc;

    while ((rc = http_reader_next(p->reader, in, &ev)) == 1)
        if (!take_event(p, &ev)) {
            span_advance(in, in->n);
            return;
        }
    if (rc < 0) {
        span_advance(in, in->n);
        conclude(p, http_reader_error(p->reader));
        return;
    }
    timer_set(p->run->loop, &p->timer, p->run->check->proxy->read_timeout_ms);
}

static void on_end(void *owner, enum stream_end how, int error)
{
    struct probe *p = owner;
    struct http_event ev;
    (void)error;

    if (how == STREAM_EOF && p->headed &&
        http_reader_finish(p->reader, &ev) == 1) {
        take_event(p, &ev);
        return;
    }
    if (p->tls && tls_error(p->tls)[0])
        conclude(p, tls_error(p->tls));
    else
        conclude(p, how == STREAM_EOF ? "it closed the connection"
                                      : "connecting failed");
}

/* ---- the question ---- */

static void send_request(struct probe *p)
{
    struct health_check *c = p->run->check;
    struct buf head = {0};
    struct str host = str_starts(c->proxy->host, STR("unix:"))
                          ? STR("localhost")
                          : c->proxy->host;

    http_put_request_line(&head, STR("GET"), c->uri, c->proxy->http_version);
    http_put_field(&head, STR("Host"), host);
    http_put_field(&head, STR("Connection"), STR("close"));
    http_put_head_end(&head);
    stream_put(p->stream, head.p, head.n);
    buf_fini(&head);
    timer_set(p->run->loop, &p->timer, c->proxy->read_timeout_ms);
}

static void on_connect(void *owner)
{
    send_request(owner);
}

static const struct stream_events events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_connect = on_connect,
};

static void dial(struct probe *p)
{
    struct health_check *c = p->run->check;
    struct address to = p->address;
    bool pending;

    if (c->port)
        address_set_port(&to, (uint16_t)c->port);
    p->reader = http_response_reader_create(&c->proxy->limits);
    p->stream = stream_connect(p->run->loop, &to, NULL, &events, p, &pending);
    if (p->stream && c->ssl.context) {
        p->tls = stream_tls_connect(p->stream, c->ssl.context, c->ssl.name,
                                    c->ssl.send_name, STR(""));
        pending = true;
    }
    if (!p->stream || (c->ssl.context && !p->tls)) {
        conclude(p, "connecting failed");
        return;
    }
    timer_set(p->run->loop, &p->timer, c->proxy->connect_timeout_ms);
    if (!pending)
        send_request(p);
}

static void on_probe_timer(struct timer *timer)
{
    struct probe *p = CONTAINER(timer, struct probe, timer);
    if (!p->reader)
        dial(p);
    else
        conclude(p, "it did not answer in time");
}

/* ---- rounds ---- */

static bool is_asked(const struct health_run *run, const struct peer *peer)
{
    LIST_EACH(link, after, &run->probes)
    {
        if (CONTAINER(link, struct probe, link)->peer == peer)
            return true;
    }
    return false;
}

static void ask(struct health_run *run, struct peer *peer)
{
    uint64_t jitter_ms = run->check->jitter_ms;
    uint32_t most = jitter_ms < UINT32_MAX ? (uint32_t)jitter_ms : UINT32_MAX;
    struct probe *p = xcalloc(1, sizeof *p);

    p->run = run;
    p->peer = peer;
    p->address = *(struct address *)peer->object;
    timer_init(&p->timer, on_probe_timer);
    list_push_back(&run->probes, &p->link);
    timer_set(run->loop, &p->timer, most ? random_below(most) : 0);
}

static void on_round(struct timer *timer)
{
    struct health_run *run = CONTAINER(timer, struct health_run, timer);
    struct health_check *c = run->check;
    struct balance *b = &c->upstream->balance;
    uint64_t wait_ms = c->interval_ms;

    if (shared_turn(c->upstream, c->interval_ms, &wait_ms))
        for (size_t i = 0; i < b->peers_n; i++)
            if (!b->peers[i].vacant && !b->peers[i].down &&
                !is_asked(run, &b->peers[i]))
                ask(run, &b->peers[i]);
    timer_set(run->loop, &run->timer, wait_ms);
}

/* ---- the state that a server begins with ---- */

static const struct peer *same_peer(const struct upstream *u,
                                    const struct peer *p)
{
    for (size_t i = 0; u && i < u->balance.peers_n; i++) {
        const struct peer *q = &u->balance.peers[i];
        if (!q->vacant && str_eq(q->name, p->name))
            return q;
    }
    return NULL;
}

/* Mandatory: nobody gets a request before a check was passed; persistent: but
 * who was well before a reload. */
static void begin_checking(struct health_check *c, const struct upstream *old)
{
    struct balance *b = &c->upstream->balance;

    for (size_t i = 0; i < b->peers_n; i++) {
        struct peer *p = &b->peers[i];
        const struct peer *before = same_peer(old, p);
        bool was_well = before && before->state->health == PEER_HEALTHY;
        if (p->vacant)
            continue;
        balance_set_health(
            b, p, c->persistent && was_well ? PEER_HEALTHY : PEER_CHECKING);
    }
}

void health_start(struct health_check *c, struct loop *loop,
                  const struct upstream *old, unsigned generation)
{
    struct health_run *run = xcalloc(1, sizeof *run);

    run->check = c;
    run->loop = loop;
    list_init(&run->probes);
    timer_init(&run->timer, on_round);
    c->run = run;
    if (c->proxy->tls)
        proxy_ssl_of_scope(c->scope, c->proxy->host, &c->ssl);
    if (shared_begin(c->upstream, generation) && c->mandatory)
        begin_checking(c, old);
    timer_set(loop, &run->timer, 0);
}

static void bury_run(struct loop_task *task)
{
    free(CONTAINER(task, struct health_run, grave));
}

void health_stop(struct health_check *c)
{
    struct health_run *run = c->run;

    if (!run)
        return;
    c->run = NULL;
    timer_clear(&run->timer);
    while (!list_is_empty(&run->probes))
        end(CONTAINER(run->probes.next, struct probe, link));
    run->grave.run = bury_run;
    loop_bury(run->loop, &run->grave);
}

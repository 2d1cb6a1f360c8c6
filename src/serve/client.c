/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/client.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "exchange.h"
#include "greeting.h"
#include "serve/core.h"
#include "serve/ssl.h"
#include "serve/stats.h"
#include "steps.h"

enum {
    PIPELINE_MAX = 64 * 1024, /* bytes of requests that wait for the one
                                 before them; then the client waits */
};

static const struct core_conf *listen_conf(const struct listen *l)
{
    return core_conf_of(l->default_server->root);
}

/* ---- death ---- */

static void bury_client(struct loop_task *task)
{
    struct client *c = CONTAINER(task, struct client, grave);
    http_reader_destroy(c->reader);
    greeting_free(c);
    tls_unref(c->tls);
    free(c);
}

/* The one place where a client ends; its stream was closed or taken. */
static void die(struct client *c)
{
    if (c->state == CLIENT_DEAD)
        return;
    c->state = CLIENT_DEAD;
    stats_closed(c);
    timer_clear(&c->timer);
    greeting_forget(c);
    generation_unref(c->generation);
    c->generation = NULL;
    list_remove(&c->link);
    c->listeners->connections--;
    listener_slot_unref(c->slot);
    c->grave.run = bury_client;
    loop_bury(c->listeners->loop, &c->grave);
}

static void close_now(struct client *c)
{
    if (c->stream)
        stream_close(c->stream);
    c->stream = NULL;
    die(c);
}

void client_abort(struct client *c)
{
    if (c->state == CLIENT_DEAD)
        return;
    if (c->request)
        exchange_abort(c->request);
    close_now(c);
}

void client_reset(struct client *c)
{
    if (c->state != CLIENT_DEAD && c->stream)
        stream_reset(c->stream);
    client_abort(c);
}

void client_close_if_idle(struct client *c)
{
    uint64_t now_ms = clock_now_ms();

    if (c->state != CLIENT_IDLE)
        return;
    if (c->slot->listen && now_ms < c->idle_until_ms)
        client_wait_for(c, WAIT_REQUEST, c->idle_until_ms - now_ms);
    else
        close_now(c);
}

/* ---- waiting ---- */

void client_wait_for(struct client *c, enum client_wait wait, uint64_t ms)
{
    c->wait = wait;
    if (wait != WAIT_NOTHING)
        timer_set(c->listeners->loop, &c->timer, ms);
}

/* From here on the client has to send a piece of body now and then. */
void client_wait_for_body(struct client *c)
{
    const struct request *r = c->request;

    if (c->state == CLIENT_REQUEST && c->wait == WAIT_NOTHING &&
        !r->body_complete && !r->body_paused)
        client_wait_for(c, WAIT_BODY,
                        core_conf_of(r->location)->client_body_timeout_ms);
}

static void timed_out(struct client *c, const char *what)
{
    struct log_ctx plain = log_process;
    plain.connection = c->number;
    log_info(c->request ? &c->request->log : &plain,
             "client timed out (110: Connection timed out) while %s", what);
    bool reset = c->request &&
                 core_conf_of(c->request->location)->reset_timedout_connection;
    if (reset)
        client_reset(c);
    else
        client_abort(c);
}

static void on_timer(struct timer *timer)
{
    struct client *c = CONTAINER(timer, struct client, timer);

    switch (c->wait) {
    case WAIT_NOTHING:
        return;
    case WAIT_REQUEST:
        close_now(c); /* nobody expects an answer: no log line */
        return;
    case WAIT_HEAD:
        exchange_head_timed_out(c);
        return;
    case WAIT_BODY:
        if (c->request && !c->request->response.head_sent &&
            !c->request->finishing) {
            c->request->keep_alive = false;
            c->timed_out = true;
            request_finish(c->request, 408);
            return;
        }
        timed_out(c, "reading client request body");
        return;
    case WAIT_SEND:
        timed_out(c, "sending response to client");
        return;
    case WAIT_LINGER:
        close_now(c);
        return;
    }
}

/* After something was given to the stream: a client that takes nothing of it
 * for send_timeout is cut. */
void client_sent(struct client *c)
{
    if (!stream_queued(c->stream) || c->wait == WAIT_SEND)
        return;
    /* Small output waits for the end of this turn: look again then. */
    if (c->request)
        client_wait_for(c, WAIT_SEND,
                        core_conf_of(c->request->location)->send_timeout_ms);
}

/* ---- from request to request ---- */

static void start_lingering(struct client *c)
{
    c->state = CLIENT_LINGERING;
    stream_shutdown(c->stream);
    c->linger_until_ms = clock_now_ms() + c->closing_conf->lingering_time_ms;
    client_wait_for(c, WAIT_LINGER, c->closing_conf->lingering_timeout_ms);
    stream_resume(c->stream);
}

/* The last response is out.  A peer that may still be sending is read from
 * for a while: closing on unread input would reset the connection and might
 * destroy the response on its way (RFC 9112 section 9.6). */
static void finish_closing(struct client *c)
{
    unsigned when = c->closing_conf->lingering_close;
    bool unread = !c->eof && (stream_has_news(c->stream) || c->unread);
    if (c->timed_out)
        close_now(c); /* it had its time */
    else if (when == LINGERING_ALWAYS || (when == LINGERING_ON && unread))
        start_lingering(c);
    else
        close_now(c);
}

static void go_idle(struct client *c, const struct core_conf *conf)
{
    c->state = CLIENT_IDLE;
    c->idle_until_ms = clock_now_ms() + conf->keepalive_min_timeout_ms;
    client_wait_for(c, WAIT_REQUEST, conf->keepalive_timeout_ms);
    c->left_over = c->feeding || stream_kept(c->stream) > 0;
    if (!c->feeding)
        stream_resume(c->stream); /* a pipelined request may be waiting */
}

void client_request_done(struct client *c)
{
    struct request *r = c->request;
    const struct core_conf *conf = core_conf_of(r->location);
    bool keep =
        r->keep_alive && !c->eof && !c->listeners->draining && c->slot->listen;

    c->request = NULL;
    stats_client(c);
    if (r->taken) {
        c->stream = NULL;
        die(c);
    } else if (keep) {
        go_idle(c, conf);
    } else {
        c->state = CLIENT_FLUSHING;
        c->unread = c->unread || !r->body_complete;
        c->generation = generation_ref(r->generation);
        c->closing_conf = conf;
        if (stream_queued(c->stream)) {
            client_wait_for(c, WAIT_SEND, conf->send_timeout_ms);
            stream_resume(c->stream);
        } else {
            finish_closing(c);
        }
    }
    exchange_bury(r);
}

/* ---- reading ---- */

static void begin_head(struct client *c)
{
    struct listen *l = c->slot->listen;
    const struct core_conf *conf = listen_conf(l);

    c->state = CLIENT_HEAD;
    stats_client(c);
    c->pipelined = c->left_over;
    c->left_over = false;
    c->generation = generation_ref(c->listeners->generation);
    c->head_started_us = clock_now_us();
    http_reader_reset(c->reader, &conf->limits);
    client_wait_for(c, WAIT_HEAD, conf->client_header_timeout_ms);
}

/* A head is complete: its request takes over the generation. */
static void take_head(struct client *c, const struct http_head *head)
{
    struct generation *g = c->generation;

    c->generation = NULL;
    c->state = CLIENT_REQUEST;
    c->requests++;
    c->listeners->requests++;
    client_wait_for(c, WAIT_NOTHING, 0);
    c->request = exchange_create(c, g, head);
    stats_client(c);
    stats_request();
    c->request->pipelined = c->pipelined;
    steps_begin(c->request);
    client_wait_for_body(c);
}

/* One step.  True while there may be another. */
static bool read_step(struct client *c, struct span *in)
{
    struct http_event ev;
    int rc;

    if (c->state == CLIENT_REQUEST && c->request->raw_left) {
        if (!in->n)
            return false;
        exchange_raw(c->request, in);
        return true;
    }
    rc = http_reader_next(c->reader, in, &ev);
    if (rc == 0)
        return false;
    if (rc < 0) {
        exchange_refuse(c, (unsigned)-rc);
        return c->state != CLIENT_DEAD;
    }
    switch (ev.type) {
    case HTTP_EVENT_HEAD:
        take_head(c, ev.head);
        return true;
    case HTTP_EVENT_BODY:
        exchange_body(c->request, ev.data.p, ev.data.n);
        return true;
    case HTTP_EVENT_TRAILERS:
        exchange_trailers(c->request, ev.head);
        return true;
    case HTTP_EVENT_END:
        exchange_body_end(c->request);
        return true;
    }
    return false;
}

/* May the reader run?  A request that is under way holds the next one back,
 * and a handler that cannot take its body holds that. */
static bool wants_input(struct client *c, const struct span *in)
{
    switch (c->state) {
    case CLIENT_IDLE:
        return in->n > 0;
    case CLIENT_HEAD:
        return true;
    case CLIENT_REQUEST:
        return exchange_wants_body(c->request);
    case CLIENT_FLUSHING:
    case CLIENT_LINGERING:
    case CLIENT_TAKEN:
    case CLIENT_DEAD:
        break;
    }
    return false;
}

static void linger_on(struct client *c)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t left_ms =
        c->linger_until_ms > now_ms ? c->linger_until_ms - now_ms : 0;
    uint64_t silence_ms = c->closing_conf->lingering_timeout_ms;

    if (!left_ms)
        close_now(c);
    else
        client_wait_for(c, WAIT_LINGER,
                        silence_ms < left_ms ? silence_ms : left_ms);
}

static void on_data(void *owner, struct span *in)
{
    struct client *c = owner;

    c->feeding = true;
    while (wants_input(c, in)) {
        if (c->state == CLIENT_IDLE) {
            if (!c->slot->listen) {
                close_now(c);
                break;
            }
            begin_head(c);
        }
        if (!read_step(c, in))
            break;
    }
    c->feeding = false;
    c->left_over = c->left_over && in->n > 0;
    if (c->state == CLIENT_FLUSHING) {
        span_advance(in, in->n);
    } else if (c->state == CLIENT_LINGERING) {
        span_advance(in, in->n);
        linger_on(c);
    } else if (c->state == CLIENT_REQUEST && in->n > PIPELINE_MAX) {
        stream_pause(c->stream);
    }
}

static void on_end(void *owner, enum stream_end end, int error)
{
    struct client *c = owner;
    (void)error;
    c->eof = true;
    if (end == STREAM_ERROR)
        ssl_log_error(c);
    if (end == STREAM_ERROR || c->state == CLIENT_LINGERING) {
        client_abort(c);
        return;
    }
    if (c->state == CLIENT_IDLE || c->state == CLIENT_HEAD)
        close_now(c);
    else if (c->state == CLIENT_REQUEST)
        exchange_eof(c->request);
}

static void on_written(void *owner, size_t queued)
{
    struct client *c = owner;

    if (c->state == CLIENT_FLUSHING && !queued) {
        finish_closing(c);
        return;
    }
    if (c->wait == WAIT_SEND) {
        if (queued)
            timer_set(c->listeners->loop, &c->timer,
                      c->request
                          ? core_conf_of(c->request->location)->send_timeout_ms
                          : c->closing_conf->send_timeout_ms);
        else if (c->state == CLIENT_REQUEST) {
            client_wait_for(c, WAIT_NOTHING, 0);
            client_wait_for_body(c);
        }
    }
    if (c->state == CLIENT_REQUEST)
        exchange_written(c->request, queued);
}

static const struct stream_events client_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_written = on_written,
};

/* ---- birth ---- */

static void begin(struct client *c, int fd)
{
    if (fd == -1) {
        close_now(c);
        return;
    }
    c->stream = stream_open(c->listeners->loop, fd, &client_events, c);
    if (c->slot->listen && c->slot->listen->ssl && ssl_accept(c) == -1)
        close_now(c);
}

void client_accept(struct listeners *ls, struct listener_slot *slot, int fd,
                   const struct address *remote)
{
    const struct core_conf *conf = listen_conf(slot->listen);
    struct client *c = xcalloc(1, sizeof *c);

    *c = (struct client){
        .listeners = ls,
        .slot = slot,
        .remote = *remote,
        .number = ls->next_number++,
        .started_ms = clock_now_ms(),
        .state = CLIENT_IDLE,
        .debug = error_log_debugs(ls->generation, remote),
    };
    slot->references++;
    c->reader = http_request_reader_create(&conf->limits);
    timer_init(&c->timer, on_timer);
    list_push_back(&ls->clients, &c->link);
    ls->connections++;
    stats_accepted();
    client_wait_for(c, WAIT_REQUEST, conf->client_header_timeout_ms);
    if (slot->listen->proxy_protocol)
        greeting_await(c, fd, begin);
    else
        begin(c, fd);
}

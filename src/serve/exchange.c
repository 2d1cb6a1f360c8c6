/* SPDX-License-Identifier: BSD-2-Clause */
#include "exchange.h"

#include "base/check.h"
#include "base/clock.h"
#include "serve/access_log.h"
#include "serve/core.h"
#include "serve/http1.h"
#include "serve/subrequest.h"
#include "steps.h"

enum {
    ARENA_CHUNK = 4096 - 64, /* bytes; holds a usual request */
    ARENAS_MAX = 256,        /* spare ones that are kept */
    OUTPUT_MAX = 64 * 1024,  /* queued bytes above which a handler waits */
};

/* ---- arenas are reused: a request allocates nothing in steady state ---- */

static struct {
    struct arena *spare[ARENAS_MAX];
    size_t n;
} arenas;

static struct arena *arena_take(void)
{
    return arenas.n ? arenas.spare[--arenas.n] : arena_create(ARENA_CHUNK);
}

static void arena_give(struct arena *a)
{
    arena_reset(a);
    if (arenas.n < ARENAS_MAX)
        arenas.spare[arenas.n++] = a;
    else
        arena_destroy(a);
}

void exchange_fini(void)
{
    while (arenas.n)
        arena_destroy(arenas.spare[--arenas.n]);
}

/* ---- what log lines say about a request ---- */

static void put_quoted(struct buf *line, const char *name, struct str value)
{
    if (value.n)
        buf_printf(line, ", %s: \"%.*s\"", name, STR_ARG(value));
}

static void describe(const struct log_ctx *ctx, struct buf *line)
{
    const struct request *r =
        CONTAINER((struct log_ctx *)(uintptr_t)ctx, struct request, log);
    char text[ADDRESS_TEXT_MAX];

    buf_printf(line, ", client: %.*s",
               STR_ARG(address_ip_text(request_remote(r), text)));
    buf_printf(line, ", server: %.*s", STR_ARG(r->server->name));
    put_quoted(line, "request", r->raw);
    if (request_is_sub(r))
        put_quoted(line, "subrequest", r->uri);
    if (r->upstream_peer.n)
        buf_printf(line, ", upstream: \"http%s://%.*s%.*s\"",
                   r->upstream_tls ? "s" : "", STR_ARG(r->upstream_peer),
                   STR_ARG(r->upstream_uri));
    put_quoted(line, "host", http_head_find(&r->head, STR("Host")));
    put_quoted(line, "referrer", http_head_find(&r->head, STR("Referer")));
}

/* ---- birth ---- */

/* The listen in the generation that read the head: a reload in between must
 * not mix two of them. */
static struct listen *listen_in(const struct client *c,
                                const struct generation *g)
{
    if (g == c->listeners->generation && c->slot->listen)
        return c->slot->listen;
    for (struct listen *l = g->listens; l; l = l->next)
        if (address_eq(&l->address, &c->slot->address))
            return l;
    check_failed("a head is read in a generation that listens on its address",
                 __FILE__, __LINE__);
}

static struct request *make_for(struct client *c, struct generation *g,
                                struct listen *listen, struct server *s)
{
    struct arena *arena = arena_take();
    struct request *r = arena_calloc(arena, sizeof *r);

    r->client = c;
    r->main = r;
    list_init(&r->subrequests);
    r->listen = listen;
    r->generation = g;
    r->arena = arena;
    r->wire = &http1_wire;
    r->server = s;
    r->location = s->root;
    r->started_us = c->head_started_us;
    r->uri_changes_left = REQUEST_URI_CHANGES_MAX;
    r->output_max = OUTPUT_MAX;
    response_reset(r);
    r->eval.arena = arena;
    r->eval.request = r;
    r->eval.slots =
        arena_calloc(arena, g->variables.slots * sizeof *r->eval.slots);
    r->log = (struct log_ctx){
        .target = core_conf_of(r->location)->log,
        .connection = c->number,
        .doing = "reading client request headers",
        .debug = c->debug,
        .describe = describe,
    };
    return r;
}

struct request *exchange_create_sub(struct request *parent)
{
    struct arena *arena = arena_take();
    struct request *r = arena_calloc(arena, sizeof *r);
    size_t slots = parent->generation->variables.slots;

    r->client = parent->client;
    r->main = parent->main;
    list_init(&r->subrequests);
    r->listen = parent->listen;
    r->generation = generation_ref(parent->generation);
    r->arena = arena;
    r->raw = parent->raw;
    r->host = parent->host;
    r->server = parent->server;
    r->location = parent->server->root;
    r->started_us = clock_now_us();
    r->request_length = parent->request_length;
    r->uri_changes_left = REQUEST_URI_CHANGES_MAX;
    r->output_max = OUTPUT_MAX;
    response_reset(r);
    r->eval.arena = arena;
    r->eval.request = r;
    r->eval.slots =
        arena_copy(arena, parent->eval.slots, slots * sizeof *r->eval.slots);
    r->log = parent->log;
    r->log.doing = NULL;
    return r;
}

static struct request *make(struct client *c, struct generation *g)
{
    struct listen *listen = listen_in(c, g);
    return make_for(c, g, listen, listen->default_server);
}

struct request *exchange_probe(struct client *c, const struct server *s)
{
    return make_for(c, c->listeners->generation, c->slot->listen,
                    (struct server *)(uintptr_t)s);
}

void exchange_probe_end(struct request *r)
{
    arena_give(r->arena);
}

/* As it was sent: the head's first line. */
static struct str request_line(const struct request *r)
{
    const struct http_head *h = &r->head;
    if (h->bytes)
        return str_slice(str_n(h->bytes, h->size), 0,
                         str_find(str_n(h->bytes, h->size), '\r', 0));
    return arena_printf(r->arena, "%.*s %.*s HTTP/%u.%u",
                        STR_ARG(h->method_text), STR_ARG(h->target),
                        h->version / 10u, h->version % 10u);
}

struct request *exchange_create(struct client *c, struct generation *g,
                                const struct http_head *head)
{
    struct request *r = make(c, g);

    http_head_copy(&r->head, head, r->arena);
    r->raw = request_line(r);
    r->request_length = head->size;
    r->body_complete = head->body == BODY_NONE ||
                       (head->body == BODY_LENGTH && !head->content_length);
    return r;
}

/* ---- the request body ---- */

/* Nothing but the end of the body is missing, and no byte will announce it. */
static bool end_is_due(const struct request *r)
{
    return r->head.body == BODY_LENGTH &&
           r->body_received == r->head.content_length;
}

bool exchange_wants_body(const struct request *r)
{
    bool reads = !r->body_paused && !r->body_holders;
    return !r->body_ended && !r->taken && (reads || end_is_due(r));
}

void exchange_body(struct request *r, const uint8_t *p, size_t n)
{
    const struct core_conf *conf = core_conf_of(r->location);
    uint64_t max = conf->client_max_body_size;

    r->body_received += n;
    r->request_length += n;
    client_wait_for(r->client, WAIT_BODY, conf->client_body_timeout_ms);
    if (max && r->body_received > max && !r->body_discarded) {
        log_err(&r->log, "client intended to send too large chunked body");
        r->keep_alive = false;
        r->body_discarded = true;
        subrequests_abort(r, true);
        request_finish(r, 413);
        return;
    }
    subrequests_body(r, p, n, false);
    if (!r->body_discarded && r->handler && r->handler->on_body)
        r->handler->on_body(r, p, n, false);
}

void exchange_raw(struct request *r, struct span *in)
{
    size_t n = in->n < r->raw_left ? in->n : r->raw_left;
    const uint8_t *p = in->p;

    span_advance(in, n);
    r->raw_left -= n;
    r->request_length += n;
    if (!r->body_discarded && r->handler && r->handler->on_body)
        r->handler->on_body(r, p, n, false);
    if (!r->raw_left && r->raw_ends)
        exchange_body_end(r);
}

void exchange_trailers(struct request *r, const struct http_head *head)
{
    struct http_head kept;

    http_head_copy(&kept, head, r->arena);
    r->trailers = kept.fields;
    r->trailers_n = kept.fields_n;
}

void exchange_body_end(struct request *r)
{
    bool known = r->body_complete;

    r->body_ended = true;
    r->body_complete = true;
    request_resume_body(r);
    if (r->client->wait == WAIT_BODY)
        client_wait_for(r->client, WAIT_NOTHING, 0);
    if (!known)
        subrequests_body(r, NULL, 0, true);
    if (!known && !r->body_discarded && r->handler && r->handler->on_body)
        r->handler->on_body(r, NULL, 0, true);
    if (r->finishing)
        request_complete(r);
}

/* ---- endings ---- */

void exchange_eof(struct request *r)
{
    r->keep_alive = false;
    if (!r->body_ended && !r->body_complete) {
        log_info(&r->log, "client prematurely closed connection");
        if (!r->response.status)
            r->response.status = 400;
        client_abort(r->client);
        return;
    }
    subrequests_eof(r);
    if (r->handler && r->handler->on_eof && !r->finishing)
        r->handler->on_eof(r);
}

void exchange_written(struct request *r, size_t queued)
{
    if (!queued)
        request_drained(r);
    else
        request_complete(r);
}

void exchange_say_done(struct request *r)
{
    if (r->done)
        return;
    r->done = true;
    log_debug(&r->log, "http done: status %u, %llu bytes sent",
              r->response.status, (unsigned long long)r->bytes_sent);
    if (r->handler && r->handler->on_done)
        r->handler->on_done(r);
    access_log_write(r);
}

void exchange_done(struct request *r)
{
    exchange_say_done(r);
    client_request_done(r->client);
}

void exchange_abort(struct request *r)
{
    struct client *c = r->client;

    r->aborted = true;
    subrequests_abort(r, true);
    if (!r->response.status)
        r->response.status = 499; /* nginx's code for a client that left */
    if (!r->done && r->handler && r->handler->on_abort)
        r->handler->on_abort(r);
    exchange_say_done(r);
    c->request = NULL;
    exchange_bury(r);
}

static void bury_request(struct loop_task *task)
{
    struct request *r = CONTAINER(task, struct request, grave);
    struct generation *g = r->generation;
    arena_give(r->arena);
    generation_unref(g);
}

void exchange_bury(struct request *r)
{
    r->grave.run = bury_request;
    loop_bury(r->client->listeners->loop, &r->grave);
}

/* ---- refusals ---- */

void exchange_refuse(struct client *c, unsigned status)
{
    struct request *r = c->request;

    if (!r) {
        struct generation *g = c->generation;
        c->generation = NULL;
        r = c->request = make(c, g);
        r->head.version = 11;
        c->state = CLIENT_REQUEST;
        c->requests++;
    }
    log_info(&r->log, "client sent an invalid request: %s",
             http_reader_error(c->reader));
    c->unread = true; /* who knows what it goes on with */
    r->keep_alive = false;
    r->body_discarded = true;
    r->body_complete = r->body_ended = true;
    if (r->response.head_sent)
        client_abort(c);
    else
        request_finish(r, (int)status);
}

void exchange_head_timed_out(struct client *c)
{
    struct generation *g = c->generation;
    struct request *r;

    c->generation = NULL;
    r = c->request = make(c, g);
    r->head.version = 11;
    r->keep_alive = false;
    r->body_complete = r->body_ended = true;
    c->timed_out = true;
    log_info(&r->log, "client timed out");
    /* nginx closes without a word; a 408 costs nothing and explains. */
    c->state = CLIENT_REQUEST;
    request_finish(r, 408);
}

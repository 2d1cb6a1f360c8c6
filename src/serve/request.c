/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/request.h"

#include "base/check.h"
#include "base/clock.h"
#include "exchange.h"
#include "io/tls.h"
#include "serve/subrequest.h"
#include "steps.h"

uint64_t request_connection(const struct request *r)
{
    return r->client->number;
}

struct loop *request_loop(const struct request *r)
{
    return r->client->listeners->loop;
}

const struct address *request_remote(const struct request *r)
{
    return r->main->remote ? r->main->remote : &r->client->remote;
}

/* The wildcard that we listen on is not the address that we have; most
 * requests never ask. */
const struct address *request_local(const struct request *r)
{
    struct client *c = r->client;
    struct address *a = &c->local;

    if (a->length)
        return a;
    a->length = sizeof a->sa;
    if (r->taken || !c->stream ||
        getsockname(c->stream->fd, &a->sa.any, &a->length) == -1)
        *a = c->slot->address;
    return a;
}

bool request_is_tls(const struct request *r)
{
    return r->client->tls && !tls_is_plain(r->client->tls);
}

/* ---- the request body ---- */

void request_expect_raw(struct request *r, size_t n)
{
    check(r->body_complete && !r->raw_left && !request_is_sub(r));
    r->raw_left = n;
    /* Who waited in a step before may have been told the end already. */
    r->raw_ends = r->body_ended;
    r->body_complete = r->body_ended = false;
    if (!r->raw_ends)
        return;
    stream_resume(r->client->stream);
    client_wait_for_body(r->client);
}

static bool is_reading(const struct request *main)
{
    return !main->body_paused && !main->body_holders;
}

static void stop_reading(struct request *main)
{
    if (main->client->wait == WAIT_BODY)
        client_wait_for(main->client, WAIT_NOTHING, 0);
    if (!main->body_ended)
        stream_pause(main->client->stream);
}

static void go_on_reading(struct request *main)
{
    if (!is_reading(main) || main->taken || main->aborted)
        return;
    stream_resume(main->client->stream);
    client_wait_for_body(main->client);
}

void request_pause_body(struct request *r)
{
    if (request_is_sub(r) && (r->body_paused || r->body_ended))
        return;
    r->body_paused = true;
    if (request_is_sub(r))
        r->main->body_holders++;
    stop_reading(r->main);
}

void request_resume_body(struct request *r)
{
    if (!r->body_paused)
        return;
    r->body_paused = false;
    if (request_is_sub(r))
        r->main->body_holders--;
    go_on_reading(r->main);
}

void request_send_interim(struct request *r, unsigned status,
                          const struct http_field *fields, size_t n)
{
    if (!r->response.head_sent && !r->taken)
        r->wire->interim(r, status, fields, n);
}

bool request_is_leaving(const struct request *r)
{
    return r->main == r && stream_queued(r->client->stream) > 0;
}

void request_send_continue(struct request *r)
{
    r = r->main;
    if (!r->head.expect_continue || r->continue_sent || r->body_received)
        return;
    r->continue_sent = true;
    request_send_interim(r, 100, NULL, 0);
}

/* ---- another owner ---- */

struct stream *request_take_stream(struct request *r)
{
    struct client *c = r->client;
    struct stream *s = c->stream;

    check(!r->response.head_sent && !r->taken && r->body_complete);
    request_local(r);
    stream_throttle(s, 0, 0);
    r->taken = true;
    c->state = CLIENT_TAKEN;
    client_wait_for(c, WAIT_NOTHING, 0);
    return s;
}

void request_end_taken(struct request *r, unsigned status, uint64_t sent)
{
    check(r->taken && !r->done);
    r->response.status = status;
    r->bytes_sent = sent;
    exchange_done(r);
}

/* ---- leaving a handler ---- */

void steps_leave_handler(struct request *r)
{
    const struct handler *h = r->handler;

    r->handler = NULL;
    if (h && h->on_done)
        h->on_done(r);
    r->handler_state = NULL;
}

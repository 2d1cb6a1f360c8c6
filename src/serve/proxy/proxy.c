/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/proxy.h"

#include <errno.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/uri.h"
#include "proxy_parts.h"
#include "serve/body.h"

/* ---- which upstream, and what is asked of it ---- */

/* proxy_pass with variables: the text is known only now. */
static int evaluate_url(struct proxy *p)
{
    struct request *r = p->request;
    struct str text = value_eval(p->conf->url, &r->eval);
    struct proxy_url url;

    if (!proxy_url_read(text, &url)) {
        log_err(&r->log, "invalid URL prefix in \"%.*s\"", STR_ARG(text));
        return 500;
    }
    p->trace->host = url.host;
    p->trace->port = url.port;
    r->upstream_tls = url.tls;
    p->upstream = upstream_find(r->generation,
                                proxy_url_key(r->arena, r->generation, &url));
    r->upstream_uri = url.uri.n ? url.uri : proxy_own_uri(r);
    if (!p->upstream)
        p->upstream = upstream_of_address(r->arena, url.host, url.port);
    return p->upstream ? VERDICT_DECLINED : proxy_resolve(p, &url);
}

/* RFC 3986: what takes the location's place in the path that goes out. */
static struct str replaced_uri(struct request *r, struct str replacement)
{
    struct str rest = str_slice(
        r->uri, r->location->text.n < r->uri.n ? r->location->text.n : r->uri.n,
        r->uri.n);
    struct str path = http_uri_escape_in(r->arena, rest, ESCAPE_PATH);

    return arena_printf(r->arena, "%.*s%.*s%s%.*s", STR_ARG(replacement),
                        STR_ARG(path), r->args.n ? "?" : "", STR_ARG(r->args));
}

struct str proxy_own_uri(struct request *r)
{
    if (r->uri_is_as_sent)
        return r->head.path;
    struct str path = http_uri_escape_in(r->arena, r->uri, ESCAPE_PATH);
    return arena_printf(r->arena, "%.*s%s%.*s", STR_ARG(path),
                        r->args.n ? "?" : "", STR_ARG(r->args));
}

static int choose_upstream(struct proxy *p)
{
    struct request *r = p->request;
    const struct proxy_conf *c = p->conf;

    if (c->url)
        return evaluate_url(p);
    p->upstream = c->upstream;
    r->upstream_tls = c->tls;
    p->trace->host = c->host;
    p->trace->port = c->port;
    /* After a rewrite it is not the location that begins the URI. */
    bool replaces =
        c->uri.p && r->location->kind != LOCATION_NAMED && !r->uri_rewritten;
    r->upstream_uri = replaces ? replaced_uri(r, c->uri) : proxy_own_uri(r);
    return VERDICT_DECLINED;
}

/* ---- tries ---- */

static struct upstream_try *this_try(struct proxy *p)
{
    return &p->trace->tries[p->trace->n - 1];
}

static void begin_try(struct proxy *p, struct peer *peer)
{
    if (p->trace->n == UPSTREAM_TRIES_MAX)
        p->trace->n--; /* the last place is overwritten */
    p->trace->tries[p->trace->n++] = (struct upstream_try){
        .address = peer->changes ? arena_str(p->request->arena, peer->name)
                                 : peer->name,
        .started_us = clock_now_us(),
        .redirected = p->trace->redirected,
    };
    p->trace->redirected = false;
}

static void end_try(struct proxy *p)
{
    struct upstream_try *t = this_try(p);
    if (!t->ended_us)
        t->ended_us = clock_now_us();
}

/* The connection is given up, or given back. */
static void let_go(struct proxy *p, bool keep)
{
    struct upstream_conn *c = p->conn;

    if (!c)
        return;
    p->conn = NULL;
    if (c->stream)
        this_try(p)->sent = c->stream->bytes_out - p->sent_before;
    end_try(p);
    upstream_release(p, c->peer);
    if (keep) {
        upstream_give_back(c);
    } else {
        c->proxy = NULL;
        upstream_conn_close(c);
    }
}

void proxy_arm(struct proxy *p, uint64_t ms)
{
    timer_set(p->conn->loop, &p->conn->timer, ms);
}

static void connected(struct proxy *p)
{
    this_try(p)->connected_us = clock_now_us();
    p->state = PROXY_SENDING;
    log_debug(&p->request->log, "http upstream connection to %.*s is there",
              STR_ARG(p->request->upstream_peer));
    request_doing(p->request, "sending request to upstream");
    proxy_socket_announce(p);
    proxy_send_request(p);
}

static void on_connect(void *owner)
{
    connected(((struct upstream_conn *)owner)->proxy);
}

static void on_written(void *owner, size_t queued)
{
    struct proxy *p = ((struct upstream_conn *)owner)->proxy;
    if (p->state == PROXY_TUNNEL) {
        tunnel_upstream_written(p, queued);
        return;
    }
    if (!queued && !proxy_send_file(p)) {
        proxy_finish(p, 500);
        return;
    }
    if (p->state == PROXY_SENDING)
        proxy_wait_for_response(p);
    if (!queued && p->request->body_paused)
        request_resume_body(p->request);
}

const struct stream_events proxy_upstream_events = {
    .on_data = proxy_on_data,
    .on_end = proxy_on_end,
    .on_written = on_written,
    .on_connect = on_connect,
};

/* Use the connection for this request. */
static void adopt(struct proxy *p, struct upstream_conn *c)
{
    p->conn = c;
    c->proxy = p;
    c->requests++;
    p->sent_before = c->stream->bytes_out;
    http_reader_reset(c->reader, &p->conf->limits);
    if (p->sends_head)
        http_reader_expect_no_body(c->reader);
}

/* Nobody answers: an old answer, or the status. */
static int give_up(struct proxy *p, unsigned why, unsigned status)
{
    return proxy_cache_has_stale(p, why) ? proxy_cache_send_stale(p)
                                         : (int)status;
}

/*
 * Ask one more peer.  VERDICT_PENDING when something is under way, else the
 * status.  A peer that cannot even be dialled counts as a failed try.
 */
static int try_peer(struct proxy *p)
{
    struct request *r = p->request;

    for (;;) {
        uint64_t now_ms = clock_now_ms();
        struct peer *peer = upstream_pick(p);
        if (!peer) {
            if (!p->trace->n)
                log_err(&r->log, "no live upstreams");
            return give_up(p, NEXT_ERROR, 502);
        }
        if (p->tries_left)
            p->tries_left--;
        begin_try(p, peer);
        r->upstream_peer = this_try(p)->address;
        request_doing(r, "connecting to upstream");

        /* One that speaks for a client is of no use to another. */
        struct upstream_conn *c =
            p->protocol
                ? NULL
                : upstream_take_idle(p->upstream, peer, &p->ssl, p->dial.local);
        if (c) {
            stream_hand_over(c->stream, &proxy_upstream_events, c);
            adopt(p, c);
            connected(p);
            return VERDICT_PENDING;
        }
        bool pending;
        c = upstream_dial(request_loop(r), p->upstream, peer, &p->conf->limits,
                          &p->dial, &pending);
        if (c && proxy_ssl_dial(p, c) == -1) {
            upstream_conn_close(c);
            c = NULL;
            errno = ENOMEM;
        }
        if (c) {
            adopt(p, c);
            p->state = PROXY_CONNECTING;
            proxy_arm(p, p->conf->connect_timeout_ms);
            if (!pending && !c->tls) /* else on_connect says so */
                connected(p);
            return VERDICT_PENDING;
        }
        log_errno(&r->log, LEVEL_ERROR, errno, "connect() to %.*s failed",
                  STR_ARG(peer->name));
        this_try(p)->status = 502;
        end_try(p);
        upstream_release(p, peer);
        balance_failed(&p->upstream->balance, peer, now_ms);
        if (!proxy_may_retry(p, NEXT_ERROR))
            return give_up(p, NEXT_ERROR, 502);
    }
}

bool proxy_has_another_peer(struct proxy *p)
{
    p->ask.now_ms = clock_now_ms();
    return balance_has_usable(&p->upstream->balance, &p->ask);
}

bool proxy_may_retry(const struct proxy *p, unsigned why)
{
    const struct proxy_conf *c = p->conf;
    const struct request *r = p->request;
    bool safe = http_method_is_idempotent(r->head.method) ||
                c->next_upstream & NEXT_NON_IDEMPOTENT || !p->request_sent;

    if (!(c->next_upstream & why) || c->next_upstream & NEXT_OFF || !safe ||
        p->body_lost || r->response.head_sent)
        return false;
    if (c->next_tries && !p->tries_left)
        return false;
    return !c->next_timeout_ms ||
           clock_now_ms() - p->started_ms < c->next_timeout_ms;
}

/* A pooled connection that died under the request says nothing about its
 * peer: ask the same one again, on a fresh connection. */
static bool forgive_stale_connection(struct proxy *p, unsigned why)
{
    struct upstream_conn *c = p->conn;
    if (!c || !c->reused || why != NEXT_ERROR)
        return false;
    p->ask.tried[c->peer - p->upstream->balance.peers] = false;
    if (p->conf->next_tries)
        p->tries_left++;
    return true;
}

void proxy_try_failed(struct proxy *p, unsigned why, unsigned status)
{
    uint64_t now_ms = clock_now_ms();

    if (p->state == PROXY_OVER)
        return;
    /* A peer that says 403 or 404 is well (nginx: the same). */
    bool is_failure = !(why & (NEXT_403 | NEXT_404));
    if (!forgive_stale_connection(p, why) && p->conn && is_failure &&
        balance_failed(&p->upstream->balance, p->conn->peer, now_ms))
        log_warn(&p->request->log, "upstream server temporarily disabled");
    if (p->trace->n && !this_try(p)->status)
        this_try(p)->status = status;
    let_go(p, false);
    int verdict;
    if (proxy_may_retry(p, why) && proxy_has_another_peer(p)) {
        p->state = PROXY_NEW;
        verdict = try_peer(p);
    } else {
        verdict = give_up(p, why, status);
    }
    if (verdict != VERDICT_PENDING)
        proxy_finish(p, verdict);
}

void proxy_upstream_timeout(struct upstream_conn *c)
{
    struct proxy *p = c->proxy;

    if (p->state == PROXY_TUNNEL) {
        tunnel_close(p);
        return;
    }
    if (p->rate_wait) {
        p->rate_wait = false;
        proxy_arm(p, p->conf->read_timeout_ms);
        stream_resume(c->stream);
        return;
    }
    if (c->stream->paused) {
        /* It is the client that is slow, and its own timeout is running. */
        proxy_arm(p, p->conf->read_timeout_ms);
        return;
    }
    log_errno(&p->request->log, LEVEL_ERROR, ETIMEDOUT, "upstream timed out");
    if (p->state == PROXY_RECEIVING)
        proxy_end_body(p, 504);
    else
        proxy_try_failed(p, NEXT_TIMEOUT, 504);
}

/* ---- the end ---- */

/* The connection is not needed any more. */
static void part(struct proxy *p, int verdict)
{
    bool keep = verdict == VERDICT_DONE && p->response_ended && p->keep &&
                p->conn && !p->protocol && !proxy_request_is_left(p);

    if (p->conn && verdict == VERDICT_DONE)
        balance_succeeded(&p->upstream->balance, p->conn->peer, clock_now_ms());
    let_go(p, keep);
}

void proxy_finish(struct proxy *p, int verdict)
{
    if (p->state == PROXY_OVER)
        return;
    p->state = PROXY_OVER;
    part(p, verdict);
    request_finish(p->request, verdict);
}

void proxy_end_body(struct proxy *p, int verdict)
{
    if (!proxy_spool_holds(p)) {
        proxy_finish(p, verdict);
        return;
    }
    p->spool.ended = true;
    p->spool.verdict = verdict;
    part(p, verdict);
    p->state = PROXY_SPOOLED;
}

/* ---- the handler ---- */

/* Another handler of this request may have asked upstreams before. */
static void trace_begin(struct proxy *p)
{
    struct request *r = p->request;

    if (r->upstream)
        r->upstream->redirected = r->upstream->n > 0;
    else
        r->upstream = arena_calloc(r->arena, sizeof *r->upstream);
    p->trace = r->upstream;
}

int proxy_use_upstream(struct proxy *p)
{
    int verdict = proxy_cache_start(p);
    return verdict == VERDICT_DECLINED ? proxy_ask(p) : verdict;
}

int proxy_ask(struct proxy *p)
{
    if (p->upstream->names && proxy_wait_for_names(p))
        return VERDICT_PENDING;
    int verdict = proxy_ssl_choose(p);
    if (verdict == VERDICT_DECLINED)
        verdict = proxy_socket_choose(p);
    if (verdict == VERDICT_DECLINED)
        verdict = proxy_make_head(p, p->request->upstream_uri);
    if (verdict != VERDICT_DECLINED)
        return verdict;
    if (p->request->body_discarded)
        buf_clear(&p->body); /* what came while the name was resolved */
    upstream_ask(p);
    return try_peer(p);
}

/* The request body is as complete as it has to be. */
static int begin(struct proxy *p)
{
    p->state = PROXY_NEW;
    p->started_ms = clock_now_ms();
    int verdict = choose_upstream(p);
    return verdict == VERDICT_DECLINED ? proxy_use_upstream(p) : verdict;
}

/* Is the body to be read before anybody is asked?  An HTTP/1.0 upstream can
 * not be sent one of unknown length (nginx reads it then, too). */
static bool reads_first(const struct proxy *p)
{
    const struct request *r = p->request;
    const struct proxy_conf *c = p->conf;

    return c->request_buffering || c->set_body || !c->pass_request_body ||
           (r->head.body == BODY_CHUNKED && c->http_version == 10);
}

static int proxy_start(struct request *r)
{
    const struct proxy_conf *conf = request_conf(r, &proxy_module);
    const struct body_conf *body = request_conf(r, &body_module);
    struct proxy *p = arena_calloc(r->arena, sizeof *p);

    p->request = r;
    p->conf = conf;
    p->state = PROXY_NEW;
    p->spool.fd = -1;
    p->tries_left = (unsigned)conf->next_tries;
    p->body_most = (size_t)body->buffer_size;
    buf_init(&p->body, p->body_most);
    r->handler_state = p;
    trace_begin(p);
    p->buffering = conf->buffering;
    r->output_max = conf->buffering
                        ? (size_t)(conf->buffers * conf->buffers_size)
                        : (size_t)conf->buffer_size;
    if (r->body_streamed && r->head.method != METHOD_GET &&
        r->head.method != METHOD_HEAD) {
        log_err(&r->log, "request body was streamed to an upstream and is "
                         "not there for another");
        return 500;
    }
    if (r->body_complete || r->body_discarded || r->body_streamed)
        return begin(p);
    request_send_continue(r);
    if (!reads_first(p)) {
        p->streams = true;
        return begin(p);
    }
    p->state = PROXY_READING;
    request_doing(r, "reading client request body");
    body_start(r);
    return VERDICT_PENDING;
}

void proxy_leave(struct proxy *p)
{
    p->state = PROXY_OVER;
    part(p, VERDICT_DONE);
}

static void proxy_on_body(struct request *r, const uint8_t *data, size_t n,
                          bool last)
{
    struct proxy *p = r->handler_state;

    if (p->state != PROXY_READING) {
        proxy_send_body(p, data, n, last);
        return;
    }
    int verdict = VERDICT_PENDING;
    if (!body_put(r, data, n) || (last && !body_end(r)))
        verdict = 500;
    else if (last)
        verdict = begin(p);
    if (verdict != VERDICT_PENDING)
        proxy_finish(p, verdict);
}

static void proxy_on_drain(struct request *r)
{
    struct proxy *p = r->handler_state;

    if (proxy_spool_holds(p))
        proxy_spool_drain(p);
    else
        proxy_go_on_reading(p);
}

static void proxy_on_eof(struct request *r)
{
    struct proxy *p = r->handler_state;
    if (p->conf->ignore_client_abort || p->state == PROXY_OVER ||
        p->state == PROXY_SPOOLED || p->spool.whole)
        return; /* what is kept is fetched to its end */
    log_info(&r->log, "client prematurely closed connection, so upstream "
                      "connection is closed too");
    proxy_finish(p, 499);
}

static void proxy_on_done(struct request *r)
{
    struct proxy *p = r->handler_state;
    if (!p)
        return;
    p->state = PROXY_OVER;
    resolver_cancel(&p->resolving);
    let_go(p, false);
    loop_cancel(&p->spool.more);
    proxy_cache_end(p);
    buf_fini(&p->body);
}

const struct handler proxy_handler = {
    .name = "proxy",
    .start = proxy_start,
    .on_body = proxy_on_body,
    .on_drain = proxy_on_drain,
    .on_eof = proxy_on_eof,
    .on_abort = proxy_on_done,
    .on_done = proxy_on_done,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/exchange.h"

#include "base/check.h"
#include "base/clock.h"
#include "logs.h"
#include "offer.h"

enum {
    OUTPUT_MAX = 64 << 10 /* bytes that wait for the client before the backend
                             has to */
};

void exchange_let_go(struct exchange *x)
{
    x->state = EXCHANGE_OVER;
    timer_clear(&x->timer);
    buf_fini(&x->pending);
}

static void end_request(struct exchange *x, int verdict)
{
    exchange_let_go(x);
    request_finish(x->request, verdict);
}

static void reset(struct exchange *x, enum sluice_error code, const char *why)
{
    struct sluice_http_reset h = {
        .cid = x->cid, .code = (uint16_t)code, .text = str_c(why)};

    sluice_http_reset_put(&x->link->scratch, &h);
    link_send_scratch(x->link);
    link_client_unbind(exchange_client(x));
}

void exchange_fail(struct exchange *x, unsigned status, enum sluice_error code,
                   const char *why)
{
    if (x->state == EXCHANGE_OVER)
        return;
    if (x->link) {
        logs_tell(x->link, exchange_client(x), LEVEL_INFO,
                  "request ends with %u: %s", status, sluice_error_name(code));
        reset(x, code, why);
    }
    end_request(x, (int)status);
}

/* ---- time ---- */

static void on_timer(struct timer *t)
{
    struct exchange *x = CONTAINER(t, struct exchange, timer);

    log_err(&x->request->log, "backend timed out");
    exchange_fail(x, 504, SLUICE_ERROR_TIMEOUT, "timed out");
}

/* While the request is coming, or the response is not leaving, it is the
 * client who is slow, and has timeouts of its own; but a client that is not
 * read, because the backend gives no credit or has paused it, has none. */
static bool is_up_to_backend(const struct exchange *x)
{
    bool has_all = x->body_sent || x->request->body_paused;
    return x->state < EXCHANGE_ANSWERED && has_all && !x->request->blocked;
}

void exchange_await(struct exchange *x)
{
    if (is_up_to_backend(x))
        timer_set(bridge.loop, &x->timer, x->conf->read_timeout_ms);
    else
        timer_clear(&x->timer);
}

/* ---- which backend ---- */

static bool bind_to(struct exchange *x, struct link *l, struct app *app)
{
    const struct pool_settings *set = &l->backend->pool->conf->set;

    x->window_in = (uint32_t)set->client_window;
    if (x->window_in > l->peer_window)
        x->window_in = l->peer_window;
    x->window_out = (uint32_t)set->reply_window;
    return link_client_bind(exchange_client(x), l, app);
}

/* 0, or the status when no backend takes it. */
static unsigned offer(struct exchange *x)
{
    struct offer o;
    struct app *app;
    struct link *l;

    if (!offer_begin(&o, x->request, x->conf->pool->name, x->conf->app))
        return o.status;
    o.features = SLUICE_FEATURE_HTTP;
    if (x->upgrade)
        o.features |= SLUICE_FEATURE_TUNNEL;
    while ((l = offer_next(&o, &app))) {
        if (!bind_to(x, l, app)) {
            offer_declined(&o, 503);
            continue;
        }
        x->backend_path = arena_str(x->request->arena, str_c(l->backend->path));
        if (exchange_send_request(x)) {
            exchange_await(x);
            return 0;
        }
        log_err(&x->request->log,
                "request is too big for the backend's frames");
        link_client_unbind(exchange_client(x));
        return 431;
    }
    return o.status;
}

/* Can another backend be asked without the chance that both act? */
static bool may_offer_again(const struct exchange *x)
{
    return x->state == EXCHANGE_WAITING && !x->begun && !x->offered_again &&
           http_method_is_idempotent(x->request->head.method);
}

void exchange_lost(struct exchange *x)
{
    link_client_unbind(exchange_client(x));
    if (x->state == EXCHANGE_ANSWERED)
        return;
    if (may_offer_again(x)) {
        x->offered_again = true;
        if (!offer(x))
            return;
    }
    log_err(&x->request->log, "backend was lost while it had the request");
    exchange_fail(x, 502, SLUICE_ERROR_INTERNAL, "");
}

/* ---- the handler ---- */

/* RFC 9110 section 7.8 lets a server ignore an upgrade; but a client that
 * wants a protocol of its own can do nothing with a response in HTTP. */
static bool wants_another_protocol(struct request *r)
{
    struct str wanted = http_head_find(&r->head, STR("Upgrade"));
    return r->head.upgrade && !str_starts_nocase(wanted, STR("h2c")) &&
           !str_starts_nocase(wanted, STR("HTTP/")) &&
           !str_starts_nocase(wanted, STR("TLS/"));
}

static int refuse_upgrade(struct request *r)
{
    response_add(r, STR("Upgrade"), STR("HTTP/1.1"));
    response_add(r, STR("Connection"), STR("Upgrade"));
    return 426;
}

static int on_start(struct request *r)
{
    const struct backend_pass_conf *conf =
        request_conf(r, &backend_pass_module);

    bool upgrade = wants_another_protocol(r);
    if (upgrade && !conf->pool->set.allow_tunnel)
        return refuse_upgrade(r);
    struct exchange *x = arena_calloc(r->arena, sizeof *x);
    x->upgrade = upgrade;
    x->kind = LINK_EXCHANGE;
    x->request = r;
    x->conf = conf;
    x->body_ended = x->body_sent = r->body_complete;
    timer_init(&x->timer, on_timer);
    r->handler_state = x;
    r->output_max = OUTPUT_MAX;
    request_doing(r, "waiting for a backend");
    unsigned status = offer(x);
    if (!status)
        return VERDICT_PENDING;
    x->state = EXCHANGE_OVER;
    /* No backend that could take it so is there. */
    if (upgrade && status == 501)
        return refuse_upgrade(r);
    return (int)status;
}

static void on_eof(struct request *r)
{
    struct exchange *x = r->handler_state;
    if (x->state < EXCHANGE_ANSWERED)
        exchange_fail(x, 499, SLUICE_ERROR_NO_SUCH_CLIENT, "client left");
}

/* Of who asked for it, the last word: the response has left or never will. */
static void tell_done(struct exchange *x, bool complete)
{
    struct sluice_http_done d = {
        .cid = x->cid,
        .bytes_out = x->request->bytes_sent,
        .complete = complete,
    };
    sluice_http_done_put(&x->link->scratch, &d);
    link_send_scratch(x->link);
}

bool exchange_wants_done(const struct exchange *x)
{
    if (x->knows_mask)
        return x->wants_done;
    return x->app && x->app->event_mask & SLUICE_EVENT_HTTP_DONE;
}

/* The backend knows already. */
static void leave_backend(struct exchange *x)
{
    if (exchange_wants_done(x))
        tell_done(x, false);
    link_client_unbind(exchange_client(x));
}

void exchange_given_up(struct exchange *x)
{
    leave_backend(x);
    end_request(x, 502);
}

void exchange_terminate(struct exchange *x)
{
    leave_backend(x);
    exchange_let_go(x);
    request_reset(x->request);
}

/* The request is over, however: so is the id. */
static void on_done(struct request *r)
{
    struct exchange *x = r->handler_state;

    if (!x)
        return;
    timer_clear(&x->timer);
    buf_fini(&x->pending);
    if (!x->link) {
        x->state = EXCHANGE_OVER;
        return;
    }
    bool answered = x->state == EXCHANGE_ANSWERED;
    x->state = EXCHANGE_OVER;
    if (!answered)
        reset(x, SLUICE_ERROR_NO_SUCH_CLIENT, "client left");
    else if (exchange_wants_done(x)) {
        tell_done(x, !r->aborted && !r->truncated);
        link_client_unbind(exchange_client(x));
    } else if (!x->body_sent) {
        reset(x, SLUICE_ERROR_NO_SUCH_CLIENT, "the response is complete");
    } else {
        link_client_unbind(exchange_client(x));
    }
}

const struct handler backend_handler = {
    .name = "backend",
    .start = on_start,
    .on_body = exchange_on_body,
    .on_drain = exchange_on_drain,
    .on_eof = on_eof,
    .on_abort = on_done,
    .on_done = on_done,
};

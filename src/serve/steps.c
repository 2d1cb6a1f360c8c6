/* SPDX-License-Identifier: BSD-2-Clause */
#include "steps.h"

#include "base/check.h"
#include "base/clock.h"
#include "exchange.h"
#include "http/uri.h"
#include "serve/access.h"
#include "serve/core.h"
#include "serve/error_page.h"
#include "serve/limit.h"
#include "serve/mirror.h"
#include "serve/real_ip.h"
#include "serve/rewrite.h"
#include "serve/ssl.h"
#include "serve/static.h"
#include "serve/subrequest.h"
#include "serve/upgrade.h"

enum {
    DISCARD_MAX = 1024 * 1024 /* bytes of an unwanted body that are read to
                                 keep a connection alive */
};

static upgrade_fn *upgrade_hook;

void request_set_upgrade(upgrade_fn *upgrade)
{
    upgrade_hook = upgrade;
}

static upgrade_refused_fn *refused_hook;

void request_set_upgrade_refused(upgrade_refused_fn *refused)
{
    refused_hook = refused;
}

/* The verdict of a step. */
static int noted(struct request *r, int verdict)
{
    if (verdict >= 400 && r->head.upgrade && refused_hook && !request_is_sub(r))
        refused_hook(r, (unsigned)verdict);
    return verdict;
}

/* ---- keep-alive ---- */

/* MSIE 6 and old Safari mishandle kept connections after a POST. */
static bool browser_is_disabled(const struct request *r, unsigned disabled)
{
    if (r->head.method != METHOD_POST || disabled == KEEPALIVE_DISABLE_NONE)
        return false;
    struct str agent = http_head_find(&r->head, STR("User-Agent"));
    return agent.n && disabled & KEEPALIVE_DISABLE_MSIE6 &&
           memmem(agent.p, agent.n, "MSIE 6.", 7) &&
           !memmem(agent.p, agent.n, "Opera", 5);
}

/* An unread body must be read before the next request: only when it is known
 * to be coming and not large. */
static bool body_may_be_discarded(const struct request *r)
{
    if (r->body_complete)
        return true;
    if (r->head.expect_continue && !r->continue_sent && !r->body_received)
        return false; /* the client may or may not send it (RFC 9110 10.1.1) */
    if (r->handler && r->handler->on_body && !r->body_discarded)
        return true; /* somebody reads it; see request_complete() */
    return r->head.body == BODY_LENGTH &&
           r->head.content_length - r->body_received <= DISCARD_MAX;
}

void steps_decide_keep_alive(struct request *r)
{
    const struct core_conf *conf = core_conf_of(r->location);
    const struct client *c = r->client;

    if (!r->keep_alive)
        return;
    r->keep_alive =
        conf->keepalive_timeout_ms && c->requests < conf->keepalive_requests &&
        clock_now_ms() - c->started_ms < conf->keepalive_time_ms &&
        !c->listeners->draining && !c->eof && body_may_be_discarded(r) &&
        !browser_is_disabled(r, conf->keepalive_disable);
}

/* ---- which server ---- */

/* "Example.ORG.:80" -> "example.org"; the reader checked the syntax. */
static struct str host_of(struct arena *arena, struct str authority)
{
    struct str host = authority;
    size_t end = 0;

    if (host.n && host.p[0] == '[')
        end = str_find(host, ']', 0);
    host = str_slice(host, 0, str_find(host, ':', end));
    if (host.n && host.p[host.n - 1] == '.')
        host.n--;
    host = arena_str(arena, host);
    for (size_t i = 0; i < host.n; i++)
        ((char *)(uintptr_t)host.p)[i] = ascii_lower(host.p[i]);
    return host;
}

static void choose_server(struct request *r)
{
    struct server *s = names_find(r->listen->names, r->host, &r->eval);
    if (!s)
        return; /* the default one is set */
    r->server = s;
    r->location = s->root;
    r->log.target = core_conf_of(r->location)->log;
}

/* ---- which location ---- */

static void enter(struct request *r, struct location *l)
{
    r->location = l;
    r->log.target = core_conf_of(l)->log;
}

/* Answers 301 when only the slash at the end is missing before a location
 * that is passed on (as nginx does for proxied prefixes). */
static int redirect_to_slash(struct request *r)
{
    response_reset(r);
    struct str args = r->args;
    r->response.location =
        arena_printf(r->arena, "%.*s/%s%.*s", STR_ARG(r->uri),
                     args.n ? "?" : "", STR_ARG(args));
    return 301;
}

/* As soon as the location is known (nginx does the same): its rewrites do not
 * let a body pass that it must not have. */
static int check_body_size(struct request *r)
{
    uint64_t max = core_conf_of(r->location)->client_max_body_size;

    if (!max || r->body_discarded || r->head.body != BODY_LENGTH ||
        r->head.content_length <= max)
        return VERDICT_DECLINED;
    log_err(&r->log, "client intended to send too large body: %llu bytes",
            (unsigned long long)r->head.content_length);
    r->keep_alive = false;
    r->body_discarded = true;
    return 413;
}

static int choose_location(struct request *r)
{
    void *slash = NULL;
    struct location *found =
        locations_find(r->server->locations, r->uri, &r->eval, &slash);
    struct location *add_slash = slash;

    r->uri_rewritten = false;
    if (add_slash && add_slash->handler && add_slash != found)
        return redirect_to_slash(r);
    enter(r, found ? found : r->server->root);
    log_debug(&r->log, "http uri \"%.*s\" uses location \"%.*s\"",
              STR_ARG(r->uri), STR_ARG(r->location->text));
    int verdict = check_body_size(r);
    return verdict == VERDICT_DECLINED ? access_enter(r) : verdict;
}

/* ---- the steps ---- */

static int start_handler(struct request *r, const struct handler *h)
{
    r->handler = h;
    log_debug(&r->log, "http handler %s", h->name);
    int verdict = h->start(r);
    log_debug(&r->log, "http handler %s says %d", h->name, verdict);
    if (verdict == VERDICT_DECLINED)
        r->handler = NULL;
    return verdict;
}

/* What runs in a location before its handler; in order.  Who may ask was
 * decided for the client's request, not for what is made of it. */
static const struct {
    int (*run)(struct request *r);
    bool of_main_only;
} steps[] = {
    {real_ip_run, true}, {limit_req_run, true}, {limit_conn_run, true},
    {access_run, true},  {mirror_run, true},
};

/* The body must not pass while there is nobody to take it. */
static void hold_body(struct request *r)
{
    if (r->body_complete || r->body_held)
        return;
    r->body_held = true;
    request_pause_body(r);
}

static int run_handler(struct request *r)
{
    int verdict = VERDICT_DECLINED;

    if (r->body_held) {
        r->body_held = false;
        request_resume_body(r);
    }
    if (upgrade_hook && !request_is_sub(r))
        verdict = upgrade_hook(r);
    if (verdict == VERDICT_DECLINED && r->location->handler)
        verdict = start_handler(r, r->location->handler);
    if (verdict == VERDICT_DECLINED)
        verdict = start_handler(r, &static_handler);
    return verdict;
}

static int run_steps(struct request *r)
{
    for (; r->step < COUNT(steps); r->step++) {
        if (steps[r->step].of_main_only && request_is_sub(r))
            continue;
        int verdict = steps[r->step].run(r);
        if (verdict == VERDICT_PENDING)
            hold_body(r);
        if (verdict != VERDICT_DECLINED)
            return noted(r, verdict);
    }
    return run_handler(r);
}

static int run_content(struct request *r)
{
    r->step = 0;
    return run_steps(r);
}

void request_go_on(struct request *r, int verdict)
{
    if (r->done || r->finishing)
        return;
    if (verdict == VERDICT_DECLINED) {
        r->step++;
        verdict = run_steps(r);
    } else {
        noted(r, verdict);
    }
    request_finish(r, verdict);
}

/* ---- waiting ---- */

struct delay {
    struct request *request;
    struct timer timer;
    int verdict;
};

static void wait_is_over(struct timer *timer)
{
    struct delay *d = CONTAINER(timer, struct delay, timer);
    if (!d->request->aborted)
        request_go_on(d->request, d->verdict);
}

static void forget_delay(void *arg)
{
    struct delay *d = arg;
    timer_clear(&d->timer);
}

int request_wait(struct request *r, uint64_t ms, int verdict)
{
    struct delay *d = arena_calloc(r->arena, sizeof *d);
    d->request = r;
    d->verdict = verdict;
    timer_init(&d->timer, wait_is_over);
    arena_on_destroy(r->arena, forget_delay, d);
    timer_set(request_loop(r), &d->timer, ms);
    return VERDICT_PENDING;
}

/* Rewrites of a location may lead to another one, a bounded number of
 * times. */
static int run_locations(struct request *r)
{
    for (;;) {
        int verdict = choose_location(r);
        if (verdict != VERDICT_DECLINED)
            return verdict;
        r->uri_changed = false;
        verdict = rewrite_run_location(r);
        if (verdict != VERDICT_DECLINED)
            return verdict;
        if (!r->uri_changed)
            return run_content(r);
        if (r->uri_changes_left-- == 0) {
            log_err(&r->log,
                    "rewrite or internal redirection cycle while "
                    "processing \"%.*s\"",
                    STR_ARG(r->uri));
            return 500;
        }
    }
}

static int run(struct request *r)
{
    enter(r, r->server->root);
    int verdict = rewrite_run_server(r);
    if (verdict != VERDICT_DECLINED)
        return verdict;
    return run_locations(r);
}

static int prepare(struct request *r)
{
    const struct core_conf *conf = core_conf_of(r->location);

    if (r->head.method == METHOD_CONNECT || r->head.method == METHOD_TRACE)
        return 405;
    if (str_eq(r->head.path, STR("*"))) /* OPTIONS *: RFC 9110 9.3.7 */
        return request_respond(r, 200, STR(""), STR(""));
    struct http_uri uri;
    if (http_uri_parse(r->head.path, conf->merge_slashes, r->arena, &uri) < 0) {
        log_info(&r->log, "client sent invalid request target");
        return 400;
    }
    r->uri = uri.path;
    r->args = uri.args;
    r->uri_is_as_sent = true;
    return VERDICT_DECLINED;
}

void steps_begin(struct request *r)
{
    r->log.doing = NULL;
    r->keep_alive = r->head.keep_alive;
    r->host = host_of(r->arena, r->head.authority);
    choose_server(r);
    log_debug(&r->log, "http request \"%.*s\" for server \"%.*s\"",
              STR_ARG(r->raw), STR_ARG(r->server->name));
    int verdict = prepare(r);
    if (verdict == VERDICT_DECLINED)
        verdict = ssl_check(r);
    if (verdict == VERDICT_DECLINED)
        verdict = real_ip_run(r); /* for the server's rewrites */
    if (verdict == VERDICT_DECLINED)
        verdict = run(r);
    request_finish(r, verdict);
}

void steps_begin_sub(struct request *r)
{
    const struct subrequest *s = r->subrequest;

    if (s->flags & SUBREQUEST_CLONE) {
        enter(r, s->parent->location);
        request_finish(r, run_content(r));
    } else {
        request_finish(r, run(r));
    }
}

/* ---- endings ---- */

/* The client, or the parent, must see that it did not get everything. */
static void cut_off(struct request *r)
{
    if (request_is_sub(r))
        subrequest_end(r, false);
    else
        client_abort(r->client);
}

void request_complete(struct request *r)
{
    struct response *p = &r->response;

    if (!r->finishing || r->done || r->taken || !p->finished)
        return;
    bool cut = !p->header_only && p->content_length >= 0 &&
               r->body_sent < (uint64_t)p->content_length;
    if (cut || r->truncated) {
        cut_off(r);
        return;
    }
    if (request_is_sub(r)) {
        subrequest_end(r, true);
        return;
    }
    if (r->keep_alive && !r->body_ended &&
        (r->head.body == BODY_CHUNKED ||
         r->head.content_length - r->body_received > DISCARD_MAX))
        r->keep_alive = false; /* the rest is lingered for */
    if (r->keep_alive && !r->body_ended) {
        r->body_discarded = true; /* its end comes back here */
        if (r->body_paused)
            request_resume_body(r);
        return;
    }
    if (list_is_empty(&r->subrequests))
        exchange_done(r); /* else the last of them comes back here */
}

void request_finish(struct request *r, int verdict)
{
    if (r->done || r->finishing || verdict == VERDICT_PENDING)
        return;
    if (verdict >= 100)
        subrequests_abort(r, false);
    while (verdict >= 100 && !r->response.head_sent && verdict != 499)
        verdict = error_page_answer(r, (unsigned)verdict);
    if (verdict == VERDICT_PENDING)
        return;
    if (verdict != VERDICT_DONE || !(r->response.ended || r->file)) {
        /* 499, 444, or trouble after the head was sent. */
        if (verdict > 0 && !r->response.head_sent)
            r->response.status = (unsigned)verdict;
        cut_off(r);
        return;
    }
    r->finishing = true;
    request_complete(r);
}

void request_reset(struct request *r)
{
    if (!r->main->response.head_sent)
        r->main->response.status = 444;
    client_reset(r->client);
}

int request_redirect_internally(struct request *r, struct str uri,
                                struct str args)
{
    if (r->uri_changes_left-- == 0) {
        log_err(&r->log,
                "rewrite or internal redirection cycle while internally "
                "redirecting to \"%.*s\"",
                STR_ARG(uri));
        return 500;
    }
    r->uri = uri;
    r->args = args;
    r->uri_is_as_sent = false;
    r->internal = true;
    steps_leave_handler(r);
    return run(r);
}

int request_named_location(struct request *r, struct str name)
{
    struct location *l = locations_find_named(r->server->locations, name);

    if (r->uri_changes_left-- == 0) {
        log_err(&r->log,
                "rewrite or internal redirection cycle while "
                "redirect to named location \"%.*s\"",
                STR_ARG(name));
        return 500;
    }
    if (!l) {
        log_err(&r->log, "could not find named location \"%.*s\"",
                STR_ARG(name));
        return 500;
    }
    r->internal = true;
    steps_leave_handler(r);
    enter(r, l);
    r->uri_changed = false;
    int verdict = rewrite_run_location(r);
    if (verdict != VERDICT_DECLINED)
        return verdict;
    return r->uri_changed ? run_locations(r) : run_content(r);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/subrequest.h"

#include "base/check.h"
#include "exchange.h"
#include "steps.h"

/* ---- the wire ---- */

static size_t sub_send(struct request *r, const struct iovec *iov, int n,
                       bool last)
{
    struct subrequest *s = r->subrequest;
    bool first = !r->response.head_sent, room = true;
    size_t size = 0;

    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    r->body_sent += size;
    r->response.head_sent = true;
    if (first && r->error_status)
        r->response.status = r->error_status;
    if (last)
        r->response.finished = true;
    if (first && s->events->on_head)
        s->events->on_head(s->owner, r);
    if (size && !r->response.header_only && s->events->on_body &&
        !(s->flags & SUBREQUEST_HEAD_ONLY))
        room = s->events->on_body(s->owner, r, iov, n);
    if (first && !last && s->flags & SUBREQUEST_HEAD_ONLY)
        subrequest_end(r, true);
    return room ? 0 : SIZE_MAX;
}

/* 1xx are for the client, and about its own request. */
static void sub_interim(struct request *r, unsigned status,
                        const struct http_field *fields, size_t n)
{
    (void)r, (void)status, (void)fields, (void)n;
}

static const struct wire sub_wire = {
    .send = sub_send,
    .interim = sub_interim,
};

/* ---- death: in one place ---- */

static void bury(struct subrequest *s)
{
    loop_cancel(&s->task);
    list_remove(&s->link);
    exchange_say_done(s->request);
    request_resume_body(s->request);
    exchange_bury(s->request);
}

void subrequest_abort(struct request *sub)
{
    struct subrequest *s = sub->subrequest;

    if (sub->done)
        return;
    sub->aborted = true;
    subrequests_abort(sub, true);
    if (sub->handler && sub->handler->on_abort)
        sub->handler->on_abort(sub);
    bury(s);
}

void subrequests_abort(struct request *r, bool all)
{
    LIST_EACH(item, after, &r->subrequests)
    {
        struct subrequest *s = CONTAINER(item, struct subrequest, link);
        if (all || !(s->flags & SUBREQUEST_BACKGROUND))
            subrequest_abort(s->request);
    }
}

/* At the end of the turn in which it ended. */
static void on_over(struct loop_task *task)
{
    struct subrequest *s = CONTAINER(task, struct subrequest, task);
    struct request *r = s->request, *parent = s->parent;

    subrequests_abort(r, true);
    if (!r->response.finished && r->handler && r->handler->on_abort)
        r->handler->on_abort(r);
    bury(s);
    s->events->on_end(s->owner, r, s->complete);
    if (!parent->done)
        request_complete(parent);
}

void subrequest_end(struct request *sub, bool complete)
{
    struct subrequest *s = sub->subrequest;

    if (s->over || sub->done)
        return;
    s->over = true;
    s->complete = complete;
    s->task.run = on_over;
    loop_defer(request_loop(sub), &s->task);
}

/* ---- birth ---- */

static void on_start(struct loop_task *task)
{
    subrequest_start(CONTAINER(task, struct subrequest, task)->request);
}

void subrequest_start(struct request *sub)
{
    struct subrequest *s = sub->subrequest;

    if (s->started)
        return;
    s->started = true;
    loop_cancel(&s->task);
    steps_begin_sub(sub);
}

static bool is_too_many(const struct request *parent, struct str uri,
                        unsigned flags)
{
    unsigned depth = request_is_sub(parent) ? parent->subrequest->depth : 0;

    if (depth >= SUBREQUEST_DEPTH_MAX) {
        log_err(&parent->log, "subrequests cycle while processing \"%.*s\"",
                STR_ARG(uri));
        return true;
    }
    if (!(flags & SUBREQUEST_UNCOUNTED) &&
        parent->main->subrequests_made++ >= SUBREQUESTS_MAX) {
        log_err(&parent->log, "too many subrequests while processing \"%.*s\"",
                STR_ARG(uri));
        return true;
    }
    return false;
}

/* A GET of its own without a body, or what the client sent. */
static void take_head(struct request *r, const struct request *parent,
                      unsigned flags)
{
    r->head = parent->head;
    r->head.keep_alive = true;
    r->head.upgrade = false;
    if (!(flags & SUBREQUEST_METHOD)) {
        r->head.method = METHOD_GET;
        r->head.method_text = STR("GET");
    }
    if (flags & SUBREQUEST_BODY) {
        r->body_complete = parent->body_complete;
        r->body_ended = parent->body_ended;
        return;
    }
    r->head.body = BODY_NONE;
    r->head.content_length = 0;
    r->head.expect_continue = false;
    r->body_complete = r->body_ended = true;
}

struct request *subrequest_create(struct request *parent, struct str uri,
                                  struct str args, unsigned flags,
                                  const struct subrequest_events *events,
                                  void *owner)
{
    if (is_too_many(parent, uri, flags))
        return NULL;

    struct request *r = exchange_create_sub(parent);
    struct subrequest *s = arena_calloc(r->arena, sizeof *s);
    *s = (struct subrequest){
        .request = r,
        .parent = parent,
        .events = events,
        .owner = owner,
        .flags = flags,
        .depth = request_is_sub(parent) ? parent->subrequest->depth + 1 : 1,
        .task = {.run = on_start},
    };
    r->subrequest = s;
    r->wire = &sub_wire;
    take_head(r, parent, flags);
    r->uri = arena_str(r->arena, uri);
    r->args = args.n ? arena_str(r->arena, args) : (struct str){NULL, 0};
    r->internal = true;
    list_push_back(&parent->subrequests, &s->link);
    loop_defer(request_loop(r), &s->task);
    return r;
}

/* ---- what comes from the sides ---- */

void subrequest_drained(struct request *sub)
{
    if (!sub->done && !sub->subrequest->over)
        request_drained(sub);
}

void subrequests_body(struct request *r, const uint8_t *p, size_t n, bool last)
{
    LIST_EACH(item, after, &r->subrequests)
    {
        struct subrequest *s = CONTAINER(item, struct subrequest, link);
        struct request *sub = s->request;
        if (!(s->flags & SUBREQUEST_BODY) || s->over)
            continue;
        sub->body_received += n;
        if (last)
            sub->body_complete = sub->body_ended = true;
        if (!sub->body_discarded && sub->handler && sub->handler->on_body)
            sub->handler->on_body(sub, p, n, last);
    }
}

void subrequests_eof(struct request *r)
{
    LIST_EACH(item, after, &r->subrequests)
    {
        struct request *sub = CONTAINER(item, struct subrequest, link)->request;
        subrequests_eof(sub);
        if (sub->handler && sub->handler->on_eof && !sub->finishing)
            sub->handler->on_eof(sub);
    }
}

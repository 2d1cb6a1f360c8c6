/* SPDX-License-Identifier: BSD-2-Clause */
#include "filters.h"

#include "base/check.h"
#include "exchange.h"
#include "filter/encoding.h"
#include "filter/range.h"
#include "serve/body_filters.h"
#include "serve/headers.h"
#include "serve/subrequest.h"
#include "serve/userid.h"
#include "steps.h"

/* In the order they run, which is nginx's: a row runs where it is configured,
 * or for a subrequest, which may depend on what its parent's settings are. */
static const struct {
    void (*run)(struct request *r);
    bool (*is_on)(const struct conf_scope *scope); /* NULL: everywhere */
} head_filters[] = {
    {slice_filter, slice_is_on},
    {userid_filter, userid_is_on},
    {headers_filter, NULL},
    {gunzip_filter, gunzip_is_on},
    {sub_filter_filter, sub_filter_is_on},
    {charset_filter, charset_is_on},
    {ssi_filter, ssi_is_on},
    {addition_filter, addition_is_on},
    {brotli_filter, brotli_is_on},
    {gzip_filter, gzip_is_on},
    {range_filter, NULL},
};

/* Whether a row without one would have something to do. */
struct filters_conf {
    bool any;
};

static int filters_on_scope(struct conf *conf, struct conf_scope *scope,
                            void *module_conf)
{
    struct filters_conf *c = module_conf;
    (void)conf;

    c->any = false;
    for (size_t i = 0; i < COUNT(head_filters); i++)
        c->any =
            c->any || (head_filters[i].is_on && head_filters[i].is_on(scope));
    return 0;
}

static const struct directive filters_directives[] = {{.name = NULL}};

struct conf_module filters_module = {
    .name = "filters",
    .size = sizeof(struct filters_conf),
    .directives = filters_directives,
    .on_scope = filters_on_scope,
};

static bool has_no_body(const struct request *r)
{
    unsigned status = r->response.status;
    return r->head.method == METHOD_HEAD || status < 200 || status == 204 ||
           status == 304;
}

void filters_run_head(struct request *r)
{
    const struct filters_conf *c = request_conf(r, &filters_module);
    bool any = c->any || request_is_sub(r);

    r->response.head_filtered = true;
    for (size_t i = 0; any && i < COUNT(head_filters); i++)
        head_filters[i].run(r);
    if (!any) {
        headers_filter(r);
        range_filter(r);
    }
    if (r->response.vary)
        encoding_vary(r);
    r->response.header_only = has_no_body(r);
}

void filters_run_trailers(struct request *r)
{
    headers_add_trailers(r);
}

/* ---- the chain ---- */

/* In a turn of its own: a handler is on the stack when a filter fails. */
static void on_failure(struct loop_task *task)
{
    struct filters *all = CONTAINER(task, struct filters, failure);
    struct request *r = all->request;

    r->truncated = true;
    r->response.finished = true;
    if (r->finishing)
        request_complete(r);
    else
        request_finish(r, 500);
}

static void cancel_failure(void *arg)
{
    loop_cancel(&((struct filters *)arg)->failure);
}

static void fail(struct filters *all)
{
    if (all->failed)
        return;
    all->failed = true;
    all->failure.run = on_failure;
    loop_defer(request_loop(all->request), &all->failure);
}

static void free_held(void *arg)
{
    buf_fini(&((struct filter *)arg)->held);
}

struct filter *filters_add(struct request *r, const struct filter_type *type,
                           void *state)
{
    struct filters *all = r->filters;
    struct filter *f = arena_calloc(r->arena, sizeof *f);

    if (!all) {
        all = r->filters = arena_calloc(r->arena, sizeof *all);
        all->request = r;
        arena_on_destroy(r->arena, cancel_failure, all);
    }
    f->type = type;
    f->request = r;
    f->state = state;
    f->previous = all->last;
    if (all->last)
        all->last->next = f;
    else
        all->first = f;
    all->last = f;
    arena_on_destroy(r->arena, free_held, f);
    return f;
}

struct filter *filters_find(const struct request *r,
                            const struct filter_type *type)
{
    struct filter *f = r->filters ? r->filters->first : NULL;

    while (f && f->type != type)
        f = f->next;
    return f;
}

static void hold(struct filter *f, struct str bytes, bool last)
{
    buf_put(&f->held, bytes.p, bytes.n);
    f->held_last = f->held_last || last;
    f->stalled = true;
}

/* Let f take these.  False when the response failed. */
static bool take(struct filter *f, struct str *in, bool last, bool *done)
{
    int got = f->type->take(f, in, last);

    *done = got == 1;
    if (got == -1)
        fail(f->request->filters);
    return got != -1;
}

static bool put(struct request *r, struct filter *f, const struct iovec *iov,
                int n, bool last)
{
    if (r->filters->failed)
        return true; /* it goes nowhere */
    if (!f)
        return r->wire->send(r, iov, n, last) <= r->output_max;
    f->full = false;
    for (int i = 0; i < n || (i == 0 && last); i++) {
        struct str in = n ? str_n(iov[i].iov_base, iov[i].iov_len) : STR("");
        bool is_last = last && i >= n - 1, done = false;
        if (!in.n && !is_last)
            continue;
        if (!f->stalled && !take(f, &in, is_last, &done))
            return true;
        if (!done)
            hold(f, in, is_last);
    }
    return !f->stalled && !f->full;
}

bool filter_pass(struct filter *f, const struct iovec *iov, int n, bool last)
{
    bool room = put(f->request, f->next, iov, n, last);
    if (!room)
        f->full = true;
    return room;
}

bool filter_pass_str(struct filter *f, struct str s)
{
    struct iovec iov = {(void *)(uintptr_t)s.p, s.n};
    return !s.n || filter_pass(f, &iov, 1, false);
}

bool filter_pass_end(struct filter *f)
{
    return filter_pass(f, NULL, 0, true);
}

bool filters_put(struct request *r, const struct iovec *iov, int n, bool last)
{
    return put(r, r->filters->first, iov, n, last);
}

/* What was held back, again. */
static void retry(struct filter *f)
{
    struct buf held = f->held;
    struct str in = buf_str(&held);
    bool done = false;

    /* What it brings on itself meanwhile is put behind. */
    f->held = (struct buf){.max = 0};
    if (!take(f, &in, f->held_last, &done)) {
        buf_fini(&held);
        return;
    }
    f->stalled = !done;
    if (in.n) {
        buf_drop(&held, held.n - in.n);
        buf_put(&held, f->held.p, f->held.n);
        buf_fini(&f->held);
        f->held = held;
    } else {
        buf_fini(&held);
    }
}

bool filters_drain(struct request *r)
{
    struct filters *all = r->filters;

    if (all->running || all->failed)
        return false;
    all->running = true;
    struct filter *f = all->last;
    while (f && !all->failed) {
        f->full = false;
        if (f->type->drain)
            f->type->drain(f);
        if (f->stalled)
            retry(f);
        if (f->stalled || f->full)
            break;
        f = f->previous;
    }
    all->running = false;
    return !f && !all->failed;
}

void filter_fail(struct filter *f)
{
    fail(f->request->filters);
}

void filter_go_on(struct filter *f)
{
    struct request *r = f->request;

    if (!r->done && !r->aborted && !r->filters->running)
        request_drained(r);
}

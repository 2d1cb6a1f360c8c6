/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "encoding.h"
#include "serve/body_filters.h"
#include "serve/subrequest.h"

struct slice_conf {
    uint64_t size; /* bytes; 0: off */
};

/* What is asked for now, for $slice_range; one for the main request and its
 * subrequests, which follow one another. */
struct slice {
    uint64_t start, end, size; /* [start, end) of it; end 0: not known yet */
    uint64_t total;            /* bytes of all */
    struct str etag;
    struct request *sub; /* under way */
    struct filter *filter;
    bool failed, full;
};

/* ---- $slice_range ---- */

/* Where the first of the client's one range begins. */
static uint64_t wanted_start(const struct request *r)
{
    struct str field = http_head_find(&r->head, STR("Range"));
    uint64_t start = 0;

    if (http_head_find(&r->head, STR("If-Range")).p ||
        !str_starts_nocase(field, STR("bytes=")) ||
        str_find(field, ',', 0) < field.n)
        return 0;
    field = str_trim(str_slice(field, 6, field.n));
    return str_to_u64(str_slice(field, 0, str_find(field, '-', 0)), INT64_MAX,
                      &start)
               ? start
               : 0;
}

static bool get_slice_range(struct evaluation *e, const struct variable *v,
                            struct str *out)
{
    struct request *r = e->request;
    struct slice *s = r->main->slice;
    (void)v;

    if (!s) {
        const struct slice_conf *c = request_conf(r, &slice_module);
        if (request_is_sub(r) || r->response.head_sent || !c->size)
            return false;
        s = r->slice = arena_calloc(r->arena, sizeof *s);
        s->size = c->size;
        s->start = c->size * (wanted_start(r) / c->size);
    }
    *out =
        arena_printf(e->arena, "bytes=%llu-%llu", (unsigned long long)s->start,
                     (unsigned long long)(s->start + s->size - 1));
    return true;
}

const struct variable slice_variables[] = {
    {.name = "slice_range", .get = get_slice_range, .flags = VARIABLE_VOLATILE},
    {.name = NULL},
};

/* ---- the head of each slice ---- */

/* "bytes 0-99/200" */
static bool read_content_range(struct str s, uint64_t *start, uint64_t *end,
                               uint64_t *total)
{
    if (!str_starts_nocase(s, STR("bytes ")))
        return false;
    s = str_trim(str_slice(s, 6, s.n));
    struct str range = str_cut(&s, '/');
    struct str first = str_cut(&range, '-');
    if (!str_to_u64(str_trim(first), INT64_MAX, start) ||
        !str_to_u64(str_trim(range), INT64_MAX - 1, end) ||
        !str_to_u64(str_trim(s), INT64_MAX, total))
        return false;
    ++*end;
    return *start < *end && *end <= *total;
}

static struct str etag_of(const struct request *r)
{
    return r->response.etag.n ? r->response.etag
                              : response_find(r, STR("ETag"));
}

/* What is wrong with the response to slice s; NULL: nothing. */
static const char *check_slice(struct request *r, struct slice *s,
                               uint64_t *start)
{
    uint64_t end, total;

    if (r->response.status != 206)
        return "unexpected status code in slice response";
    struct str etag = etag_of(r);
    if (s->etag.p && !str_eq(s->etag, etag))
        return "etag mismatch in slice response";
    if (!s->etag.p && etag.p)
        s->etag = arena_str(r->main->arena, etag);
    if (!read_content_range(response_find(r, STR("Content-Range")), start, &end,
                            &total))
        return "invalid range in slice response";
    uint64_t expected = s->start + s->size < total ? s->start + s->size : total;
    if (*start != s->start || end != expected ||
        (s->total && s->total != total))
        return "unexpected range in slice response";
    s->total = total;
    return NULL;
}

static int take(struct filter *f, struct str *in, bool last);
static void drain(struct filter *f);

static const struct filter_type slice_type = {
    .name = "slice",
    .take = take,
    .drain = drain,
};

/* The answer to a part stands for the whole. */
static void become_whole(struct request *r, const struct slice *s,
                         uint64_t start)
{
    struct response *p = &r->response;

    p->status = 200;
    p->content_length = (int64_t)s->total;
    p->content_offset = start;
    p->allow_ranges = p->single_range = true;
    response_remove(r, STR("Content-Range"));
    response_remove(r, STR("Accept-Ranges"));
}

void slice_filter(struct request *r)
{
    struct slice *s = r->main->slice;
    uint64_t start = 0;

    if (!s || s->failed || (request_is_sub(r) && s->sub != r))
        return;
    if (!request_is_sub(r) && r->response.status != 206) {
        r->slice = NULL; /* it is whole as it is */
        return;
    }
    const char *wrong = check_slice(r, s, &start);
    if (!wrong) {
        become_whole(r, s, start);
    } else {
        log_err(&r->log, "%s", wrong);
        s->failed = true;
    }
    if (!request_is_sub(r))
        s->filter = filters_add(r, &slice_type, s);
}

/* ---- the bodies, one after another ---- */

/* How far the client wants it: all, or to the end of its range. */
static uint64_t wanted_end(const struct request *r, const struct slice *s)
{
    uint64_t start, end, total;

    if (r->response.status == 416)
        return 0;
    return r->response.status == 206 &&
                   read_content_range(response_find(r, STR("Content-Range")),
                                      &start, &end, &total)
               ? end
               : s->total;
}

static void on_head(void *owner, struct request *sub)
{
    (void)owner;
    /* It gives a part of what its head speaks of. */
    sub->response.content_length = -1;
}

static bool on_body(void *owner, struct request *sub, const struct iovec *iov,
                    int n)
{
    struct slice *s = owner;
    (void)sub;

    if (s->failed)
        return true;
    s->full = !filter_pass(s->filter, iov, n, false);
    return !s->full;
}

static void on_end(void *owner, struct request *sub, bool complete)
{
    struct slice *s = owner;
    (void)sub;

    s->sub = NULL;
    if (!complete || s->failed) {
        filter_fail(s->filter);
        return;
    }
    filter_go_on(s->filter);
}

static const struct subrequest_events events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
};

static int take(struct filter *f, struct str *in, bool last)
{
    struct slice *s = f->state;
    struct request *r = f->request;

    if (s->failed)
        return -1;
    if (in->n) {
        filter_pass_str(f, *in);
        in->n = 0;
    }
    if (!last)
        return 1;
    if (s->sub || f->full)
        return 0;
    if (!s->end)
        s->end = wanted_end(r, s);
    s->start += s->size;
    if (s->start >= s->end) {
        filter_pass_end(f);
        return 1;
    }
    s->sub =
        subrequest_create(r, r->uri, r->args,
                          SUBREQUEST_CLONE | SUBREQUEST_UNCOUNTED, &events, s);
    return s->sub ? 0 : -1;
}

static void drain(struct filter *f)
{
    struct slice *s = f->state;
    if (s->sub)
        subrequest_drained(s->sub);
}

/* ---- configuration ---- */

bool slice_is_on(const struct conf_scope *scope)
{
    const struct slice_conf *c = conf_get(scope, &slice_module);
    return c->size > 0;
}

static const struct directive slice_directives[] = {
    {.name = "slice",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = offsetof(struct slice_conf, size),
     .default_text = "0",
     .max = UINT64_C(1) << 40,
     .help = "Ask for large responses in parts of this size ($slice_range)."},
    {.name = NULL},
};

struct conf_module slice_module = {
    .name = "slice",
    .size = sizeof(struct slice_conf),
    .directives = slice_directives,
};

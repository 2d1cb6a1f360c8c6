/* SPDX-License-Identifier: BSD-2-Clause */
#include "range.h"

#include "base/random.h"
#include "http/condition.h"
#include "http/range.h"
#include "serve/error_page.h"
#include "serve/static.h"
#include "serve/subrequest.h"

enum {
    RANGES_MAX = 128, /* of one request, whatever max_ranges says */
};

/* What is cut out, in the order of the body. */
struct cut {
    struct http_range *ranges;
    struct str *heads, tail; /* of a multipart body; heads NULL: it is none */
    int n, i;
    uint64_t at; /* in the body */
};

/* ---- the body ---- */

static int take(struct filter *f, struct str *in, bool last)
{
    struct cut *c = f->state;
    bool room = true;

    while (in->n && room) {
        if (c->i == c->n) {
            in->n = 0; /* nobody asked for the rest */
            break;
        }
        const struct http_range *range = &c->ranges[c->i];
        uint64_t skip = c->at < range->start ? range->start - c->at : 0;
        if (skip) {
            size_t n = skip < in->n ? (size_t)skip : in->n;
            *in = str_slice(*in, n, in->n);
            c->at += n;
            continue;
        }
        struct iovec iov[2];
        int pieces = 0;
        if (c->heads && c->at == range->start)
            iov[pieces++] = (struct iovec){(void *)(uintptr_t)c->heads[c->i].p,
                                           c->heads[c->i].n};
        uint64_t left = range->end - c->at;
        size_t n = left < in->n ? (size_t)left : in->n;
        iov[pieces++] = (struct iovec){(void *)(uintptr_t)in->p, n};
        room = filter_pass(f, iov, pieces, false);
        *in = str_slice(*in, n, in->n);
        c->at += n;
        if (c->at == range->end)
            c->i++;
    }
    if (in->n)
        return 0;
    if (last) {
        struct iovec tail = {(void *)(uintptr_t)c->tail.p, c->tail.n};
        filter_pass(f, &tail, 1, true);
    }
    return 1;
}

static const struct filter_type range_type = {.name = "range", .take = take};

/* ---- the head ---- */

static struct str from_buf(struct request *r, struct buf *b)
{
    struct str s = arena_str(r->arena, buf_str(b));
    buf_clear(b);
    return s;
}

static void add_content_range(struct request *r, const struct http_range *range,
                              uint64_t size)
{
    struct buf b = {.max = 0};
    http_range_put(&b, range, size);
    response_add(r, STR("Content-Range"), from_buf(r, &b));
    buf_fini(&b);
}

static void make_multipart(struct request *r, struct cut *c, uint64_t size)
{
    struct response *p = &r->response;
    char text[HTTP_BOUNDARY_SIZE + 1];
    struct str boundary =
        arena_str(r->arena, http_boundary(random_u64(), text));
    struct buf b = {.max = 0};
    uint64_t total = 0;

    c->heads = arena_alloc(r->arena, (size_t)c->n * sizeof *c->heads);
    for (int i = 0; i < c->n; i++) {
        http_multipart_put_head(&b, boundary, p->content_type, &c->ranges[i],
                                size);
        c->heads[i] = from_buf(r, &b);
        total += c->heads[i].n + (c->ranges[i].end - c->ranges[i].start);
    }
    http_multipart_put_end(&b, boundary);
    c->tail = from_buf(r, &b);
    buf_fini(&b);
    p->content_type = arena_printf(
        r->arena, "multipart/byteranges; boundary=%.*s", STR_ARG(boundary));
    p->content_length = (int64_t)(total + c->tail.n);
}

/* None of what was asked for is there: the page that says so comes instead of
 * the body. */
static void refuse(struct request *r, uint64_t size)
{
    struct response *p = &r->response;
    struct cut *c = arena_calloc(r->arena, sizeof *c);

    p->status = 416;
    add_content_range(r, NULL, size);
    response_remove(r, STR("Content-Encoding"));
    c->tail = error_page_text(r, 416);
    p->content_type = STR("text/html");
    p->content_length = (int64_t)c->tail.n;
    filters_add(r, &range_type, c);
}

/* A body that passes has its bytes in one order, once. */
static bool are_in_order(const struct http_range *ranges, int n)
{
    for (int i = 1; i < n; i++)
        if (ranges[i].start < ranges[i - 1].end)
            return false;
    return true;
}

static void cut_out(struct request *r, struct http_range *ranges, int n)
{
    struct response *p = &r->response;
    struct cut *c = arena_calloc(r->arena, sizeof *c);
    uint64_t size = (uint64_t)p->content_length;

    *c = (struct cut){.ranges = ranges, .n = n, .at = p->content_offset};
    p->status = 206;
    if (n > 1) {
        make_multipart(r, c, size);
    } else {
        add_content_range(r, &ranges[0], size);
        p->content_length = (int64_t)(ranges[0].end - ranges[0].start);
    }
    filters_add(r, &range_type, c);
}

/* Validators: ours, or the upstream's fields. */
static struct http_validators validators(const struct request *r)
{
    const struct response *p = &r->response;
    struct http_validators have = {.etag = p->etag, .modified = -1};

    if (!have.etag.n)
        have.etag = response_find(r, STR("ETag"));
    have.modified = response_modified(r);
    return have;
}

void range_filter(struct request *r)
{
    const struct static_conf *conf = request_conf(r, &static_module);
    struct response *p = &r->response;

    if (!p->allow_ranges || p->status != 200 || p->content_length < 0 ||
        r->head.version < 10 || !conf->max_ranges || request_is_sub(r))
        return;
    struct str field = http_head_find(&r->head, STR("Range"));
    struct http_validators have = validators(r);
    int n = 0, max = p->single_range                 ? 1
                     : conf->max_ranges < RANGES_MAX ? (int)conf->max_ranges
                                                     : RANGES_MAX;
    struct http_range *ranges = NULL;
    if (field.p && http_condition_allows_range(&r->head, &have)) {
        ranges = arena_alloc(r->arena, (size_t)max * sizeof *ranges);
        n = http_range_parse(field, (uint64_t)p->content_length, ranges, max);
    }
    if (n == -416)
        refuse(r, (uint64_t)p->content_length);
    else if (n > 0 && are_in_order(ranges, n))
        cut_out(r, ranges, n);
    else
        response_add(r, STR("Accept-Ranges"), STR("bytes"));
}

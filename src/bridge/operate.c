/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/operate.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/utf8.h"
#include "http/uri.h"
#include "inquiry.h"
#include "roster.h"
#include "serve/core.h"
#include "serve/fields.h"
#include "stats.h"
#include "ws/close.h"

/* A request that waits for the answers of all workers. */
struct question {
    struct request *request;
    struct inquiry *inquiry; /* NULL: it is answered */
    bool found;
    bool is_one; /* a session was asked for by its id */
    struct stats_sums sums;
    struct roster_page *pages; /* of each worker, their texts are ours */
    size_t pages_n;
    uint32_t limit;
};

static void free_question(void *arg)
{
    struct question *q = arg;

    if (q->inquiry)
        inquiry_cancel(q->inquiry);
    stats_sums_fini(&q->sums);
    for (size_t i = 0; i < q->pages_n; i++)
        free((void *)(uintptr_t)q->pages[i].all.p);
    free(q->pages);
}

static struct question *question_of(struct request *r)
{
    struct question *q = arena_calloc(r->arena, sizeof *q);

    q->request = r;
    arena_on_destroy(r->arena, free_question, q);
    r->handler_state = q;
    return q;
}

static int ask(struct question *q, enum inquiry_kind kind, struct buf *text,
               inquiry_each_fn *each, inquiry_done_fn *done)
{
    q->inquiry = inquiry_ask(kind, buf_str(text), each, done, q);
    buf_fini(text);
    return q->inquiry ? VERDICT_PENDING : 503;
}

static void on_gone(struct request *r)
{
    struct question *q = r->handler_state;

    if (q && q->inquiry)
        inquiry_cancel(q->inquiry);
    if (q)
        q->inquiry = NULL;
}

static void respond(struct question *q, unsigned status, const struct buf *body)
{
    struct request *r = q->request;

    response_add(r, STR("Cache-Control"), STR("no-store"));
    request_respond(r, status, STR("application/json"),
                    arena_str(r->arena, buf_str(body)));
    request_finish(r, VERDICT_DONE);
}

/* ---- arguments ---- */

/* Decoded; false: it is not there. */
static bool argument(struct request *r, const char *name, struct str *out)
{
    struct str raw;

    if (!fields_find_arg(r->args, str_c(name), &raw))
        return false;
    char *text = arena_alloc(r->arena, raw.n + 1);
    *out = str_n(text, http_uri_unescape(text, raw));
    return true;
}

/* False: it is there and no such number. */
static bool number(struct request *r, const char *name, uint64_t max,
                   uint64_t *out)
{
    struct str text;
    return !argument(r, name, &text) || str_to_u64(text, max, out);
}

/* "PROCESS.SLOT" */
static bool place(struct request *r, struct roster_ask *ask)
{
    struct str text;
    uint64_t process, slot;

    if (!argument(r, "after", &text))
        return true;
    size_t dot = 0;
    while (dot < text.n && text.p[dot] != '.')
        dot++;
    if (dot == text.n ||
        !str_to_u64(str_slice(text, 0, dot), UINT32_MAX, &process) ||
        !str_to_u64(str_slice(text, dot + 1, text.n), UINT32_MAX, &slot))
        return false;
    ask->process = (uint32_t)process;
    ask->slot = (uint32_t)slot;
    return true;
}

/* Which of the arguments is wrong, the log says. */
static int refuse_argument(struct request *r, const char *expected)
{
    log_info(&r->log,
             "backend_sessions: client asked with a wrong argument, "
             "expected %s",
             expected);
    return 400;
}

static int refuse_method(struct request *r, struct str allowed)
{
    response_add(r, STR("Allow"), allowed);
    return 405;
}

static bool is_read(const struct request *r)
{
    return r->head.method == METHOD_GET || r->head.method == METHOD_HEAD;
}

/* ---- backend_status ---- */

static void each_status(void *arg, struct str answer)
{
    stats_sums_add(&((struct question *)arg)->sums, answer);
}

static void all_status(void *arg, unsigned missing)
{
    struct question *q = arg;
    struct buf json = {0};

    q->inquiry = NULL;
    stats_sums_put(&q->sums, missing, &json);
    respond(q, 200, &json);
    buf_fini(&json);
}

static int status_start(struct request *r)
{
    struct buf text = {0};
    struct str pool = {0};

    if (!is_read(r))
        return refuse_method(r, STR("GET, HEAD"));
    argument(r, "pool", &pool);
    buf_put_str(&text, STR("j"));
    buf_put_str(&text, pool);
    return ask(question_of(r), INQUIRY_POOLS, &text, each_status, all_status);
}

static const struct handler status_handler = {
    .name = "backend_status",
    .start = status_start,
    .on_abort = on_gone,
    .on_done = on_gone,
};

/* ---- backend_sessions: the list ---- */

static void each_page(void *arg, struct str answer)
{
    struct question *q = arg;
    struct roster_page page;

    if (!roster_get_page(&page, answer))
        return;
    char *copy = xmalloc(page.all.n + 1);
    if (page.all.n)
        memcpy(copy, page.all.p, page.all.n);
    page.all.p = copy;
    q->pages = xrealloc(q->pages, (q->pages_n + 1) * sizeof *q->pages);
    q->pages[q->pages_n++] = page;
}

static int by_process(const void *a, const void *b)
{
    const struct roster_page *x = a, *y = b;
    return x->process < y->process ? -1 : x->process > y->process;
}

static void put_next(struct buf *out, bool more, uint32_t process,
                     uint32_t slot)
{
    if (more)
        buf_printf(out, "],\"next\":\"%u.%u\"", process, slot);
    else
        buf_put_str(out, STR("],\"next\":null"));
}

/* Sessions in the order of their places, until the page is full or a worker
 * has more to look at: it goes on there. */
static uint32_t put_pages(struct question *q, struct buf *out)
{
    uint32_t n = 0, slot;
    struct str json;

    for (size_t i = 0; i < q->pages_n; i++) {
        struct str all = q->pages[i].all;
        while (roster_next(&all, &slot, &json)) {
            if (n == q->limit) {
                put_next(out, true, q->pages[i].process, slot);
                return n;
            }
            if (n++)
                buf_put_str(out, STR(","));
            buf_put_str(out, json);
        }
        if (!q->pages[i].finished && !q->is_one) {
            put_next(out, true, q->pages[i].process, q->pages[i].next);
            return n;
        }
    }
    put_next(out, false, 0, 0);
    return n;
}

static void all_pages(void *arg, unsigned missing)
{
    struct question *q = arg;
    struct buf json = {0};

    q->inquiry = NULL;
    if (q->pages_n)
        qsort(q->pages, q->pages_n, sizeof *q->pages, by_process);
    buf_put_str(&json, STR("{\"sessions\":["));
    uint32_t n = put_pages(q, &json);
    buf_printf(&json, ",\"missing\":%u}", missing);
    respond(q, q->is_one && !n ? 404 : 200, &json);
    buf_fini(&json);
}

static int list(struct request *r)
{
    struct question *q = question_of(r);
    struct roster_ask a = {.process = 0};
    uint64_t limit = ROSTER_LIMIT;
    struct buf text = {0};

    if (!number(r, "limit", ROSTER_LIMIT_MAX, &limit) || !limit)
        return refuse_argument(r, "a limit from 1 to 1000");
    if (!number(r, "id", UINT64_MAX, &a.id))
        return refuse_argument(r, "a number as id");
    if (!place(r, &a))
        return refuse_argument(r, "after as \"next\" said it");
    argument(r, "pool", &a.pool);
    argument(r, "app", &a.app);
    q->limit = a.limit = (uint32_t)limit;
    q->is_one = a.id != 0;
    roster_put_ask(&a, &text);
    return ask(q, INQUIRY_LIST, &text, each_page, all_pages);
}

/* ---- and the end of one ---- */

static void each_kill(void *arg, struct str answer)
{
    ((struct question *)arg)->found |= answer.n != 0;
}

static void all_kill(void *arg, unsigned missing)
{
    struct question *q = arg;
    struct buf json = {0};

    q->inquiry = NULL;
    buf_printf(&json, "{\"closed\":%d,\"missing\":%u}", q->found, missing);
    respond(q, q->found ? 200 : 404, &json);
    buf_fini(&json);
}

static int kill_one(struct request *r)
{
    struct roster_kill k = {0};
    uint64_t code = 0, reset = 0;
    struct buf text = {0};

    if (!number(r, "id", UINT64_MAX, &k.id) || !k.id)
        return refuse_argument(r, "the id of a session");
    if (!number(r, "code", UINT16_MAX, &code) ||
        (code && !ws_close_code_may_be_sent((unsigned)code)))
        return refuse_argument(r, "a code that a Close may have");
    if (!number(r, "terminate", 1, &reset))
        return refuse_argument(r, "terminate as 0 or 1");
    if (argument(r, "reason", &k.reason) &&
        (k.reason.n > ROSTER_REASON_MAX ||
         !utf8_is_valid(k.reason.p, k.reason.n)))
        return refuse_argument(r, "a reason of UTF-8, at most 123 bytes");
    k.code = (uint16_t)code;
    k.reset = reset != 0;
    log_notice(&r->log, "session %llu is to be closed",
               (unsigned long long)k.id);
    roster_put_kill(&k, &text);
    return ask(question_of(r), INQUIRY_KILL, &text, each_kill, all_kill);
}

static int sessions_start(struct request *r)
{
    if (is_read(r))
        return list(r);
    if (r->head.method == METHOD_DELETE)
        return kill_one(r);
    return refuse_method(r, STR("GET, HEAD, DELETE"));
}

static const struct handler sessions_handler = {
    .name = "backend_sessions",
    .start = sessions_start,
    .on_abort = on_gone,
    .on_done = on_gone,
};

/* ---- configuration ---- */

static int set_status(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    (void)conf, (void)row, (void)node, (void)field;
    location_of_scope(scope)->handler = &status_handler;
    return 0;
}

static int set_sessions(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field)
{
    (void)conf, (void)row, (void)node, (void)field;
    location_of_scope(scope)->handler = &sessions_handler;
    return 0;
}

static const struct directive operate_directives[] = {
    {
        .name = "backend_status",
        .contexts = CONF_LOCATION,
        .arity = ARGS_0,
        .set = set_status,
        .help = "Answer with what the pools of backends do and have done in "
                "all workers, as JSON; ?pool=NAME: only this one.",
    },
    {
        .name = "backend_sessions",
        .contexts = CONF_LOCATION,
        .arity = ARGS_0,
        .set = set_sessions,
        .help = "Answer GET with a page of the WebSocket sessions of all "
                "workers, as JSON, and close the one of an id by DELETE.",
    },
    {.name = NULL},
};

struct conf_module operate_module = {
    .name = "operate",
    .directives = operate_directives,
};

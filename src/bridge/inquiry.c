/* SPDX-License-Identifier: BSD-2-Clause */
#include "inquiry.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "relay.h"
#include "roster.h"
#include "serve/stats.h"
#include "stats.h"

enum {
    HEAD_SIZE = 16, /* kind u8, what u8, 0 u16, asker u32, serial u32,
                       answerer u32 */
    WORKERS_MAX = 512,
};

struct inquiry {
    struct list all;
    uint32_t serial;
    inquiry_each_fn *each;
    inquiry_done_fn *done;
    void *arg;
    struct timer timer;
    struct loop_task task; /* done(), or the grave */
    bool over;
    uint32_t *awaited; /* pids */
    size_t awaited_n;
};

static struct {
    struct list all;
    size_t n;
    uint32_t serial;
} inquiries;

/* ---- who answers what ---- */

typedef void answer_fn(struct str question, struct buf *out);

static answer_fn *const answerers[] = {
    [INQUIRY_POOLS] = stats_answer,
    [INQUIRY_LIST] = roster_answer_list,
    [INQUIRY_KILL] = roster_answer_kill,
    [INQUIRY_PUBLISH] = publish_answer,
};

static void put_head(char head[HEAD_SIZE], enum relay_kind kind, unsigned what,
                     uint32_t asker, uint32_t serial)
{
    memset(head, 0, HEAD_SIZE);
    head[0] = (char)kind;
    head[1] = (char)what;
    le32_put(head + 4, asker);
    le32_put(head + 8, serial);
    le32_put(head + 12, (uint32_t)getpid());
}

static void answer(unsigned what, uint32_t asker, uint32_t serial,
                   struct str question)
{
    char head[HEAD_SIZE];
    struct buf out = {0};

    if (what >= COUNT(answerers))
        return;
    answerers[what](question, &out);
    put_head(head, RELAY_ANSWER, what, asker, serial);
    struct str parts[] = {str_n(head, sizeof head), buf_str(&out)};
    /* An answer that is lost is one that is missing. */
    relay_send(parts, COUNT(parts));
    buf_fini(&out);
}

/* ---- who asks ---- */

static void destroy(struct inquiry *q)
{
    timer_clear(&q->timer);
    list_remove(&q->all);
    inquiries.n--;
    free(q->awaited);
    free(q);
}

static void run_done(struct loop_task *task)
{
    struct inquiry *q = CONTAINER(task, struct inquiry, task);
    inquiry_done_fn *done = q->done;
    void *arg = q->arg;
    unsigned missing = (unsigned)q->awaited_n;

    destroy(q);
    done(arg, missing);
}

static void finish(struct inquiry *q)
{
    if (q->over)
        return;
    q->over = true;
    timer_clear(&q->timer);
    loop_defer(bridge.loop, &q->task);
}

static void on_timer(struct timer *t)
{
    finish(CONTAINER(t, struct inquiry, timer));
}

static void await_others(struct inquiry *q)
{
    int pids[WORKERS_MAX];
    size_t n = relay_has_others() ? stats_others(pids, WORKERS_MAX) : 0;

    q->awaited = xcalloc(n + 1, sizeof *q->awaited);
    for (size_t i = 0; i < n; i++)
        q->awaited[i] = (uint32_t)pids[i];
    q->awaited_n = n;
}

struct inquiry *inquiry_ask(enum inquiry_kind kind, struct str question,
                            inquiry_each_fn *each, inquiry_done_fn *done,
                            void *arg)
{
    char head[HEAD_SIZE];
    struct buf own = {0};

    if (!inquiries.all.next)
        list_init(&inquiries.all);
    if (inquiries.n == INQUIRIES_MAX)
        return NULL;
    struct inquiry *q = xcalloc(1, sizeof *q);
    *q = (struct inquiry){.serial = ++inquiries.serial,
                          .each = each,
                          .done = done,
                          .arg = arg,
                          .task.run = run_done};
    timer_init(&q->timer, on_timer);
    list_push_back(&inquiries.all, &q->all);
    inquiries.n++;
    await_others(q);
    answerers[kind](question, &own);
    each(arg, buf_str(&own));
    buf_fini(&own);
    put_head(head, RELAY_QUESTION, kind, (uint32_t)getpid(), q->serial);
    struct str parts[] = {str_n(head, sizeof head), question};
    if (!q->awaited_n || !relay_send(parts, COUNT(parts)))
        finish(q);
    else
        timer_set(bridge.loop, &q->timer, INQUIRY_MS);
    return q;
}

void inquiry_cancel(struct inquiry *q)
{
    loop_cancel(&q->task);
    destroy(q);
}

/* ---- what came ---- */

static bool strike_out(struct inquiry *q, uint32_t pid)
{
    for (size_t i = 0; i < q->awaited_n; i++)
        if (q->awaited[i] == pid) {
            q->awaited[i] = q->awaited[--q->awaited_n];
            return true;
        }
    return false;
}

static void take_answer(uint32_t serial, uint32_t from, struct str text)
{
    LIST_EACH(item, after, &inquiries.all)
    {
        struct inquiry *q = CONTAINER(item, struct inquiry, all);
        if (q->serial != serial || q->over || !strike_out(q, from))
            continue;
        q->each(q->arg, text);
        if (!q->awaited_n)
            finish(q);
        return;
    }
}

void inquiry_take(struct str all)
{
    if (all.n < HEAD_SIZE)
        return;
    unsigned what = (unsigned char)all.p[1];
    uint32_t asker = le32_get(all.p + 4);
    uint32_t serial = le32_get(all.p + 8);
    struct str body = str_slice(all, HEAD_SIZE, all.n);

    if ((unsigned char)all.p[0] == RELAY_QUESTION)
        answer(what, asker, serial, body);
    else if (asker == (uint32_t)getpid() && inquiries.all.next)
        take_answer(serial, le32_get(all.p + 12), body);
}

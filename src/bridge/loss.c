/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/loss.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "bridge/session.h"
#include "logs.h"
#include "resume.h"

/* ---- one loss ---- */

static void bury(struct loop_task *task)
{
    struct loss *x = CONTAINER(task, struct loss, grave);
    struct pool *p = x->pool;

    list_remove(&x->in_pool);
    free(x->path);
    free(x);
    pool_destroy_if_done(p);
}

static void end(struct loss *x)
{
    if (x->link && x->moved)
        x->link->moved = NULL;
    else if (x->link)
        x->link->loss = NULL;
    x->link = NULL;
    timer_clear(&x->timer);
    loop_cancel(&x->task);
    if (!list_is_linked(&x->grave.link))
        loop_bury(bridge.loop, &x->grave);
}

static void look(struct loss *x)
{
    x->to_look_at = x->n;
    loop_defer(bridge.loop, &x->task);
}

static void on_timer(struct timer *t)
{
    struct loss *x = CONTAINER(t, struct loss, timer);
    struct log_ctx log = {.target = log_process.target};

    log_err(&log, "no backend took over %zu sessions of unix:%s", x->n,
            x->path);
    logs_tell_pool(x->pool, NULL, LEVEL_ERROR,
                   "no backend took over %zu sessions of unix:%s", x->n,
                   x->path);
    x->expired = true;
    look(x);
}

static void run(struct loop_task *task);

static struct loss *create(struct link *l, bool moved)
{
    struct loss *x = xcalloc(1, sizeof *x);
    struct backend *b = l->backend;

    *x = (struct loss){
        .pool = b->pool,
        .link = l,
        .path = xstrdup(b->path),
        .boot_id = l->boot_id,
        .any = b->index < 0 || l->handover || moved,
        .moved = moved,
        .task.run = run,
        .grave.run = bury,
    };
    list_init(&x->sessions);
    list_push_back(&b->pool->losses, &x->in_pool);
    x->until_ms = clock_now_ms() + b->pool->conf->set.hold_ms;
    timer_init(&x->timer, on_timer);
    timer_set(bridge.loop, &x->timer, b->pool->conf->set.hold_ms);
    *(moved ? &l->moved : &l->loss) = x;
    return x;
}

void loss_park(struct session *s, struct link *l, bool moved)
{
    struct loss *x = moved ? l->moved : l->loss;

    if (!x)
        x = create(l, moved);

    keep_more(s->keep)->loss = x;
    s->keeping = true;
    list_push_back(&x->sessions, &s->on_link);
    x->n++;
    look(x);
}

void loss_unpark(struct session *s)
{
    struct loss *x = keep_loss(s->keep);

    s->keep->more->loss = NULL;
    list_remove(&s->on_link);
    if (--x->n == 0)
        end(x);
}

void loss_hurry(struct pool *p, uint64_t timeout_ms)
{
    uint64_t until_ms = clock_now_ms() + timeout_ms;

    LIST_EACH(item, after, &p->losses)
    {
        struct loss *x = CONTAINER(item, struct loss, in_pool);
        if (!x->n || x->expired || x->until_ms <= until_ms)
            continue;
        x->until_ms = until_ms;
        timer_set(bridge.loop, &x->timer, timeout_ms);
    }
}

void loss_forget_link(struct link *l)
{
    if (l->loss)
        l->loss->link = NULL;
    if (l->moved)
        l->moved->link = NULL;
    l->loss = l->moved = NULL;
}

/* ---- homes ---- */

static bool may_have(const struct link *l)
{
    return l && l->state == LINK_READY && l->features & SLUICE_FEATURE_RESUME;
}

/* The same process over a new link, one that says so, or one that was started
 * anew at the same place. */
static bool succeeds(const struct link *l, const struct loss *x)
{
    if (l->boot_id == x->boot_id)
        return true;
    for (size_t i = 0; i < l->resume_of_n; i++)
        if (l->resume_of[i] == x->boot_id)
            return true;
    return l->wants_resume && strcmp(l->backend->path, x->path) == 0;
}

static struct link *heir_of(const struct loss *x)
{
    LIST_EACH(item, after, &x->pool->backends)
    {
        struct link *l = CONTAINER(item, struct backend, in_pool)->link;
        if (may_have(l) && l != x->link && succeeds(l, x))
            return l;
    }
    return NULL;
}

static bool has_app(struct link *l, const struct session *s, struct app **app)
{
    struct str name = keep_app(s);
    *app = name.p ? link_app_named(l, name) : NULL;
    return !name.p || *app;
}

/* Any backend that can have it, by the pool's method. */
static struct link *find_any(const struct loss *x, const struct session *s,
                             struct app **app)
{
    struct pool *p = x->pool;
    bool few[16] = {false};
    bool *tried = p->balance.peers_n <= COUNT(few)
                      ? few
                      : xcalloc(p->balance.peers_n, sizeof *tried);
    struct balance_ask ask = {
        .tried = tried,
        .now_ms = clock_now_ms(),
        .key = str_c(s->client),
        .seed = s->cid,
    };
    struct link *l = NULL;
    struct peer *peer;

    while (!l && (peer = balance_pick(&p->balance, &ask))) {
        l = ((struct backend *)peer->object)->link;
        if (may_have(l) && l != x->link && has_app(l, s, app))
            break;
        balance_release(&p->balance, peer, ask.now_ms);
        l = NULL;
    }
    if (tried != few)
        free(tried);
    return l;
}

bool loss_has_home(const struct session *s)
{
    struct app *app;

    LIST_EACH(item, after, &s->pool->backends)
    {
        struct link *l = CONTAINER(item, struct backend, in_pool)->link;
        if (may_have(l) && l != s->link && has_app(l, s, &app))
            return true;
    }
    return false;
}

static void give_up(struct session *s)
{
    if (session_is_over(s))
        session_forget(s);
    else
        session_fail(s, ENDING_BACKEND_LOST);
}

static void place(struct loss *x, struct link *heir, struct session *s)
{
    enum loss_mode mode = session_loss_mode(s);
    struct link *l = NULL;
    struct app *app = NULL;

    if (heir && has_app(heir, s, &app)) {
        l = heir;
        backend_count(l->backend);
    } else if (x->any || mode == LOSS_HOLD_ANY || mode == LOSS_REASSIGN) {
        l = find_any(x, s, &app);
    }
    if (l) {
        loss_unpark(s);
        if (!resume_on(s, l, app, l != heir))
            give_up(s);
    } else if (x->expired || (mode == LOSS_REASSIGN && !x->any)) {
        give_up(s);
    }
}

static void end_pass(struct pool *p)
{
    LIST_EACH(item, after, &p->backends)
    {
        struct link *l = CONTAINER(item, struct backend, in_pool)->link;
        if (l && l->resumed)
            resume_end(l);
    }
}

static void run(struct loop_task *task)
{
    struct loss *x = CONTAINER(task, struct loss, task);
    struct pool *p = x->pool;
    struct link *heir = heir_of(x);

    for (int i = 0; i < LOSS_BATCH && x->to_look_at && x->n; i++) {
        struct list *first = x->sessions.next;
        /* To the end, where it is when nobody takes it. */
        list_remove(first);
        list_push_back(&x->sessions, first);
        x->to_look_at--;
        place(x, heir, CONTAINER(first, struct session, on_link));
    }
    if (x->to_look_at && x->n)
        loop_defer_next(bridge.loop, &x->task);
    else
        end_pass(p);
}

void pool_place_all(struct pool *p)
{
    LIST_EACH(item, after, &p->losses)
    {
        struct loss *x = CONTAINER(item, struct loss, in_pool);
        if (x->n)
            look(x);
    }
    LIST_EACH(item, after, &p->backends)
    {
        struct link *l = CONTAINER(item, struct backend, in_pool)->link;
        if (l && l->handover)
            loop_defer(bridge.loop, &l->move_task);
    }
}

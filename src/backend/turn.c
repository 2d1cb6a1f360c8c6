/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "internal.h"
#include "sluice/link.h"

uint64_t psb_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#define LINK_OF(item) CONTAINER(item, struct psb_link, all)

/* ---- stopping ---- */

void psb_stop(psb_t *b, int grace_ms)
{
    uint64_t one = 1;
    int error = errno;

    /* A signal handler may be here: nothing but flags and a write. */
    b->stop_grace_ms = grace_ms < 0 ? 0 : grace_ms;
    b->stop_asked = 1;
    if (write(b->wake.fd, &one, sizeof one) == -1)
        errno = error; /* it is full, and so wakes the loop already */
    errno = error;
}

int psb_is_stopped(const psb_t *b)
{
    return b->stopped;
}

static void put_goaway(struct psb_link *l, int mode, int grace_ms)
{
    struct sluice_goaway g = {.mode = (uint16_t)mode,
                              .grace_ms = (uint32_t)grace_ms};
    if (mode == PSB_HANDOVER && !(l->reader.features & SLUICE_FEATURE_MOVE))
        g.mode = PSB_DRAIN;
    if (!l->ready || l->dead)
        return;
    sluice_goaway_put(&l->out, &g);
    psb_link_dirty(l);
}

static void begin_stop(psb_t *b)
{
    uint64_t at = b->now_ms + (uint64_t)b->stop_grace_ms;

    b->stop_asked = 0;
    if (b->stopping) {
        if (at < b->stop_at_ms)
            b->stop_at_ms = at;
        return;
    }
    b->stopping = true;
    b->stop_at_ms = at;
    LIST_EACH(item, after, &b->listeners)
    {
        psb_listener_close(CONTAINER(item, struct psb_listener, all));
    }
    LIST_EACH(item, after, &b->links)
    {
        put_goaway(LINK_OF(item), PSB_HANDOVER, b->stop_grace_ms);
    }
}

void psb_goaway(psb_t *b, int mode, int grace_ms)
{
    LIST_EACH(item, after, &b->links)
    {
        put_goaway(LINK_OF(item), mode, grace_ms < 0 ? 0 : grace_ms);
    }
}

static void end_stop(psb_t *b)
{
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        if (l->ready)
            sluice_empty_put(&l->out, SLUICE_BYE, 0, 0);
        psb_link_flush(l);
        psb_link_lose(l, PSB_CAUSE_SHUTDOWN);
    }
    b->stopped = true;
}

static void look_at_stop(psb_t *b)
{
    if (b->stop_asked)
        begin_stop(b);
    if (b->stopping && !b->stopped &&
        (b->now_ms >= b->stop_at_ms || psb_count(b, 0) == 0))
        end_stop(b);
}

/* ---- a turn's end ---- */

/* The clients of a lost link hear of it; then it goes. */
static void bury(struct psb_link *l)
{
    int code = l->why == PSB_CAUSE_SHUTDOWN ? 1001 : 1006;

    psb_reports_lose(l);
    while (!list_is_empty(&l->clients))
        psb_client_finish(CONTAINER(l->clients.next, psb_client_t, all), code,
                          (struct str){0}, l->why);
    psb_link_destroy(l);
}

/* A send has said 1 because a link is slow: is none of them any more? */
static void drained(psb_t *b)
{
    if (!b->slow)
        return;
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        if (!l->dead && psb_link_pending(l) > PSB_OUT_SLOW / 2)
            return;
    }
    b->slow = false;
    for (size_t i = 0; i < b->apps_n; i++)
        if (b->apps[i]->h.on_drain)
            b->apps[i]->h.on_drain(b, b->apps[i]->app.ud);
}

void psb_turn_end(psb_t *b)
{
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        psb_link_let_go(l);
        psb_link_put_acks(l);
        psb_link_flush(l);
    }
    /* on_close may send to clients of other links, and lose them. */
    for (bool again = true; again;) {
        again = false;
        LIST_EACH(item, after, &b->links)
        {
            if (LINK_OF(item)->dead) {
                bury(LINK_OF(item));
                again = true;
                break;
            }
        }
    }
    psb_reports_run(b);
    LIST_EACH(item, after, &b->links)
    {
        psb_link_flush(LINK_OF(item));
    }
    drained(b);
}

static void resume_listeners(psb_t *b)
{
    LIST_EACH(item, after, &b->listeners)
    {
        struct psb_listener *l = CONTAINER(item, struct psb_listener, all);
        if (l->paused_until_ms && b->now_ms >= l->paused_until_ms) {
            l->paused_until_ms = 0;
            l->watch.wants = POLLIN;
        }
    }
}

static void turn_begin(psb_t *b)
{
    b->busy++;
    b->now_ms = psb_now();
    resume_listeners(b);
    psb_dial_due(b);
}

static void turn_finish(psb_t *b)
{
    look_at_stop(b);
    psb_turn_end(b);
    b->busy--;
    psb_sync(b);
}

/* ---- the loop of the application ---- */

size_t psb_pollfds(psb_t *b, struct pollfd *fds, size_t n)
{
    size_t at = 0;

    LIST_EACH(item, after, &b->watches)
    {
        struct psb_watch *w = CONTAINER(item, struct psb_watch, all);
        if (at < n)
            fds[at] = (struct pollfd){.fd = w->fd, .events = (short)w->wants};
        at++;
    }
    return at;
}

/* When the next thing is due that no descriptor tells; 0: nothing is. */
static uint64_t next_deadline(psb_t *b)
{
    uint64_t next = b->stopping && !b->stopped ? b->stop_at_ms : 0;
    uint64_t dial = psb_dial_next(b);

    if (psb_reports_due(b))
        return b->now_ms;

    if (dial && (!next || dial < next))
        next = dial;

    LIST_EACH(item, after, &b->listeners)
    {
        uint64_t at =
            CONTAINER(item, struct psb_listener, all)->paused_until_ms;
        if (at && (!next || at < next))
            next = at;
    }
    LIST_EACH(item, after, &b->links)
    {
        struct psb_link *l = LINK_OF(item);
        if (l->dead || !list_is_empty(&l->urgent))
            return b->now_ms;
        uint64_t at =
            list_is_empty(&l->owing) ? 0 : l->owing_since_ms + PSB_ACK_MS;
        if (at && (!next || at < next))
            next = at;
    }
    return next;
}

int psb_timeout_ms(psb_t *b)
{
    uint64_t at = next_deadline(b), now = psb_now();
    if (b->stop_asked)
        return 0;
    if (!at)
        return -1;
    return at <= now ? 0 : (int)(at - now);
}

static struct psb_watch *watch_of(psb_t *b, int fd)
{
    LIST_EACH(item, after, &b->watches)
    {
        struct psb_watch *w = CONTAINER(item, struct psb_watch, all);
        if (w->fd == fd)
            return w;
    }
    return NULL;
}

int psb_process(psb_t *b, const struct pollfd *fds, size_t n)
{
    turn_begin(b);
    for (size_t i = 0; i < n; i++) {
        struct psb_watch *w = fds[i].revents ? watch_of(b, fds[i].fd) : NULL;
        if (w && w->wants)
            w->ready(w, fds[i].revents);
    }
    turn_finish(b);
    return b->stopped;
}

/* ---- our own loop ---- */

int psb_run(psb_t *b)
{
    struct pollfd *fds = NULL;
    size_t capacity = 0;
    int result = 0;

    while (!b->stopped) {
        size_t n = psb_pollfds(b, fds, capacity);
        if (n > capacity) {
            capacity = n * 2;
            fds = xrealloc(fds, capacity * sizeof *fds);
            n = psb_pollfds(b, fds, capacity);
        }
        int got = poll(fds, n, psb_timeout_ms(b));
        if (got == -1 && errno != EINTR) {
            result = psb_fail(b, errno, "poll");
            break;
        }
        psb_process(b, fds, got > 0 ? n : 0);
    }
    free(fds);
    return result;
}

/* ---- the loop of a library ---- */

static void on_attached(int fd, int events, void *arg)
{
    struct psb_watch *w = arg;
    psb_t *b = w->psb;
    (void)fd;

    turn_begin(b);
    if (w->wants)
        w->ready(w, events);
    turn_finish(b);
}

static void on_timer(void *arg)
{
    psb_t *b = arg;

    b->ops->untimer(b->loop, b->timer);
    b->timer = NULL;
    turn_begin(b);
    turn_finish(b);
}

static void sync_timer(psb_t *b)
{
    uint64_t at = next_deadline(b);

    if (b->timer && at == b->timer_at_ms)
        return;
    if (b->timer)
        b->ops->untimer(b->loop, b->timer);
    b->timer = NULL;
    b->timer_at_ms = at;
    if (at)
        b->timer = b->ops->timer(b->loop, psb_timeout_ms(b), on_timer, b);
}

void psb_sync(psb_t *b)
{
    if (!b->ops)
        return;
    LIST_EACH(item, after, &b->watches)
    {
        struct psb_watch *w = CONTAINER(item, struct psb_watch, all);
        if (!w->handle)
            w->handle = b->ops->add(b->loop, w->fd, w->wants, on_attached, w);
        else if (w->told != w->wants)
            b->ops->mod(b->loop, w->handle, w->wants);
        w->told = w->wants;
    }
    sync_timer(b);
}

int psb_attach(psb_t *b, const psb_loop_ops *ops, void *loop)
{
    if (b->ops)
        return psb_fail(b, EBUSY, "a loop is attached already");
    b->ops = ops;
    b->loop = loop;
    psb_sync(b);
    return 0;
}

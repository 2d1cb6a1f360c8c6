/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/watch.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "watches.h"

enum {
    TURN_MAX = 256 /* descriptors in one turn; the rest has the next one */
};

struct watches {
    struct loop *loop;
    int fd;
    struct event *event; /* of fd, once libevent has something to wait for */
    int at, n;           /* of the events being told */
    struct epoll_event events[TURN_MAX];
};

struct watches *watches_create(struct loop *loop)
{
    struct watches *ws = xcalloc(1, sizeof *ws);

    ws->loop = loop;
    ws->fd = epoll_create1(EPOLL_CLOEXEC);
    check(ws->fd != -1);
    return ws;
}

void watches_destroy(struct watches *ws)
{
    if (ws->event)
        event_free(ws->event);
    close(ws->fd);
    free(ws);
}

static unsigned meaning(uint32_t events)
{
    unsigned what = 0;

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        what |= WATCH_IN;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        what |= WATCH_OUT;
    if (events & EPOLLRDHUP)
        what |= WATCH_HANGUP;
    return what;
}

static void tell(struct watches *ws, int wait_ms)
{
    int n = epoll_wait(ws->fd, ws->events, TURN_MAX, wait_ms);

    loop_enter(ws->loop);
    ws->n = n > 0 ? n : 0;
    for (ws->at = 0; ws->at < ws->n;) {
        const struct epoll_event *e = &ws->events[ws->at++];
        struct watch *w = e->data.ptr;
        if (w)
            w->ready(w, meaning(e->events));
    }
    ws->n = 0;
}

/* ---- with libevent ---- */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    if (what & EV_READ)
        tell(arg, 0);
}

void watches_join(struct watches *ws, struct event_base *base)
{
    ws->event = event_new(base, ws->fd, EV_READ | EV_PERSIST, on_event, ws);
    check(ws->event && event_add(ws->event, NULL) == 0);
}

static void wait_in_libevent(struct watches *ws, int wait_ms)
{
    struct timeval tv = {.tv_sec = wait_ms / 1000,
                         .tv_usec = wait_ms % 1000 * 1000};

    if (wait_ms > 0)
        event_add(ws->event, &tv);
    else
        event_remove_timer(ws->event);
    event_base_loop(ws->loop->base,
                    EVLOOP_ONCE | (wait_ms == 0 ? EVLOOP_NONBLOCK : 0));
}

void watches_wait(struct watches *ws, int wait_ms)
{
    if (ws->event)
        wait_in_libevent(ws, wait_ms);
    else
        tell(ws, wait_ms);
}

/* ---- which ---- */

static int add(struct loop *loop, struct watch *w, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    return epoll_ctl(loop->watches->fd, EPOLL_CTL_ADD, fd, &e);
}

int watch_add(struct loop *loop, struct watch *w, int fd)
{
    return add(loop, w, fd, EPOLLIN);
}

int watch_add_edges(struct loop *loop, struct watch *w, int fd)
{
    return add(loop, w, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

void watch_remove(struct loop *loop, struct watch *w, int fd)
{
    struct watches *ws = loop->watches;

    epoll_ctl(ws->fd, EPOLL_CTL_DEL, fd, NULL);
    for (int i = ws->at; i < ws->n; i++)
        if (ws->events[i].data.ptr == w)
            ws->events[i].data.ptr = NULL;
}

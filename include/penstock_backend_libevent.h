/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * penstock_backend_libevent.h - run a psb_t in a libevent loop:
 *
 *     psb_attach(backend, &psb_libevent_ops, event_base);
 *
 * Include it in one file; link with libevent_core.
 */
#ifndef PENSTOCK_BACKEND_LIBEVENT_H
#define PENSTOCK_BACKEND_LIBEVENT_H

#include <event2/event.h>
#include <stdlib.h>

#include "penstock_backend.h"

struct psb_libevent {
    struct event *event;
    void (*on_fd)(int fd, int ev, void *arg);
    void (*on_time)(void *arg);
    void *arg;
};

static inline void psb_libevent_cb(evutil_socket_t fd, short what, void *arg)
{
    struct psb_libevent *e = (struct psb_libevent *)arg;
    int ev = (what & EV_READ ? POLLIN : 0) | (what & EV_WRITE ? POLLOUT : 0);
    if (e->on_fd)
        e->on_fd((int)fd, ev, e->arg);
    else
        e->on_time(e->arg);
}

static inline short psb_libevent_what(int ev)
{
    return (short)((ev & POLLIN ? EV_READ : 0) | (ev & POLLOUT ? EV_WRITE : 0) |
                   EV_PERSIST);
}

static inline void *psb_libevent_make(void *loop, int fd, short what,
                                      struct psb_libevent init)
{
    struct psb_libevent *e = (struct psb_libevent *)malloc(sizeof *e);
    if (!e)
        return NULL;
    *e = init;
    e->event =
        event_new((struct event_base *)loop, fd, what, psb_libevent_cb, e);
    if (!e->event) {
        free(e);
        return NULL;
    }
    return e;
}

static inline void psb_libevent_del(void *loop, void *handle)
{
    struct psb_libevent *e = (struct psb_libevent *)handle;
    (void)loop;
    event_free(e->event);
    free(e);
}

static inline void *psb_libevent_add(void *loop, int fd, int ev,
                                     void (*cb)(int, int, void *), void *arg)
{
    struct psb_libevent init = {NULL, cb, NULL, arg};
    struct psb_libevent *e = (struct psb_libevent *)psb_libevent_make(
        loop, fd, psb_libevent_what(ev), init);
    if (e)
        event_add(e->event, NULL);
    return e;
}

static inline void psb_libevent_mod(void *loop, void *handle, int ev)
{
    struct psb_libevent *e = (struct psb_libevent *)handle;
    int fd = (int)event_get_fd(e->event);
    event_del(e->event);
    event_assign(e->event, (struct event_base *)loop, fd, psb_libevent_what(ev),
                 psb_libevent_cb, e);
    event_add(e->event, NULL);
}

static inline void *psb_libevent_timer(void *loop, int ms, void (*cb)(void *),
                                       void *arg)
{
    struct psb_libevent init = {NULL, NULL, cb, arg};
    struct psb_libevent *e =
        (struct psb_libevent *)psb_libevent_make(loop, -1, 0, init);
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    if (e)
        event_add(e->event, &tv);
    return e;
}

static const psb_loop_ops psb_libevent_ops = {
    psb_libevent_add, psb_libevent_mod, psb_libevent_del, psb_libevent_timer,
    psb_libevent_del};

#endif

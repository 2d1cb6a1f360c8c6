/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"

enum {
    ACCEPTS_A_TURN = 32, /* connections; the rest come next turn */
    REST_MS = 500,       /* out of descriptors; nginx's accept_mutex_delay */
};

static void on_rested(struct timer *timer)
{
    struct listener *l = CONTAINER(timer, struct listener, rest);
    event_add(l->event, NULL);
}

void listener_rest(struct listener *l, uint64_t ms)
{
    if (!l->event)
        return; /* closed */
    event_del(l->event);
    timer_set(l->loop, &l->rest, ms);
}

/* True when accepting may go on this turn. */
static bool accept_failed(struct listener *l, int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED: /* gone between accept queue and us */
    case EPROTO:
        return true;
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        log_errno(&log_process, LEVEL_CRIT, error,
                  "accept4() failed, resting for %d ms", REST_MS);
        listener_rest(l, REST_MS);
        return false;
    default:
        /* The socket stays ready: without a rest this would come again at
         * once, for ever. */
        log_errno(&log_process, LEVEL_ERROR, error, "accept4() failed");
        listener_rest(l, REST_MS);
        return false;
    }
}

/* One connection when they come one by one, so that no call finds an empty
 * queue; twice as many with each turn in which there still is one. */
static void choose_allowance(struct listener *l)
{
    bool more = l->loop->turns == l->last_turn + 1;

    l->last_turn = l->loop->turns;
    l->allowance = !more                               ? 1
                   : l->allowance * 2 < ACCEPTS_A_TURN ? l->allowance * 2
                                                       : ACCEPTS_A_TURN;
}

static void on_connections(evutil_socket_t fd, short what, void *arg)
{
    struct listener *l = arg;
    (void)what;
    loop_enter(l->loop);
    choose_allowance(l);
    for (unsigned i = 0; i < l->allowance; i++) {
        if (!l->event || timer_is_set(&l->rest))
            return; /* closed, or told to rest, by the last one */
        struct address remote = {.length = sizeof remote.sa};
        int client = accept4(fd, &remote.sa.any, &remote.length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0)
            l->on_accept(l->owner, client, &remote);
        else if (!accept_failed(l, errno)) {
            l->allowance = 1;
            return;
        }
    }
}

struct listener *listener_open(struct loop *loop, int fd,
                               listener_accept_fn *on_accept, void *owner)
{
    struct listener *l = xcalloc(1, sizeof *l);
    *l = (struct listener){.loop = loop,
                           .fd = fd,
                           .on_accept = on_accept,
                           .owner = owner,
                           .allowance = 1};
    timer_init(&l->rest, on_rested);
    l->event =
        event_new(loop->base, fd, EV_READ | EV_PERSIST, on_connections, l);
    check(l->event != NULL);
    event_add(l->event, NULL);
    return l;
}

static void bury_listener(struct loop_task *task)
{
    free(CONTAINER(task, struct listener, grave));
}

void listener_close(struct listener *l)
{
    if (!l)
        return;
    timer_clear(&l->rest);
    event_free(l->event);
    l->event = NULL;
    l->grave.run = bury_listener;
    loop_bury(l->loop, &l->grave);
}

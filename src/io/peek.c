/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/peek.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

/* The bytes stay in the socket, so that recv() never comes to the end. */
static bool has_ended(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct peek *peek = arg;
    uint8_t bytes[PEEK_MAX];
    ssize_t n;
    (void)what;

    loop_enter(peek->loop);
    /* Asked first: what comes after the answer comes with another edge. */
    bool ended = has_ended(fd);
    do
        n = recv(fd, bytes, sizeof bytes, MSG_PEEK);
    while (n == -1 && errno == EINTR);
    if (n == -1 && errno == EAGAIN)
        return;
    peek->on_bytes(peek, bytes, n > 0 ? (size_t)n : 0);
    if (n > 0 && peek->fd == fd && ended)
        peek->on_bytes(peek, bytes, 0);
}

void peek_open(struct peek *peek, struct loop *loop, int fd,
               void (*on_bytes)(struct peek *peek, const uint8_t *p, size_t n))
{
    peek->loop = loop;
    peek->fd = fd;
    peek->on_bytes = on_bytes;
    /* Edge-triggered: what was seen stays in the socket. */
    peek->event = event_new(loop->base, fd, EV_READ | EV_ET | EV_PERSIST,
                            on_readable, peek);
    check(peek->event && event_add(peek->event, NULL) == 0);
}

static void forget(struct peek *peek)
{
    event_free(peek->event);
    peek->event = NULL;
    peek->fd = -1;
}

int peek_take(struct peek *peek, size_t n)
{
    uint8_t bytes[PEEK_MAX];
    int fd = peek->fd;

    check(n <= sizeof bytes);
    forget(peek);
    if (recv(fd, bytes, n, 0) == (ssize_t)n)
        return fd;
    close(fd);
    return -1;
}

void peek_close(struct peek *peek)
{
    if (peek->fd == -1)
        return;
    int fd = peek->fd;
    forget(peek);
    close(fd);
}

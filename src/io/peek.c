/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/peek.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

static void on_readable(struct watch *w, unsigned what)
{
    struct peek *peek = CONTAINER(w, struct peek, watch);
    uint8_t bytes[PEEK_MAX];
    ssize_t n;
    (void)what;

    do
        n = recv(peek->fd, bytes, sizeof bytes, MSG_PEEK);
    while (n == -1 && errno == EINTR);
    if (n == -1 && errno == EAGAIN)
        return;
    peek->on_bytes(peek, bytes, n > 0 ? (size_t)n : 0);
}

void peek_open(struct peek *peek, struct loop *loop, int fd,
               void (*on_bytes)(struct peek *peek, const uint8_t *p, size_t n))
{
    peek->loop = loop;
    peek->fd = fd;
    peek->on_bytes = on_bytes;
    /* Edge-triggered: what was seen stays in the socket. */
    peek->watch.ready = on_readable;
    check(watch_add_edges(loop, &peek->watch, fd) == 0);
}

static void forget(struct peek *peek)
{
    watch_remove(peek->loop, &peek->watch, peek->fd);
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

/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/connect.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

static void set_number(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof value);
}

static int apply(int fd, const struct address *to,
                 const struct connect_options *how)
{
    if (how->keepalive)
        set_number(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (how->sndbuf)
        set_number(fd, SOL_SOCKET, SO_SNDBUF, how->sndbuf);
    if (how->rcvbuf)
        set_number(fd, SOL_SOCKET, SO_RCVBUF, how->rcvbuf);
    const struct address *local = how->local;
    if (!local || local->sa.any.sa_family != to->sa.any.sa_family)
        return 0;
    /* Ports are then shared between connections to different peers. */
    if (!address_port(local))
        set_number(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    else
        set_number(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    return bind(fd, &local->sa.any, local->length);
}

struct stream *stream_connect(struct loop *loop, const struct address *to,
                              const struct connect_options *how,
                              const struct stream_events *events, void *owner,
                              bool *pending)
{
    int fd = socket(to->sa.any.sa_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return NULL;
    if (!address_is_unix(to))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));

    if (how && apply(fd, to, how) == -1)
        goto close_fd;
    int rc = connect(fd, &to->sa.any, to->length);
    if (rc == -1 && errno != EINPROGRESS)
        goto close_fd;
    *pending = rc == -1;
    return *pending ? stream_open_connecting(loop, fd, events, owner)
                    : stream_open(loop, fd, events, owner);

close_fd:;
    int error = errno;
    close(fd);
    errno = error;
    return NULL;
}

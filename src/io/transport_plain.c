/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "transport.h"

static ssize_t plain_recv(struct stream *s, void *p, size_t n)
{
    return recv(s->fd, p, n, 0);
}

static ssize_t plain_writev(struct stream *s, const struct iovec *iov, int n)
{
    if (n == 1)
        return send(s->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                             .msg_iovlen = (size_t)n};
    return sendmsg(s->fd, &message, MSG_NOSIGNAL);
}

static ssize_t plain_sendfile(struct stream *s, int fd, off_t *at, size_t n)
{
    return sendfile(s->fd, fd, at, n);
}

static int plain_shutdown(struct stream *s)
{
    shutdown(s->fd, SHUT_WR);
    return 0;
}

const struct stream_transport transport_plain = {
    .recv = plain_recv,
    .writev = plain_writev,
    .sendfile = plain_sendfile,
    .shutdown = plain_shutdown,
};

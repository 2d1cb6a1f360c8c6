/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/connect.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

struct stream *stream_connect(struct loop *loop, const struct address *to,
                              const struct stream_events *events, void *owner,
                              bool *pending)
{
    int fd = socket(to->sa.any.sa_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return NULL;
    if (!address_is_unix(to))
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));

    int rc = connect(fd, &to->sa.any, to->length);
    if (rc == -1 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        errno = error;
        return NULL;
    }
    *pending = rc == -1;
    return *pending ? stream_open_connecting(loop, fd, events, owner)
                    : stream_open(loop, fd, events, owner);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"

enum {
    HEAD_SIZE = 8, /* type and number of descriptors, 32 bits each */
};

/* Aligned as the kernel wants its control messages. */
union control {
    struct cmsghdr head;
    uint8_t room[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
};

int channel_open(int ends[2], struct err *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   ends) == -1)
        return err_set(err, "socketpair() failed (%d: %s)", errno,
                       strerror(errno));
    return 0;
}

int channel_send(int fd, const struct message *m)
{
    uint8_t head[HEAD_SIZE];
    union control control;
    struct iovec iov[2] = {
        {head, sizeof head},
        {(void *)(uintptr_t)m->body, m->n},
    };
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

    le32_put(head, (uint32_t)m->type);
    le32_put(head + 4, (uint32_t)m->fds_n);
    if (m->fds_n > 0) {
        memset(&control, 0, sizeof control);
        msg.msg_control = control.room;
        msg.msg_controllen = CMSG_SPACE(m->fds_n * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(m->fds_n * sizeof(int));
        memcpy(CMSG_DATA(c), m->fds, m->fds_n * sizeof(int));
    }

    ssize_t sent;
    do
        sent = sendmsg(fd, &msg, MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    if (sent >= 0)
        return 1;
    /* ETOOMANYREFS: more descriptors are in flight than the kernel likes;
     * it passes when the other end has read. */
    return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS ? 0
                                                                        : -1;
}

static void take_fds(struct msghdr *msg, struct message *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        check(m->fds_n + n <= MESSAGE_FDS_MAX);
        memcpy(m->fds + m->fds_n, CMSG_DATA(c), n * sizeof(int));
        m->fds_n += n;
    }
}

static bool type_is_known(uint32_t type)
{
    switch (type) {
#define MESSAGE(name, code, sender, body) case code:
#include "messages.def"
#undef MESSAGE
        return true;
    default:
        return false;
    }
}

static int refuse(struct message *m, int error)
{
    message_close_fds(m);
    errno = error;
    return -1;
}

int channel_receive(int fd, struct message *m)
{
    uint8_t head[HEAD_SIZE];
    union control control;
    struct iovec iov[2] = {{head, sizeof head}, {m->body, sizeof m->body}};
    struct msghdr msg = {.msg_iov = iov,
                         .msg_iovlen = 2,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control.room};

    m->n = m->at = m->fds_n = 0;
    ssize_t got;
    do
        got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
    while (got == -1 && errno == EINTR);
    if (got == -1)
        return errno == EAGAIN ? 0 : -1;
    if (got == 0) {
        errno = ECONNRESET;
        return -1;
    }

    take_fds(&msg, m);
    if (msg.msg_flags & MSG_CTRUNC)
        return refuse(m, EMFILE);
    if (msg.msg_flags & MSG_TRUNC || got < HEAD_SIZE)
        return refuse(m, EPROTO);
    if (!type_is_known(le32_get(head)))
        return refuse(m, EPROTO);
    /* A process without room for a descriptor gets fewer than were sent, and
     * not every kernel says so with MSG_CTRUNC. */
    if (le32_get(head + 4) != m->fds_n)
        return refuse(m, EMFILE);
    m->type = (enum message_type)le32_get(head);
    m->n = (size_t)got - HEAD_SIZE;
    return 1;
}

const char *message_name(enum message_type type)
{
    switch (type) {
#define MESSAGE(name, code, sender, body)                                      \
    case MESSAGE_##name:                                                       \
        return #name;
#include "messages.def"
#undef MESSAGE
    }
    return "?";
}

void message_init(struct message *m, enum message_type type)
{
    m->type = type;
    m->n = m->at = m->fds_n = 0;
}

void message_put_u32(struct message *m, uint32_t v)
{
    check(sizeof m->body - m->n >= 4);
    le32_put(m->body + m->n, v);
    m->n += 4;
}

void message_put_text(struct message *m, struct str text)
{
    text = str_slice(text, 0, sizeof m->body - m->n);
    if (text.n > 0)
        memcpy(m->body + m->n, text.p, text.n);
    m->n += text.n;
}

void message_put_fd(struct message *m, int fd)
{
    check(m->fds_n < MESSAGE_FDS_MAX);
    m->fds[m->fds_n++] = fd;
}

bool message_get_u32(struct message *m, uint32_t *v)
{
    if (m->n - m->at < 4)
        return false;
    *v = le32_get(m->body + m->at);
    m->at += 4;
    return true;
}

struct str message_get_text(struct message *m)
{
    struct str text = str_n(m->body + m->at, m->n - m->at);
    m->at = m->n;
    return text;
}

void message_close_fds(struct message *m)
{
    for (size_t i = 0; i < m->fds_n; i++)
        if (m->fds[i] != -1)
            close(m->fds[i]);
    m->fds_n = 0;
}

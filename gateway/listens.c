/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "inherit.h"
#include "resources.h"

enum {
    BIND_TRIES = 5, /* nginx's */
    BIND_PAUSE_US = 500 * 1000,
    UNIX_MODE = 0666, /* nginx's: the directory decides who may connect */
};

/* The file of a Unix socket we made, so that only our own is removed. */
struct made {
    struct made *next;
    int fd;
    dev_t device;
    ino_t inode;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static struct made *all_made;

static void remember_file(int fd, const char *path)
{
    struct stat st;
    if (stat(path, &st) == -1)
        return;
    struct made *m = xcalloc(1, sizeof *m);
    *m = (struct made){
        .next = all_made, .fd = fd, .device = st.st_dev, .inode = st.st_ino};
    memcpy(m->path, path, strnlen(path, sizeof m->path - 1));
    all_made = m;
}

static void remove_file(int fd)
{
    struct made **at = &all_made;
    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    struct made *m = *at;
    if (!m)
        return;
    *at = m->next;
    struct stat st;
    if (lstat(m->path, &st) == 0 && st.st_dev == m->device &&
        st.st_ino == m->inode && unlink(m->path) == -1)
        log_errno(&log_process, LEVEL_ERROR, errno, "unlink() \"%s\" failed",
                  m->path);
    free(m);
}

void socket_renamed(int fd, const char *path)
{
    for (struct made *m = all_made; m; m = m->next)
        if (m->fd == fd) {
            memset(m->path, 0, sizeof m->path);
            memcpy(m->path, path, strnlen(path, sizeof m->path - 1));
        }
}

void socket_close(int fd)
{
    if (fd == -1)
        return;
    remove_file(fd);
    close(fd);
}

/* Does somebody answer behind this file?  A full backlog is an answer. */
static bool answers(const struct address *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return true;
    bool dead = connect(fd, &a->sa.any, a->length) == -1 &&
                (errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
    return !dead;
}

static int bind_unix(int fd, const struct address *a, bool *in_use,
                     struct err *err)
{
    const char *path = a->sa.un.sun_path;
    if (bind(fd, &a->sa.any, a->length) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return err_set(err, "bind() to unix:%s failed (%d: %s)", path, errno,
                       strerror(errno));

    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return err_set(err,
                       "bind() to unix:%s failed: the file is not a socket, "
                       "and is left alone",
                       path);
    if (answers(a)) {
        *in_use = true;
        return err_set(err, "bind() to unix:%s failed (%d: %s)", path,
                       EADDRINUSE, strerror(EADDRINUSE));
    }
    unlink(path);
    if (bind(fd, &a->sa.any, a->length) == -1)
        return err_set(err, "bind() to unix:%s failed (%d: %s)", path, errno,
                       strerror(errno));
    return 0;
}

static int socket_for(const struct address *a, struct err *err)
{
    int fd = socket(a->sa.any.sa_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        char text[ADDRESS_TEXT_MAX];
        return err_set(err, "socket() %.*s failed (%d: %s)",
                       STR_ARG(address_text(a, text)), errno, strerror(errno));
    }
    return fd;
}

int unix_listen(const struct address *a, int backlog, mode_t mode, bool *in_use,
                struct err *err)
{
    int fd = socket_for(a, err);
    if (fd == -1)
        return -1;
    if (bind_unix(fd, a, in_use, err) == -1)
        goto close_fd;
    remember_file(fd, a->sa.un.sun_path);
    if (chmod(a->sa.un.sun_path, mode) == -1) {
        err_set(err, "chmod() \"%s\" failed (%d: %s)", a->sa.un.sun_path, errno,
                strerror(errno));
        goto close_fd;
    }
    if (backlog >= 0 && listen(fd, backlog) == -1) {
        err_set(err, "listen() to unix:%s, backlog %d failed (%d: %s)",
                a->sa.un.sun_path, backlog, errno, strerror(errno));
        goto close_fd;
    }
    return fd;

close_fd:
    socket_close(fd);
    return -1;
}

static void set_option(const struct listen *l, int fd, int level, int name,
                       const char *text, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof value) == -1)
        log_errno(&log_process, LEVEL_ALERT, errno,
                  "setsockopt(%s, %d) %.*s failed, ignored", text, value,
                  STR_ARG(l->text));
}

#define SET(level, name, value) set_option(l, fd, level, name, #name, value)

/* What may change while the socket stays. */
static void set_options(const struct listen *l, int fd)
{
    if (l->rcvbuf > 0)
        SET(SOL_SOCKET, SO_RCVBUF, l->rcvbuf);
    if (l->sndbuf > 0)
        SET(SOL_SOCKET, SO_SNDBUF, l->sndbuf);
    if (l->keepalive_set)
        SET(SOL_SOCKET, SO_KEEPALIVE, l->keepalive_on);
    if (address_is_unix(&l->address))
        return;
    if (l->keepalive_idle > 0)
        SET(IPPROTO_TCP, TCP_KEEPIDLE, l->keepalive_idle);
    if (l->keepalive_interval > 0)
        SET(IPPROTO_TCP, TCP_KEEPINTVL, l->keepalive_interval);
    if (l->keepalive_count > 0)
        SET(IPPROTO_TCP, TCP_KEEPCNT, l->keepalive_count);
    if (l->fastopen > 0)
        SET(IPPROTO_TCP, TCP_FASTOPEN, l->fastopen);
    if (l->deferred)
        SET(IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
}

/* A TCP socket, bound but not listening yet. */
static int bind_tcp(const struct listen *l, bool *in_use, struct err *err)
{
    int fd = socket_for(&l->address, err);
    if (fd == -1)
        return -1;
    SET(SOL_SOCKET, SO_REUSEADDR, 1);
    if (l->reuseport)
        SET(SOL_SOCKET, SO_REUSEPORT, 1);
    if (l->address.sa.any.sa_family == AF_INET6)
        SET(IPPROTO_IPV6, IPV6_V6ONLY, l->ipv6only);
    if (bind(fd, &l->address.sa.any, l->address.length) == -1) {
        *in_use = errno == EADDRINUSE;
        err_set(err, "bind() to %.*s failed (%d: %s)", STR_ARG(l->text), errno,
                strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static int open_once(const struct listen *l, bool test, bool *in_use,
                     struct err *err)
{
    int backlog = test ? -1 : l->backlog;
    *in_use = false;
    if (address_is_unix(&l->address)) {
        int fd = unix_listen(&l->address, backlog, UNIX_MODE, in_use, err);
        if (fd != -1)
            set_options(l, fd);
        return fd;
    }
    int fd = bind_tcp(l, in_use, err);
    if (fd == -1 || test)
        return fd;
    set_options(l, fd);
    if (listen(fd, backlog) == -1) {
        *in_use = errno == EADDRINUSE;
        err_set(err, "listen() to %.*s, backlog %d failed (%d: %s)",
                STR_ARG(l->text), backlog, errno, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static int open_socket(const struct listen *l, unsigned flags, bool *in_use,
                       struct err *err)
{
    int tries = flags & RESOURCES_WAIT ? BIND_TRIES : 1;
    for (int i = 0; i < tries; i++) {
        if (i > 0)
            usleep(BIND_PAUSE_US);
        int fd = open_once(l, flags & RESOURCES_TRY, in_use, err);
        if (fd != -1 || !*in_use)
            return fd;
    }
    return -1;
}

static struct listen *find_listen(const struct generation *g,
                                  const struct listen *like)
{
    if (!g)
        return NULL;
    for (struct listen *l = g->listens; l; l = l->next)
        if (address_eq(&l->address, &like->address))
            return l;
    return NULL;
}

/* Take over what old has of this address: one socket, or one a worker. */
static void keep_sockets(struct listen *l, const struct listen *old)
{
    for (size_t i = 0; i < l->fds_n && i < old->fds_n; i++) {
        int fd = l->fds[i] = old->fds[i];
        if (l->reuseport && !old->reuseport)
            SET(SOL_SOCKET, SO_REUSEPORT, 1);
        set_options(l, fd);
        /* Listening again changes nothing but the backlog. */
        listen(fd, l->backlog);
    }
}

/* One that is listening already; its backlog and options are who opened it's.
 */
static void take_inherited(struct listen *l)
{
    if ((l->fds[0] = inherit_take(&l->address)) != -1)
        set_options(l, l->fds[0]);
}

static int open_listen(struct listen *l, unsigned flags, struct err *err)
{
    for (size_t i = 0; i < l->fds_n; i++) {
        if (l->fds[i] != -1)
            continue;
        bool in_use;
        l->fds[i] = open_socket(l, flags, &in_use, err);
        if (l->fds[i] == -1 && !(in_use && flags & RESOURCES_TRY))
            return -1;
    }
    return 0;
}

int listens_open(struct generation *g, const struct generation *old,
                 size_t workers, unsigned flags, struct err *err)
{
    for (struct listen *l = g->listens; l; l = l->next) {
        l->fds_n = l->reuseport && !address_is_unix(&l->address) ? workers : 1;
        l->fds = arena_alloc(g->arena, l->fds_n * sizeof *l->fds);
        for (size_t i = 0; i < l->fds_n; i++)
            l->fds[i] = -1;
    }
    for (struct listen *l = g->listens; l; l = l->next) {
        const struct listen *kept = find_listen(old, l);
        if (kept)
            keep_sockets(l, kept);
        else
            take_inherited(l);
        if (open_listen(l, flags, err) == -1) {
            listens_close(g, old);
            return -1;
        }
    }
    return 0;
}

static bool has_socket(const struct listen *l, int fd)
{
    for (size_t i = 0; l && i < l->fds_n; i++)
        if (l->fds[i] == fd)
            return true;
    return false;
}

void listens_close(struct generation *g, const struct generation *next)
{
    for (struct listen *l = g->listens; l; l = l->next) {
        const struct listen *kept = find_listen(next, l);
        for (size_t i = 0; i < l->fds_n; i++)
            if (!has_socket(kept, l->fds[i]))
                socket_close(l->fds[i]);
        l->fds_n = 0;
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/str.h"

#define SOCKETS "PENSTOCK_INHERIT"
#define LIFELINE "PENSTOCK_LIFELINE"
#define PRIVATE "PENSTOCK_PRIVATE"

enum {
    SOCKETS_MAX = 64,
    DEPTH_MAX = 16, /* descriptors that a walk may use */
};

static int sockets[SOCKETS_MAX];
static size_t sockets_n;
static int lifeline = -1;
static char directory[PATH_MAX];

/* Nobody else gets it, and we never wait on it. */
static int adopt(struct str text, const char *variable, struct err *err)
{
    uint64_t n;
    if (!str_to_u64(text, INT32_MAX, &n) || n <= STDERR_FILENO)
        return err_set(err, "invalid descriptor \"%.*s\" in %s", STR_ARG(text),
                       variable);
    int fd = (int)n;
    int flags = fcntl(fd, F_GETFL);
    if (flags == -1 || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
        return err_set(err, "descriptor %d of %s (%d: %s)", fd, variable, errno,
                       strerror(errno));
    return fd;
}

static int adopt_socket(struct str text, struct err *err)
{
    int on = 0;
    socklen_t length = sizeof on;
    int fd = adopt(text, SOCKETS, err);
    if (fd == -1)
        return -1;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &length) == -1 || !on)
        return err_set(err, "descriptor %d of " SOCKETS " does not listen", fd);
    if (sockets_n == SOCKETS_MAX)
        return err_set(err, "more than %d descriptors in " SOCKETS,
                       SOCKETS_MAX);
    sockets[sockets_n++] = fd;
    return 0;
}

static int start_sockets(struct err *err)
{
    const char *text = getenv(SOCKETS);
    struct str rest = text ? str_c(text) : (struct str){0};
    while (rest.n > 0) {
        struct str one = str_cut(&rest, ';');
        if (one.n > 0 && adopt_socket(one, err) == -1)
            return -1;
    }
    return 0;
}

static int start_private(const char *prefix, struct err *err)
{
    const char *path = getenv(PRIVATE);
    char real[PATH_MAX], real_prefix[PATH_MAX];
    struct stat st;
    if (!path)
        return 0;
    if (!realpath(path, real) || !realpath(prefix, real_prefix) ||
        strcmp(real, real_prefix) != 0 || lstat(real, &st) == -1 ||
        !S_ISDIR(st.st_mode) || (st.st_mode & 0777) != 0700 ||
        st.st_uid != geteuid())
        return err_set(err,
                       PRIVATE " is not the prefix, ours and of mode 0700: "
                               "\"%s\"",
                       path);
    snprintf(directory, sizeof directory, "%s", real);
    return 0;
}

int inherit_start(const char *prefix, struct err *err)
{
    const char *text = getenv(LIFELINE);
    if (start_sockets(err) == -1 || start_private(prefix, err) == -1)
        return -1;
    if (text && (lifeline = adopt(str_c(text), LIFELINE, err)) == -1)
        return -1;
    return 0;
}

int inherit_take(const struct address *address)
{
    for (size_t i = 0; i < sockets_n; i++) {
        struct sockaddr_storage sa;
        socklen_t length = sizeof sa;
        struct address at;
        if (getsockname(sockets[i], (struct sockaddr *)&sa, &length) == -1)
            continue;
        address_from_sockaddr(&at, (struct sockaddr *)&sa, length);
        if (!address_eq(&at, address))
            continue;
        int fd = sockets[i];
        sockets[i] = sockets[--sockets_n];
        return fd;
    }
    return -1;
}

static void cut(void)
{
    if (lifeline != -1)
        close(lifeline);
    lifeline = -1;
}

void inherit_forget(void)
{
    while (sockets_n > 0)
        close(sockets[--sockets_n]);
    cut();
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *where)
{
    (void)st, (void)type, (void)where;
    remove(path);
    return 0;
}

void inherit_end(void)
{
    inherit_forget();
    if (directory[0])
        nftw(directory, remove_one, DEPTH_MAX,
             FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int inherit_lifeline(void)
{
    return lifeline;
}

bool inherit_is_cut(void)
{
    char bytes[64];
    ssize_t got;
    do
        got = read(lifeline, bytes, sizeof bytes);
    while (got > 0 || (got == -1 && errno == EINTR));
    if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return false;
    cut();
    return true;
}

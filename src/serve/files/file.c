/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "serve/static.h"

/* ---- links that are not followed ---- */

static bool is_link(int at, const char *name)
{
    struct stat st;
    return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISLNK(st.st_mode);
}

/* The link belongs to who owns what it leads to. */
static bool is_owners(int at, const char *name, int fd)
{
    struct stat link, target;
    return fstatat(at, name, &link, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(fd, &target) == 0 && link.st_uid == target.st_uid;
}

/* One component; -1 with errno. */
static int step(int at, const char *name, int flags, unsigned symlinks)
{
    if (!is_link(at, name))
        return openat(at, name, flags | O_NOFOLLOW | O_CLOEXEC);
    if (symlinks == SYMLINKS_REFUSED) {
        errno = flags & O_DIRECTORY ? ENOTDIR : ELOOP; /* as nginx says it */
        return -1;
    }
    int fd = openat(at, name, flags | O_CLOEXEC);
    if (fd == -1 || is_owners(at, name, fd))
        return fd;
    close(fd);
    errno = ELOOP;
    return -1;
}

/* Where the walk begins: behind the part that is trusted. */
static size_t trusted_part(struct request *r, const struct file_conf *c,
                           struct str path)
{
    if (!c->trust)
        return 1;
    struct str trust = value_eval(c->trust, &r->eval);
    while (trust.n > 1 && trust.p[trust.n - 1] == '/')
        trust.n--;
    bool fits = trust.n && str_starts(path, trust) &&
                (trust.n == path.n || path.p[trust.n] == '/');
    return fits ? trust.n : 1;
}

/* Component by component, so that no link is followed unseen. */
static int open_walking(struct request *r, const struct file_conf *c,
                        struct str path, int flags)
{
    size_t at = trusted_part(r, c, path);
    char name[NAME_MAX + 1];

    if (path.p[0] != '/')
        return open(path.p, flags | O_CLOEXEC);
    int dir = open(arena_cstr(r->arena, str_slice(path, 0, at)),
                   O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (dir != -1) {
        while (at < path.n && path.p[at] == '/')
            at++;
        size_t end = str_find(path, '/', at);
        struct str piece = str_slice(path, at, end);
        size_t next = end;
        while (next < path.n && path.p[next] == '/')
            next++;
        bool last = next == path.n;
        int fd = -1;
        errno = ENAMETOOLONG;
        if (piece.n <= NAME_MAX) {
            snprintf(name, sizeof name, "%.*s", STR_ARG(piece));
            fd = step(dir, piece.n ? name : ".",
                      last ? flags : O_PATH | O_DIRECTORY, c->symlinks);
        }
        int error = errno;
        close(dir);
        errno = error;
        if (last)
            return fd;
        dir = fd;
        at = next;
    }
    return -1;
}

/* ---- without a cache ---- */

static int open_once(struct request *r, const struct file_conf *c,
                     struct str path, int flags, struct stat *st, int *fd)
{
    *fd = c->symlinks ? open_walking(r, c, path, flags)
                      : open(path.p, flags | O_CLOEXEC);
    if (*fd == -1)
        return errno;
    int error = fstat(*fd, st) == -1 ? errno : 0;
    if (!error && S_ISREG(st->st_mode))
        return 0;
    close(*fd);
    *fd = -1;
    return error;
}

/* ---- for those who serve files ---- */

int file_open(struct request *r, const struct path *path, struct stat *st,
              int *fd)
{
    const struct static_conf *conf = request_conf(r, &static_module);
    const struct file_conf *c = &conf->file;

    /* O_NONBLOCK: opening a pipe must not wait for its writer. */
    st->st_mode = 0;
    if (!c->cache || c->symlinks)
        return open_once(r, c, path->text, O_RDONLY | O_NONBLOCK, st, fd);
    struct open_file *f = open_cache_get(c->cache, &c->rules, path->text.p);
    int error = f->error;
    *st = f->st;
    *fd = -1;
    /* The cache may close its own while ours is sent. */
    if (!error && f->fd != -1 && (*fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0)) == -1)
        error = errno;
    open_cache_give(c->cache, f);
    return error;
}

int file_stat(struct request *r, const struct path *path, struct stat *st)
{
    const struct static_conf *conf = request_conf(r, &static_module);
    const struct file_conf *c = &conf->file;

    if (c->symlinks) {
        int fd = open_walking(r, c, path->text, O_PATH);
        if (fd == -1)
            return errno;
        int error = fstat(fd, st) == -1 ? errno : 0;
        close(fd);
        return error;
    }
    if (!c->cache)
        return stat(path->text.p, st) == -1 ? errno : 0;
    struct open_file *f = open_cache_get(c->cache, &c->rules, path->text.p);
    int error = f->error;
    *st = f->st;
    open_cache_give(c->cache, f);
    return error;
}

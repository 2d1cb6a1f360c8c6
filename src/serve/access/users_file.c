/* SPDX-License-Identifier: BSD-2-Clause */
#include "users_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"

struct users_file {
    struct list link; /* in files, last used first */
    struct stat st;
    struct arena *arena;
    struct map users; /* name to struct str */
    char path[];
};

static struct list files;
static size_t files_n;

static void drop(struct users_file *f)
{
    list_remove(&f->link);
    files_n--;
    arena_destroy(f->arena);
    free(f);
}

void users_files_drop(void)
{
    while (files_n > 0)
        drop(CONTAINER(files.next, struct users_file, link));
}

static struct users_file *find(const char *path)
{
    if (!files.next)
        list_init(&files);
    LIST_EACH(item, after, &files)
    {
        struct users_file *f = CONTAINER(item, struct users_file, link);
        if (strcmp(f->path, path) == 0)
            return f;
    }
    return NULL;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev &&
           a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* "user:hash" or "user:hash:comment"; "#" begins a comment. */
static void add_line(struct users_file *f, struct str line)
{
    size_t colon = str_find(line, ':', 0);
    if (!line.n || line.p[0] == '#' || colon == line.n)
        return;
    struct str *hash = arena_alloc(f->arena, sizeof *hash);
    struct str rest = str_slice(line, colon + 1, line.n);
    size_t end = str_find(rest, ':', 0), cr = str_find(rest, '\r', 0);
    *hash = arena_str(f->arena, str_slice(rest, 0, end < cr ? end : cr));
    map_add(&f->users, str_slice(line, 0, colon), hash);
}

/* The whole file, whatever its size says, up to the maximum. */
static int read_all(int fd, char *p, size_t n, size_t *got)
{
    *got = 0;
    while (*got < n) {
        ssize_t r = read(fd, p + *got, n - *got);
        if (r == -1 && errno == EINTR)
            continue;
        if (r == -1)
            return -1;
        if (r == 0)
            break;
        *got += (size_t)r;
    }
    return 0;
}

static struct users_file *load(const char *path, int fd, const struct stat *st)
{
    size_t n = strlen(path) + 1, got;
    struct arena *arena = arena_create(4096);
    char *text = arena_alloc(arena, (size_t)st->st_size + 1);

    if (read_all(fd, text, (size_t)st->st_size, &got) == -1) {
        arena_destroy(arena);
        return NULL;
    }
    struct users_file *f = xcalloc(1, sizeof *f + n);
    memcpy(f->path, path, n);
    f->st = *st;
    f->arena = arena;
    map_init(&f->users, arena, false);
    struct str rest = str_n(text, got);
    while (rest.p)
        add_line(f, str_cut(&rest, '\n'));
    if (files_n == USERS_FILES_MAX)
        drop(CONTAINER(files.prev, struct users_file, link));
    list_push_front(&files, &f->link);
    files_n++;
    return f;
}

static struct users_file *open_file(const char *path)
{
    struct stat st;
    struct users_file *f = NULL;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd == -1)
        return NULL;
    if (fstat(fd, &st) == -1)
        goto close_fd;
    if (!S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        goto close_fd;
    }
    if (st.st_size > USERS_FILE_MAX) {
        errno = EFBIG;
        goto close_fd;
    }
    f = load(path, fd, &st);
close_fd:
    close(fd);
    return f;
}

int users_file_find(const char *path, struct str user, struct str *hash)
{
    struct stat st;
    struct users_file *f = find(path);

    if (f && (stat(path, &st) == -1 || !is_same(&f->st, &st))) {
        drop(f);
        f = NULL;
    }
    if (!f)
        f = open_file(path);
    if (!f)
        return -1;
    list_remove(&f->link);
    list_push_front(&files, &f->link);
    const struct str *found = map_find(&f->users, user);
    if (!found)
        return 0;
    *hash = *found;
    return 1;
}

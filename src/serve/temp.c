/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/temp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

enum {
    NAMES_MAX = 1000, /* numbers tried before a directory counts as full */
    DIGITS = 10,
};

/* ---- files ---- */

/* "/path/1/23" of the levels 1 and 2 and a name that ends in 231. */
static void put_directory(struct buf *to, const struct temp_path *in,
                          const char digits[DIGITS + 1], unsigned depth)
{
    size_t end = DIGITS;

    buf_printf(to, "%s", in->path);
    for (unsigned i = 0; i < depth; i++) {
        end -= in->levels[i];
        buf_printf(to, "/%.*s", (int)in->levels[i], digits + end);
    }
}

static unsigned depth_of(const struct temp_path *in)
{
    unsigned n = 0;
    while (n < TEMP_LEVELS_MAX && in->levels[n])
        n++;
    return n;
}

static void make_directories(const struct temp_path *in,
                             const char digits[DIGITS + 1])
{
    for (unsigned depth = 1; depth <= depth_of(in); depth++) {
        struct buf path = {0};
        put_directory(&path, in, digits, depth);
        buf_put_u8(&path, 0);
        mkdir((char *)path.p, 0700); /* what is wrong open() says too */
        buf_fini(&path);
    }
}

int temp_file_create(const struct temp_path *in, struct arena *arena,
                     struct str *name)
{
    static uint32_t number;
    char digits[DIGITS + 1];

    if (!number)
        number = (uint32_t)random_u64();
    for (int i = 0; i < NAMES_MAX; i++) {
        struct buf path = {0};
        snprintf(digits, sizeof digits, "%010u", ++number);
        put_directory(&path, in, digits, depth_of(in));
        buf_printf(&path, "/%s", digits);
        *name = arena_str(arena, buf_str(&path));
        buf_fini(&path);
        int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
        int fd = open(name->p, flags, 0600);
        if (fd == -1 && errno == ENOENT && in->levels[0]) {
            make_directories(in, digits);
            fd = open(name->p, flags, 0600);
        }
        if (fd != -1 || errno != EEXIST)
            return fd;
    }
    return -1;
}

int temp_file_write(int fd, const void *p, size_t n, uint64_t offset,
                    size_t step)
{
    const uint8_t *at = p;

    while (n) {
        size_t want = step && n > step ? step : n;
        ssize_t done = pwrite(fd, at, want, (off_t)offset);
        if (done == -1 && errno == EINTR)
            continue;
        if (done <= 0) {
            if (done == 0)
                errno = ENOSPC;
            return -1;
        }
        at += done;
        n -= (size_t)done;
        offset += (uint64_t)done;
    }
    return 0;
}

/* On another file system: a copy beside the place, then its name. */
static int copy_to(int from, const char *path, unsigned mode)
{
    struct buf beside = {0};
    uint8_t piece[16384];
    off_t at = 0;
    ssize_t n;
    int rc = -1;

    buf_printf(&beside, "%s.XXXXXX", path);
    buf_put_u8(&beside, 0);
    int to = mkstemp((char *)beside.p);
    if (to == -1)
        goto free_name;
    while ((n = pread(from, piece, sizeof piece, at)) > 0) {
        if (temp_file_write(to, piece, (size_t)n, (uint64_t)at, 0) == -1)
            goto close_file;
        at += n;
    }
    if (n == 0 && fchmod(to, mode) == 0)
        rc = rename((char *)beside.p, path);
close_file:;
    int error = errno;
    close(to);
    if (rc == -1)
        unlink((char *)beside.p);
    errno = error;
free_name:
    buf_fini(&beside);
    return rc;
}

int temp_file_move(int fd, const char *name, const char *path, unsigned mode)
{
    if (rename(name, path) == 0)
        return 0;
    if (errno != EXDEV || copy_to(fd, path, mode) == -1)
        return -1;
    unlink(name);
    return 0;
}

/* ---- the directives ---- */

int temp_levels_read(struct conf *conf, const struct directive *row,
                     struct str text, unsigned *level)
{
    uint64_t digits;

    if (!str_to_u64(text, TEMP_LEVELS_MAX, &digits) || !digits)
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"%s\", a level is 1, "
                         "2 or 3 digits",
                         STR_ARG(text), row->name);
    *level = (unsigned)digits;
    return 0;
}

static struct temp_conf *main_conf(const struct conf_scope *main)
{
    return conf_get(main, &temp_module);
}

void temp_path_add(struct conf *conf, const char *path)
{
    conf_list_add(conf, conf->main, &main_conf(conf->main)->all,
                  (void *)(uintptr_t)path);
}

int temp_path_set(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    struct temp_path *t = field;
    (void)scope;

    *t = (struct temp_path){.path =
                                conf_full_path(conf, conf_arg(node, 1), false)};
    for (size_t i = 2; i < node->words_n; i++)
        if (temp_levels_read(conf, row, conf_arg(node, i), &t->levels[i - 2]) ==
            -1)
            return -1;
    temp_path_add(conf, t->path);
    return 0;
}

void temp_paths(const struct generation *g, const struct conf_list **named,
                const char *defaults[2])
{
    struct temp_conf *c = main_conf(g->conf.main);

    *named = &c->all;
    defaults[0] = c->client_body.path;
    defaults[1] = c->proxy.path;
}

static int temp_on_scope(struct conf *conf, struct conf_scope *scope,
                         void *module_conf)
{
    struct temp_conf *c = module_conf;

    if (scope != conf->main)
        return 0;
    c->client_body.path = conf_full_path(conf, STR("client_body_temp"), false);
    c->proxy.path = conf_full_path(conf, STR("proxy_temp"), false);
    return 0;
}

#define TEMP_PATH(directive, member, what)                                     \
    {                                                                          \
        .name = directive,                                                     \
        .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,                   \
        .arity = ARGS_1 | ARGS_2 | ARGS_3 | ARGS_4, .set = temp_path_set,      \
        .offset = offsetof(struct temp_conf, member),                          \
        .syntax = "PATH [LEVEL [LEVEL [LEVEL]]]", .help = what,                \
    }
#define UNUSED "Accepted; the directory is made, and nothing put there."

static const struct directive temp_directives[] = {
    TEMP_PATH("client_body_temp_path", client_body,
              "Where request bodies go that are larger than "
              "client_body_buffer_size; a level is the number of digits that "
              "name a subdirectory."),
    TEMP_PATH("proxy_temp_path", proxy,
              "Where responses go that a client is too slow for."),
    TEMP_PATH("fastcgi_temp_path", other, UNUSED),
    TEMP_PATH("uwsgi_temp_path", other, UNUSED),
    TEMP_PATH("scgi_temp_path", other, UNUSED),
    {.name = NULL},
};

struct conf_module temp_module = {
    .name = "temp",
    .size = sizeof(struct temp_conf),
    .directives = temp_directives,
    .on_scope = temp_on_scope,
};

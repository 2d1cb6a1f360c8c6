/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/conf.h"

/* ---- the file system ---- */

static int fail_errno(struct err *err, const char *call, const char *path)
{
    int error = errno;
    return err_set(err, "%s() \"%s\" failed (%d: %s)", call, path, error,
                   strerror(error));
}

/* To the end rather than to its size: it may be a pipe. */
static int read_all(int fd, const char *path, struct buf *text, struct err *err)
{
    for (;;) {
        uint8_t *room = buf_reserve(text, 1 << 16);
        if (!room)
            return err_set(err, "\"%s\" has more than %d bytes", path,
                           CONF_TEXT_MAX);
        ssize_t n = read(fd, room, 1 << 16);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return fail_errno(err, "read", path);
        if (n == 0)
            return 0;
        text->n += (size_t)n;
    }
}

static int files_read(void *self, const char *path, struct arena *arena,
                      struct str *text, struct err *err)
{
    (void)self;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd == -1)
        return fail_errno(err, "open", path);
    struct buf bytes;
    buf_init(&bytes, CONF_TEXT_MAX + (1 << 16));
    int result = read_all(fd, path, &bytes, err);
    if (result == 0)
        *text = arena_str(arena, buf_str(&bytes));
    buf_fini(&bytes);
    close(fd);
    return result;
}

static int files_glob(void *self, const char *mask, struct arena *arena,
                      char ***paths, struct err *err)
{
    (void)self;
    glob_t found = {0};
    int answer = glob(mask, 0, NULL, &found);
    if (answer != 0 && answer != GLOB_NOMATCH) {
        globfree(&found);
        return err_set(err, "glob() \"%s\" failed", mask);
    }
    size_t n = answer == 0 ? found.gl_pathc : 0;
    *paths = arena_calloc(arena, (n + 1) * sizeof **paths);
    for (size_t i = 0; i < n; i++)
        (*paths)[i] = arena_cstr(arena, str_c(found.gl_pathv[i]));
    globfree(&found);
    return 0;
}

const struct conf_source conf_source_files = {
    .read = files_read,
    .glob = files_glob,
};

/* ---- a bundle ---- */

static int bundle_read(void *self, const char *path, struct arena *arena,
                       struct str *text, struct err *err)
{
    for (const struct conf_file *f = self; f; f = f->next)
        if (strcmp(f->path, path) == 0) {
            *text = arena_str(arena, f->text);
            return 0;
        }
    errno = ENOENT;
    return fail_errno(err, "open", path);
}

/*
 * As glob() would say it of a file that is there.  fnmatch() lets "*" stand
 * for nothing between two slashes ("/a//b"), which glob() never answers, and
 * such a path may be in the bundle because it was written so.
 */
static bool mask_matches(const char *mask, const char *path)
{
    if (fnmatch(mask, path, FNM_PATHNAME | FNM_PERIOD) != 0)
        return false;
    struct str m = str_c(mask), p = str_c(path);
    while (m.n && p.n)
        if ((str_cut(&m, '/').n == 0) != (str_cut(&p, '/').n == 0))
            return false;
    return true;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int bundle_glob(void *self, const char *mask, struct arena *arena,
                       char ***paths, struct err *err)
{
    size_t n = 0, files_n = 0;
    (void)err;
    for (const struct conf_file *f = self; f; f = f->next)
        files_n++;
    *paths = arena_calloc(arena, (files_n + 1) * sizeof **paths);
    for (const struct conf_file *f = self; f; f = f->next)
        if (mask_matches(mask, f->path))
            (*paths)[n++] = arena_cstr(arena, str_c(f->path));
    qsort(*paths, n, sizeof **paths, compare_paths);
    return 0;
}

struct conf_source conf_source_bundle(const struct conf_file *files)
{
    return (struct conf_source){
        .read = bundle_read,
        .glob = bundle_glob,
        .self = (void *)(uintptr_t)files,
    };
}

/* ---- files that are not configuration text ---- */

int conf_read_file(struct conf *conf, const char *path, struct str *text)
{
    const struct conf_source *source = conf->tree.source;
    struct conf_file **end = &conf->tree.files;

    for (; *end; end = &(*end)->next)
        if (strcmp((*end)->path, path) == 0) {
            *text = (*end)->text;
            return 0;
        }
    if (source->read(source->self, path, conf->arena, text, conf->err) == -1)
        return -1;
    struct conf_file *f = arena_calloc(conf->arena, sizeof *f);
    f->path = arena_cstr(conf->arena, str_c(path));
    f->text = *text;
    *end = f;
    if (!conf->tree.data)
        conf->tree.data = f;
    return 0;
}

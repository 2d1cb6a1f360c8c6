/* SPDX-License-Identifier: BSD-2-Clause */
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "modules.h"
#include "route/regex.h"
#include "settings.h"

static int apply(struct generation *g, struct load *load, struct err *err)
{
    struct conf *conf = &g->conf;
    const char *path = arena_cstr(g->arena, str_c(load->path));
    struct str globals = arena_str(g->arena, load->globals);

    conf->tree.prefix = conf->prefix;
    int rc = conf_tree_parse(&conf->tree, g->arena, &load->source, path,
                             globals, err);
    load->files_read = conf->tree.files;
    if (rc == -1 || conf_apply(conf) == -1)
        return -1;
    return values_resolve(conf, &g->variables);
}

struct generation *generation_load(struct load *load, struct arena *arena,
                                   struct err *err)
{
    struct generation *g = xcalloc(1, sizeof *g);

    g->references = 1;
    g->number = load->number;
    g->arena = arena;
    variables_init(&g->variables, arena, gateway_variables);
    map_init(&g->upstreams, arena, false);
    map_init(&g->backends, arena, false);

    size_t n = 0;
    while (gateway_modules[n])
        n++;
    g->conf = (struct conf){
        .arena = arena,
        .list = gateway_modules,
        .list_n = n,
        .prefix = arena_cstr(arena, str_c(load->prefix)),
        .err = err,
        .warn = load->warn,
        .warn_arg = load->warn_arg,
        .variables = &g->variables,
        .result = g,
    };
    if (apply(g, load, err) == -1) {
        generation_unref(g);
        return NULL;
    }
    /* What is said from now on is the generation's own matter. */
    g->conf.err = &g->err;
    g->conf.warn = NULL;
    regex_set_match_limit((uint32_t)settings_of(g)->match_limit);
    return g;
}

static void put_text(struct buf *b, struct str s)
{
    buf_put_le64(b, s.n);
    buf_put_str(b, s);
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(fd, p, n);
        if (wrote == -1 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return -1;
        p += wrote;
        n -= (size_t)wrote;
    }
    return 0;
}

int bundle_write(const struct load *load, const struct conf_file *files,
                 struct err *err)
{
    struct buf b = {0};
    put_text(&b, str_c(load->path));
    put_text(&b, str_c(load->prefix));
    put_text(&b, load->globals);
    for (const struct conf_file *f = files; f; f = f->next) {
        put_text(&b, str_c(f->path));
        put_text(&b, f->text);
    }

    int fd = memfd_create("penstock configuration", MFD_CLOEXEC);
    if (fd == -1) {
        err_set(err, "memfd_create() failed (%d: %s)", errno, strerror(errno));
        goto free_bytes;
    }
    if (write_all(fd, b.p, b.n) == -1) {
        err_set(err, "write() of the configuration failed (%d: %s)", errno,
                strerror(errno));
        close(fd);
        fd = -1;
    }

free_bytes:
    buf_fini(&b);
    return fd;
}

/* The next text, and what follows it; false at the end or when it is cut. */
static bool take_text(struct str *rest, struct str *text)
{
    if (rest->n < 8)
        return false;
    uint64_t n = le64_get(rest->p);
    if (n > rest->n - 8)
        return false;
    *text = str_slice(*rest, 8, 8 + (size_t)n);
    *rest = str_slice(*rest, 8 + (size_t)n, rest->n);
    return true;
}

/* The whole of a memory file, wherever its offset stands: the descriptor
 * shares it with the other workers'. */
static int read_all(int fd, struct arena *arena, struct str *bytes,
                    struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) == -1)
        return err_set(err, "fstat() failed (%d: %s)", errno, strerror(errno));
    size_t n = (size_t)st.st_size, at = 0;
    char *p = arena_alloc(arena, n + 1);
    while (at < n) {
        ssize_t got = pread(fd, p + at, n - at, (off_t)at);
        if (got == -1 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(err, "pread() failed (%d: %s)", errno,
                           strerror(errno));
        at += (size_t)got;
    }
    p[n] = '\0';
    *bytes = str_n(p, n);
    return 0;
}

int bundle_read(struct load *load, int fd, struct arena *arena, struct err *err)
{
    struct str rest, path, prefix, text;
    struct conf_file *files = NULL, **end = &files;

    if (read_all(fd, arena, &rest, err) == -1)
        return -1;
    if (!take_text(&rest, &path) || !take_text(&rest, &prefix) ||
        !take_text(&rest, &load->globals))
        return err_set(err, "the configuration was cut");
    load->path = arena_cstr(arena, path);
    load->prefix = arena_cstr(arena, prefix);
    while (take_text(&rest, &path) && take_text(&rest, &text)) {
        struct conf_file *f = arena_calloc(arena, sizeof *f);
        f->path = arena_cstr(arena, path);
        f->text = text;
        *end = f;
        end = &f->next;
    }
    if (rest.n > 0)
        return err_set(err, "the configuration was cut");
    load->source = conf_source_bundle(files);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/generation.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

/*
 * A log is one open file for the whole process, however many generations name
 * it: so a reload neither opens it twice nor leaves an old request with a
 * closed one, and reopening reaches everybody.
 */
struct shared_file {
    struct log_file file;
    struct shared_file *next;
    unsigned references; /* one a generation */
    char path[];
};

static struct shared_file *shared_files;

static struct shared_file *find_or_create(const char *path)
{
    for (struct shared_file *f = shared_files; f; f = f->next)
        if (strcmp(f->path, path) == 0)
            return f;

    size_t n = strlen(path) + 1;
    struct shared_file *f = xcalloc(1, sizeof *f + n);
    memcpy(f->path, path, n);
    f->file.path = f->path;
    f->file.fd = strcmp(path, "stderr") == 0 ? STDERR_FILENO : -1;
    f->next = shared_files;
    shared_files = f;
    return f;
}

static void drop_file(void *arg)
{
    struct shared_file *f = arg;
    if (--f->references > 0)
        return;
    struct shared_file **at = &shared_files;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    if (f->file.fd > STDERR_FILENO)
        close(f->file.fd);
    free(f);
}

struct log_file *generation_file(struct generation *g, const char *path)
{
    for (size_t i = 0; i < g->files_n; i++)
        if (strcmp(g->files[i]->path, path) == 0)
            return g->files[i];

    if (g->files_n == g->files_capacity) {
        size_t capacity = g->files_capacity ? 2 * g->files_capacity : 8;
        struct log_file **files =
            arena_calloc(g->arena, capacity * sizeof *files);
        if (g->files_n)
            memcpy(files, g->files, g->files_n * sizeof *files);
        g->files = files;
        g->files_capacity = capacity;
    }
    struct shared_file *f = find_or_create(path);
    f->references++;
    arena_on_destroy(g->arena, drop_file, f);
    g->files[g->files_n++] = &f->file;
    return &f->file;
}

struct generation *generation_ref(struct generation *g)
{
    check(g->references > 0);
    g->references++;
    return g;
}

void generation_unref(struct generation *g)
{
    if (!g)
        return;
    check(g->references > 0);
    if (--g->references > 0)
        return;
    /* What the arena ends may still look at g. */
    arena_destroy(g->arena);
    free(g);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One worker at a time, whichever has the lease, removes what is old or too
 * much, and one, once, finds the files of an earlier run.  Both do a few files
 * a turn of the loop and then let requests have theirs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "serve/cache.h"

enum {
    MANAGER_MS = 1000, /* between looks when there is nothing to do */
    LEASE_MS = 5000,   /* a worker that died is replaced after it */
    EVICT_MAX = 100,
    DEPTH_MAX = TEMP_LEVELS_MAX + 1,
};

/* ---- the manager ---- */

/* How much the files may be so that min_free stays free; 0: no matter. */
static uint64_t size_allowed(const struct cache *c)
{
    struct statvfs fs;

    if (c->min_free && statvfs(c->files.path, &fs) == 0 &&
        (uint64_t)fs.f_bavail * fs.f_frsize < c->min_free)
        return 1; /* the oldest go, a batch at a time */
    return c->max_size;
}

static void on_manager(struct timer *timer)
{
    struct cache *c = CONTAINER(timer, struct cache, manager);
    struct cache_hash evicted[EVICT_MAX];
    size_t max = c->manager_files < EVICT_MAX ? (size_t)c->manager_files
                                              : (size_t)EVICT_MAX;
    size_t n = 0;

    if (cache_lease_manager(c, LEASE_MS)) {
        n = cache_index_evict(c, size_allowed(c), evicted, max);
        for (size_t i = 0; i < n; i++)
            cache_file_remove(c, &evicted[i]);
    }
    timer_set(c->loop, &c->manager,
              n == max ? c->manager_sleep_ms : MANAGER_MS);
}

/* ---- the loader ---- */

struct cache_walk {
    DIR *at[DEPTH_MAX]; /* the directory and those above it */
    unsigned depth;     /* how many are open */
};

static void walk_end(struct cache *c)
{
    struct cache_walk *w = c->walk;

    while (w && w->depth)
        closedir(w->at[--w->depth]);
    free(w);
    c->walk = NULL;
}

static bool hash_from_name(const char *name, struct cache_hash *hash)
{
    for (size_t i = 0; i < CACHE_HASH_SIZE; i++) {
        int high = ascii_hex(name[2 * i]);
        int low = high < 0 ? -1 : ascii_hex(name[2 * i + 1]);
        if (low < 0)
            return false;
        hash->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return name[2 * CACHE_HASH_SIZE] == 0;
}

static void descend(struct cache_walk *w, int above, const char *name)
{
    int fd =
        openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd == -1 ? NULL : fdopendir(fd);

    if (d)
        w->at[w->depth++] = d;
    else if (fd != -1)
        close(fd);
}

/* One name of the directories.  False: there are no more. */
static bool walk_step(struct cache *c)
{
    struct cache_walk *w = c->walk;
    DIR *d = w->at[w->depth - 1];
    struct dirent *e = readdir(d);
    struct cache_hash hash;
    struct stat st;

    if (!e) {
        closedir(d);
        return --w->depth > 0;
    }
    size_t n = strlen(e->d_name);
    if (e->d_name[0] == '.')
        return true;
    bool is_level = w->depth < DEPTH_MAX && c->files.levels[w->depth - 1] == n;
    if (is_level)
        descend(w, dirfd(d), e->d_name);
    else if (hash_from_name(e->d_name, &hash) &&
             fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
             S_ISREG(st.st_mode))
        cache_index_found(c, &hash, (uint64_t)st.st_size);
    return true;
}

static void walk_begin(struct cache *c)
{
    c->walk = xcalloc(1, sizeof *c->walk);
    descend(c->walk, AT_FDCWD, c->files.path);
}

static void on_loader(struct timer *timer)
{
    struct cache *c = CONTAINER(timer, struct cache, loader);

    if (!cache_lease_loader(c, LEASE_MS)) {
        walk_end(c);
        /* Another one loads; when it dies this goes on instead.  When all is
         * loaded the lease is nobody's, and this asks every now and then. */
        timer_set(c->loop, &c->loader, LEASE_MS);
        return;
    }
    if (!c->walk)
        walk_begin(c);
    bool more = c->walk->depth > 0;
    for (uint64_t i = 0; more && i < c->loader_files; i++)
        more = walk_step(c);
    if (more) {
        timer_set(c->loop, &c->loader, c->loader_sleep_ms);
        return;
    }
    walk_end(c);
    cache_loaded(c);
}

/* ---- life ---- */

static void stop(void *arg)
{
    struct cache *c = arg;

    timer_clear(&c->manager);
    timer_clear(&c->loader);
    walk_end(c);
}

void caches_start(struct generation *g, struct loop *loop)
{
    struct cache **first = conf_get(g->conf.main, &cache_module);

    for (struct cache *c = *first; c; c = c->next) {
        c->loop = loop;
        timer_init(&c->manager, on_manager);
        timer_init(&c->loader, on_loader);
        arena_on_destroy(g->arena, stop, c);
        timer_set(loop, &c->manager, MANAGER_MS);
        timer_set(loop, &c->loader, 1);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/zone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

/* One mapping for the whole process, however many generations use it. */
struct zone_memory {
    struct shm *shared;
    int fd; /* the master's, to send; -1 in a worker that was sent it */
    const struct zone_kind *kind;
    unsigned owner; /* this process's place; 0: none */
    dev_t device;
    ino_t inode; /* which memory it is, among all that ever were */
    unsigned references;
    struct zone_memory *next;
};

static struct zone_memory *memories;

/* ---- at load ---- */

static struct zone *find(const struct generation *g, struct str name)
{
    struct zone *z = g->zones;
    while (z && !str_eq(z->name, name))
        z = z->next;
    return z;
}

static struct zone *make(struct conf *conf, struct str name)
{
    struct generation *g = generation_of(conf);
    struct zone **end = &g->zones;
    struct zone *z = arena_calloc(conf->arena, sizeof *z);

    while (*end)
        end = &(*end)->next;
    z->name = arena_str(conf->arena, name);
    z->node = conf->node;
    *end = z;
    return z;
}

struct zone *zone_declare(struct conf *conf, struct str name, uint64_t size,
                          const struct zone_kind *kind)
{
    struct zone *z = find(generation_of(conf), name);

    if (!z) {
        z = make(conf, name);
        z->kind = kind;
    }
    if (z->kind != kind) {
        conf_fail(conf,
                  "the shared memory zone \"%.*s\" is already declared for a "
                  "different use (%s)",
                  STR_ARG(name), z->kind->name);
        return NULL;
    }
    if (size && z->size && size != z->size) {
        conf_fail(conf,
                  "the size %llu of shared memory zone \"%.*s\" conflicts "
                  "with already declared size %llu",
                  (unsigned long long)size, STR_ARG(name),
                  (unsigned long long)z->size);
        return NULL;
    }
    if (size)
        z->size = size;
    return z;
}

struct zone *zone_declare_text(struct conf *conf, struct str name_size,
                               struct str whole, const struct zone_kind *kind)
{
    uint64_t size;
    size_t colon = str_find(name_size, ':', 0);
    struct str name = str_slice(name_size, 0, colon);
    struct str text = str_slice(name_size, colon + 1, name_size.n);

    if (colon == name_size.n || !name.n || !conf_parse_size(text, &size) ||
        size > SHM_SIZE_MAX) {
        conf_fail(conf, "invalid zone size \"%.*s\", expected NAME:SIZE",
                  STR_ARG(whole));
        return NULL;
    }
    if (size < SHM_SIZE_MIN) {
        conf_fail(conf, "zone \"%.*s\" is too small, at least %uk is needed",
                  STR_ARG(whole), SHM_SIZE_MIN / 1024);
        return NULL;
    }
    return zone_declare(conf, name, size, kind);
}

static int check_zones(struct conf *conf)
{
    for (struct zone *z = generation_of(conf)->zones; z; z = z->next)
        if (!z->size)
            return conf_fail_at(conf, z->node,
                                "zero size shared memory zone \"%.*s\"",
                                STR_ARG(z->name));
    return 0;
}

struct conf_module zone_module = {.name = "zone", .on_end = check_zones};

/* ---- memory ---- */

static void drop_memory(void *arg)
{
    struct zone_memory *m = arg;
    struct zone_memory **at = &memories;

    if (--m->references > 0)
        return;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    if (m->owner) {
        shm_lock(m->shared);
        m->kind->bury(m->shared, m->owner, NULL);
        shm_unlock(m->shared);
        shm_leave(m->shared, m->owner);
    }
    shm_detach(m->shared);
    if (m->fd != -1)
        close(m->fd);
    free(m);
}

static void use_memory(struct generation *g, struct zone *z,
                       struct zone_memory *m)
{
    m->references++;
    arena_on_destroy(g->arena, drop_memory, m);
    z->shared = m;
    z->memory = m->shared;
}

static struct zone_memory *remember(const struct zone *z, struct shm *shared,
                                    int fd, const struct stat *st)
{
    struct zone_memory *m = xcalloc(1, sizeof *m);
    m->kind = z->kind;
    m->shared = shared;
    m->fd = fd;
    m->device = st->st_dev;
    m->inode = st->st_ino;
    m->next = memories;
    memories = m;
    return m;
}

static bool fits(const struct zone *z, const struct zone *old)
{
    return old && old->shared && old->kind == z->kind && old->size == z->size &&
           str_eq(old->variant, z->variant);
}

static int open_new(struct generation *g, struct zone *z, struct err *err)
{
    struct stat st;
    int fd;
    const char *name = arena_cstr(g->arena, str_slice(z->name, 0, 200));
    struct shm *s = shm_create(name, z->size, &fd, err);

    if (!s)
        return err_prefix(err, "shared memory zone \"%.*s\"", STR_ARG(z->name));
    check(fstat(fd, &st) == 0);
    use_memory(g, z, remember(z, s, fd, &st));
    return 0;
}

int zones_open(struct generation *g, const struct generation *old,
               struct err *err)
{
    for (struct zone *z = g->zones; z; z = z->next) {
        struct zone *before = old ? find(old, z->name) : NULL;
        if (fits(z, before))
            use_memory(g, z, before->shared);
        else if (open_new(g, z, err) == -1)
            return -1;
    }
    return 0;
}

unsigned zone_owner(struct zone *z)
{
    struct zone_memory *m = z->shared;
    if (!m->owner)
        m->owner = shm_join(m->shared, m->kind->bury, NULL);
    return m->owner;
}

size_t zones_count(const struct generation *g)
{
    size_t n = 0;
    for (const struct zone *z = g->zones; z; z = z->next)
        n++;
    return n;
}

static struct zone *zone_at(const struct generation *g, size_t i)
{
    struct zone *z = g->zones;
    while (z && i-- > 0)
        z = z->next;
    return z;
}

int zones_fd(const struct generation *g, size_t i)
{
    const struct zone *z = zone_at(g, i);
    return z && z->shared ? z->shared->fd : -1;
}

int zones_attach(struct generation *g, size_t i, int fd, struct err *err)
{
    struct zone *z = zone_at(g, i);
    struct stat st;

    check(z);
    if (fstat(fd, &st) == -1)
        return err_set(err, "fstat() failed (%d: %s)", errno, strerror(errno));
    struct zone_memory *m = memories;
    while (m && (m->inode != st.st_ino || m->device != st.st_dev))
        m = m->next;
    if (!m) {
        struct shm *s = shm_attach(fd, err);
        if (!s)
            return err_prefix(err, "shared memory zone \"%.*s\"",
                              STR_ARG(z->name));
        m = remember(z, s, -1, &st);
    }
    use_memory(g, z, m);
    return 0;
}

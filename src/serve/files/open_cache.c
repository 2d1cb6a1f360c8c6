/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/open_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

enum {
    BUCKETS_MAX = 64 * 1024,
    EXPIRE_AT_ONCE = 2, /* entries looked at with each question */
};

struct entry {
    struct open_file file;
    struct list lru; /* newest first; unlinked: it left the cache */
    struct entry *next;
    char *path;
    uint32_t hash;
    unsigned references;           /* of holders */
    struct open_cache_rules rules; /* of the last one */
    uint64_t uses;
    uint64_t used_ms, checked_ms;
};

struct open_cache {
    struct open_cache_settings settings;
    struct list lru;
    struct entry **buckets;
    size_t mask, n;
};

/* ---- the directive ---- */

static int read_option(struct conf *conf, struct str word,
                       struct open_cache_settings *s,
                       struct open_cache_rules *rules)
{
    struct str value = word;
    struct str name = str_cut(&value, '=');
    bool good = false;

    if (str_eq(name, STR("max")))
        good = str_to_u64(value, 1 << 24, &s->max) && s->max;
    else if (str_eq(name, STR("inactive")))
        good = conf_parse_ms(value, &s->inactive_ms);
    else if (rules && str_eq(name, STR("valid")))
        good = conf_parse_ms(value, &rules->valid_ms);
    else if (rules && str_eq(name, STR("min_uses")))
        good =
            str_to_u64(value, INT32_MAX, &rules->min_uses) && rules->min_uses;
    return good ? 0
                : conf_fail(conf, "invalid \"%.*s\" parameter \"%.*s\"",
                            STR_ARG(conf->node->words[0].text), STR_ARG(word));
}

int open_cache_parse(struct conf *conf, const struct conf_node *node,
                     struct open_cache_settings *s,
                     struct open_cache_rules *rules)
{
    s->max = 0;
    if (node->words_n == 2 && str_eq(conf_arg(node, 1), STR("off")))
        return 0;
    for (size_t i = 1; i < node->words_n; i++)
        if (read_option(conf, conf_arg(node, i), s, rules) == -1)
            return -1;
    if (!s->max)
        return conf_fail(conf, "\"%.*s\" must have the \"max\" parameter",
                         STR_ARG(conf_arg(node, 0)));
    return 0;
}

/* ---- life ---- */

struct open_cache *open_cache_create(const struct open_cache_settings *s)
{
    struct open_cache *c = xcalloc(1, sizeof *c);
    size_t buckets = 16;

    while (buckets < s->max && buckets < BUCKETS_MAX)
        buckets *= 2;
    c->settings = *s;
    c->buckets = xcalloc(buckets, sizeof *c->buckets);
    c->mask = buckets - 1;
    list_init(&c->lru);
    return c;
}

static void free_entry(struct entry *e)
{
    if (e->file.fd != -1)
        close(e->file.fd);
    free(e->path);
    free(e);
}

/* It is found no more, and goes with its last holder. */
static void remove_entry(struct open_cache *c, struct entry *e)
{
    struct entry **at = &c->buckets[e->hash & c->mask];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    list_remove(&e->lru);
    c->n--;
    if (!e->references)
        free_entry(e);
}

void open_cache_clear(struct open_cache *c)
{
    LIST_EACH(link, after, &c->lru)
    remove_entry(c, CONTAINER(link, struct entry, lru));
}

void open_cache_destroy(struct open_cache *c)
{
    if (!c)
        return;
    open_cache_clear(c);
    free(c->buckets);
    free(c);
}

/* ---- files ---- */

static bool stays_open(const struct open_cache *c, const struct entry *e)
{
    return c->settings.how == OPEN_TO_LOG || S_ISREG(e->file.st.st_mode);
}

static void open_file(const struct open_cache *c, struct entry *e)
{
    struct open_file *f = &e->file;
    int flags = c->settings.how == OPEN_TO_LOG ? O_WRONLY | O_APPEND | O_CREAT
                                               : O_RDONLY;

    f->error = 0;
    f->fd = open(e->path, flags | O_NONBLOCK | O_CLOEXEC, 0644);
    if (f->fd == -1 || fstat(f->fd, &f->st) == -1)
        f->error = errno;
    bool stays =
        !f->error && (c->settings.how == OPEN_TO_LOG || S_ISREG(f->st.st_mode));
    if (!stays && f->fd != -1) {
        close(f->fd);
        f->fd = -1;
    }
    e->checked_ms = clock_now_ms();
}

/* Is what the path names now still what we have? */
static bool is_the_same(const struct open_cache *c, const struct entry *e)
{
    const struct stat *had = &e->file.st;
    struct stat st;

    if (stat(e->path, &st) == -1)
        return e->file.error == errno;
    if (e->file.error || st.st_ino != had->st_ino || st.st_dev != had->st_dev)
        return false;
    return c->settings.how == OPEN_TO_LOG ||
           (st.st_size == had->st_size &&
            st.st_mtim.tv_sec == had->st_mtim.tv_sec &&
            st.st_mtim.tv_nsec == had->st_mtim.tv_nsec);
}

static struct entry *find(struct open_cache *c, const char *path, uint32_t hash)
{
    struct entry *e = c->buckets[hash & c->mask];
    while (e && (e->hash != hash || strcmp(e->path, path) != 0))
        e = e->next;
    return e;
}

static void expire(struct open_cache *c, uint64_t now_ms)
{
    for (int i = 0; i < EXPIRE_AT_ONCE && !list_is_empty(&c->lru); i++) {
        struct entry *e = CONTAINER(c->lru.prev, struct entry, lru);
        if (c->n <= c->settings.max &&
            now_ms - e->used_ms < c->settings.inactive_ms)
            return;
        remove_entry(c, e);
    }
}

static struct entry *add(struct open_cache *c, const char *path, uint32_t hash)
{
    struct entry *e = xcalloc(1, sizeof *e);

    e->path = xstrdup(path);
    e->hash = hash;
    e->file.fd = -1;
    e->next = c->buckets[hash & c->mask];
    c->buckets[hash & c->mask] = e;
    list_push_front(&c->lru, &e->lru);
    c->n++;
    open_file(c, e);
    return e;
}

struct open_file *open_cache_get(struct open_cache *c,
                                 const struct open_cache_rules *rules,
                                 const char *path)
{
    uint64_t now_ms = clock_now_ms();
    uint32_t hash = str_hash(str_c(path));
    struct entry *e = find(c, path, hash);
    uint64_t uses = e ? e->uses : 0;

    if (e && now_ms - e->checked_ms >= rules->valid_ms) {
        if (is_the_same(c, e)) {
            e->checked_ms = now_ms;
        } else {
            remove_entry(c, e);
            e = NULL;
        }
    }
    if (!e)
        e = add(c, path, hash);
    else if (e->file.fd == -1 && !e->file.error && stays_open(c, e))
        open_file(c, e); /* it was used too little to stay open */
    e->uses = uses + 1;
    e->rules = *rules;
    e->used_ms = now_ms;
    e->references++;
    list_remove(&e->lru);
    list_push_front(&c->lru, &e->lru);
    expire(c, now_ms);
    return &e->file;
}

void open_cache_give(struct open_cache *c, struct open_file *f)
{
    struct entry *e = CONTAINER(f, struct entry, file);

    e->references--;
    if (!list_is_linked(&e->lru)) {
        if (!e->references)
            free_entry(e);
        return;
    }
    if (f->error && !e->rules.errors) {
        remove_entry(c, e);
    } else if (f->fd != -1 && e->uses < e->rules.min_uses && !e->references) {
        close(f->fd);
        f->fd = -1;
    }
}

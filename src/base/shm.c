/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages of 4096 bytes behind a head and a table with a row a page.  A run of
 * pages is free or taken; free runs carry their length at both ends, so that
 * neighbours join, and hang in one list.  A page of items holds items of one
 * size, with its free ones chained through their first two bytes; pages with
 * a free item hang in the list of their size.
 */
#include "base/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/random.h"
#include "base/siphash.h"

enum {
    PAGE = 4096,    /* bytes */
    REF_SHIFT = 3,  /* a ref counts 8 bytes */
    ITEM_MAX = 2048 /* bytes; more are pages */
};

static const uint16_t item_sizes[] = {8,   16,  32,  48,  64,  80,   96,
                                      128, 192, 256, 384, 512, 1024, 2048};

enum page_kind {
    PAGE_INSIDE = 0, /* of a run that began earlier */
    PAGE_FREE,       /* the first of a free run */
    PAGE_RUN,        /* the first of a taken one */
    PAGE_ITEMS,
};

struct page {
    uint8_t kind;
    uint8_t size;        /* PAGE_ITEMS: index into item_sizes */
    uint16_t used;       /* items */
    uint16_t free_item;  /* the first, plus 1; 0: none */
    uint16_t fresh;      /* items from here on were never used */
    uint32_t length;     /* pages of the run; at its last page, too */
    uint32_t next, prev; /* in its list: page + 1; 0: none */
};

struct shm {
    uint64_t magic;
    uint64_t size; /* bytes of everything */
    uint64_t key[2];
    pthread_mutex_t lock;
    /* Locked by the process for as long as it lives.  They stay when all is
     * emptied: the kernel follows them from their holders. */
    pthread_mutex_t owners[SHM_OWNERS_MAX];
    uint32_t epoch;
    shm_ref root;
    uint32_t pages_n; /* that can be handed out */
    uint32_t pages_free;
    uint64_t first; /* offset of the first of them */
    uint32_t runs;  /* list of free runs */
    uint32_t partial[COUNT(item_sizes)];
    struct page pages[];
};

static const uint64_t MAGIC = UINT64_C(0x70656e73746f636b);

/* ---- lists of pages ---- */

static void list_in(struct shm *s, uint32_t *list, uint32_t i)
{
    s->pages[i].prev = 0;
    s->pages[i].next = *list;
    if (*list)
        s->pages[*list - 1].prev = i + 1;
    *list = i + 1;
}

static void list_out(struct shm *s, uint32_t *list, uint32_t i)
{
    struct page *p = &s->pages[i];
    if (p->prev)
        s->pages[p->prev - 1].next = p->next;
    else
        *list = p->next;
    if (p->next)
        s->pages[p->next - 1].prev = p->prev;
    p->next = p->prev = 0;
}

/* ---- runs of pages ---- */

static void mark_run(struct shm *s, uint32_t i, uint32_t n, enum page_kind kind)
{
    s->pages[i + n - 1].kind = PAGE_INSIDE;
    s->pages[i + n - 1].length = n;
    s->pages[i].kind = (uint8_t)kind;
    s->pages[i].length = n;
}

static bool run_find(const struct shm *s, uint32_t n, uint32_t *found)
{
    for (uint32_t at = s->runs; at; at = s->pages[at - 1].next)
        if (s->pages[at - 1].length >= n) {
            *found = at - 1;
            return true;
        }
    return false;
}

/* The end of a free run is cut off, so that the list stays as it is. */
static bool run_take(struct shm *s, uint32_t n, uint32_t *taken)
{
    uint32_t i;
    if (!run_find(s, n, &i))
        return false;
    uint32_t rest = s->pages[i].length - n;
    if (rest == 0)
        list_out(s, &s->runs, i);
    else
        mark_run(s, i, rest, PAGE_FREE);
    s->pages_free -= n;
    *taken = i + rest;
    mark_run(s, *taken, n, PAGE_RUN);
    return true;
}

static void run_give(struct shm *s, uint32_t i)
{
    uint32_t n = s->pages[i].length;
    s->pages_free += n;
    if (i + n < s->pages_n && s->pages[i + n].kind == PAGE_FREE) {
        uint32_t after = i + n;
        list_out(s, &s->runs, after);
        n += s->pages[after].length;
        s->pages[after].kind = PAGE_INSIDE;
    }
    if (i > 0) {
        /* The last page of the run before knows where that begins. */
        uint32_t before = i - s->pages[i - 1].length;
        if (s->pages[before].kind == PAGE_FREE) {
            list_out(s, &s->runs, before);
            s->pages[i].kind = PAGE_INSIDE;
            n += s->pages[before].length;
            i = before;
        }
    }
    mark_run(s, i, n, PAGE_FREE);
    list_in(s, &s->runs, i);
}

/* ---- places ---- */

void *shm_at(const struct shm *s, shm_ref ref)
{
    if (!ref)
        return NULL;
    return (char *)(uintptr_t)s + ((uint64_t)ref << REF_SHIFT);
}

shm_ref shm_ref_of(const struct shm *s, const void *p)
{
    if (!p)
        return 0;
    return (shm_ref)((uint64_t)((const char *)p - (const char *)s) >>
                     REF_SHIFT);
}

static char *page_at(const struct shm *s, uint32_t i)
{
    return (char *)(uintptr_t)s + s->first + (uint64_t)i * PAGE;
}

static uint32_t page_of(const struct shm *s, const void *p)
{
    uint64_t at = (uint64_t)((const char *)p - (const char *)s);
    check(at >= s->first);
    uint64_t i = (at - s->first) / PAGE;
    check(i < s->pages_n);
    return (uint32_t)i;
}

/* ---- items ---- */

static unsigned items_in_page(unsigned size)
{
    return PAGE / item_sizes[size];
}

static bool items_page(struct shm *s, unsigned size)
{
    uint32_t i;
    if (!run_take(s, 1, &i))
        return false;
    struct page *p = &s->pages[i];
    *p = (struct page){.kind = PAGE_ITEMS, .size = (uint8_t)size, .length = 1};
    list_in(s, &s->partial[size], i);
    return true;
}

static void *item_alloc(struct shm *s, unsigned size)
{
    if (!s->partial[size] && !items_page(s, size))
        return NULL;
    uint32_t i = s->partial[size] - 1;
    struct page *p = &s->pages[i];
    char *item;
    if (p->free_item) {
        item = page_at(s, i) + (p->free_item - 1u) * item_sizes[size];
        memcpy(&p->free_item, item, sizeof p->free_item);
    } else {
        item = page_at(s, i) + p->fresh++ * item_sizes[size];
    }
    p->used++;
    if (p->used == items_in_page(size))
        list_out(s, &s->partial[size], i);
    return item;
}

static void item_free(struct shm *s, uint32_t i, char *item)
{
    struct page *p = &s->pages[i];
    unsigned size = p->size;
    size_t at = (size_t)(item - page_at(s, i));

    check(p->used > 0 && at % item_sizes[size] == 0);
    if (p->used == items_in_page(size))
        list_in(s, &s->partial[size], i);
    memcpy(item, &p->free_item, sizeof p->free_item);
    p->free_item = (uint16_t)(at / item_sizes[size] + 1);
    if (--p->used == 0) {
        list_out(s, &s->partial[size], i);
        run_give(s, i);
    }
}

void *shm_alloc(struct shm *s, size_t n)
{
    void *p;
    if (n <= ITEM_MAX) {
        unsigned size = 0;
        while (item_sizes[size] < n)
            size++;
        p = item_alloc(s, size);
        n = item_sizes[size];
    } else {
        uint32_t i;
        if (n > (uint64_t)s->pages_n * PAGE)
            return NULL;
        uint32_t pages = (uint32_t)((n + PAGE - 1) / PAGE);
        p = run_take(s, pages, &i) ? page_at(s, i) : NULL;
    }
    return p ? memset(p, 0, n) : NULL;
}

void shm_free(struct shm *s, void *p)
{
    if (!p)
        return;
    uint32_t i = page_of(s, p);
    if (s->pages[i].kind == PAGE_ITEMS) {
        item_free(s, i, p);
        return;
    }
    check(s->pages[i].kind == PAGE_RUN && p == page_at(s, i));
    run_give(s, i);
}

uint64_t shm_free_bytes(const struct shm *s)
{
    return (uint64_t)s->pages_free * PAGE;
}

/* ---- the whole ---- */

/* As many pages as fit beside their rows. */
static void lay_out(struct shm *s)
{
    uint64_t room = s->size - sizeof *s;
    uint64_t n = room / (PAGE + sizeof(struct page));
    uint64_t first = sizeof *s + n * sizeof(struct page);
    first = (first + PAGE - 1) / PAGE * PAGE;
    if (first + n * PAGE > s->size)
        n--;
    s->first = first;
    s->pages_n = s->pages_free = (uint32_t)n;
    s->root = 0;
    s->runs = 0;
    memset(s->partial, 0, sizeof s->partial);
    memset(s->pages, 0, n * sizeof s->pages[0]);
    mark_run(s, 0, s->pages_n, PAGE_FREE);
    list_in(s, &s->runs, 0);
}

void shm_wipe(struct shm *s)
{
    s->epoch++;
    lay_out(s);
}

static void lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t how;
    check(pthread_mutexattr_init(&how) == 0);
    check(pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED) == 0);
    check(pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST) == 0);
    check(pthread_mutex_init(lock, &how) == 0);
    pthread_mutexattr_destroy(&how);
}

uint32_t shm_lock(struct shm *s)
{
    int rc = pthread_mutex_lock(&s->lock);
    if (rc == EOWNERDEAD) {
        shm_wipe(s);
        rc = pthread_mutex_consistent(&s->lock);
    }
    check(rc == 0);
    return s->epoch;
}

void shm_unlock(struct shm *s)
{
    check(pthread_mutex_unlock(&s->lock) == 0);
}

void shm_bury(struct shm *s, shm_bury_fn *bury, void *arg)
{
    for (unsigned i = 0; i < SHM_OWNERS_MAX; i++) {
        int rc = pthread_mutex_trylock(&s->owners[i]);
        if (rc == EOWNERDEAD) {
            check(pthread_mutex_consistent(&s->owners[i]) == 0);
            bury(s, i + 1, arg);
            rc = 0;
        }
        if (rc == 0)
            pthread_mutex_unlock(&s->owners[i]);
    }
}

unsigned shm_join(struct shm *s, shm_bury_fn *bury, void *arg)
{
    shm_bury(s, bury, arg);
    for (unsigned i = 0; i < SHM_OWNERS_MAX; i++) {
        int rc = pthread_mutex_trylock(&s->owners[i]);
        if (rc == EOWNERDEAD) { /* just now */
            check(pthread_mutex_consistent(&s->owners[i]) == 0);
            bury(s, i + 1, arg);
            rc = 0;
        }
        if (rc == 0)
            return i + 1;
    }
    return 0;
}

void shm_leave(struct shm *s, unsigned owner)
{
    if (owner)
        check(pthread_mutex_unlock(&s->owners[owner - 1]) == 0);
}

shm_ref shm_root(const struct shm *s)
{
    return s->root;
}

void shm_set_root(struct shm *s, shm_ref root)
{
    s->root = root;
}

uint64_t shm_size(const struct shm *s)
{
    return s->size;
}

uint64_t shm_hash(const struct shm *s, const void *p, size_t n)
{
    return siphash(s->key, p, n);
}

static struct shm *map_fd(int fd, uint64_t size, struct err *err)
{
    void *p =
        mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED)
        return p;
    err_set(err, "mmap(%llu) failed (%d: %s)", (unsigned long long)size, errno,
            strerror(errno));
    return NULL;
}

static int make_fd(const char *name, uint64_t size, struct err *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd == -1)
        return err_set(err, "memfd_create() failed (%d: %s)", errno,
                       strerror(errno));
    if (ftruncate(fd, (off_t)size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    err_set(err, "ftruncate(%llu) of shared memory failed (%d: %s)",
            (unsigned long long)size, errno, strerror(errno));
    close(fd);
    return -1;
}

struct shm *shm_create(const char *name, uint64_t size, int *fd,
                       struct err *err)
{
    check(size >= SHM_SIZE_MIN && size <= SHM_SIZE_MAX);
    size = (size + PAGE - 1) / PAGE * PAGE;
    int made = make_fd(name, size, err);
    if (made == -1)
        return NULL;
    struct shm *s = map_fd(made, size, err);
    if (!s) {
        close(made);
        return NULL;
    }
    s->size = size;
    random_bytes(s->key, sizeof s->key);
    lock_init(&s->lock);
    for (unsigned i = 0; i < SHM_OWNERS_MAX; i++)
        lock_init(&s->owners[i]);
    s->epoch = 1;
    lay_out(s);
    s->magic = MAGIC;
    *fd = made;
    return s;
}

struct shm *shm_attach(int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) == -1 || st.st_size < SHM_SIZE_MIN) {
        err_set(err, "this is no shared memory");
        return NULL;
    }
    struct shm *s = map_fd(fd, (uint64_t)st.st_size, err);
    if (s && (s->magic != MAGIC || s->size != (uint64_t)st.st_size)) {
        err_set(err, "this is no shared memory of ours");
        munmap(s, (size_t)st.st_size);
        return NULL;
    }
    return s;
}

void shm_detach(struct shm *s)
{
    if (s)
        munmap(s, (size_t)s->size);
}

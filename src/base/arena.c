/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

/* Under AddressSanitizer what was not handed out is poisoned, so that one
 * item running into the next is seen as it would be with malloc. */
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
enum {
    GAP = 16 /* poisoned bytes between two items */
};
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
enum { GAP = 0 };
#endif

struct chunk {
    struct chunk *next;
    size_t size; /* usable bytes after the header */
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

struct ending {
    struct ending *next;
    void (*end)(void *arg);
    void *arg;
};

struct arena {
    struct chunk *chunks; /* the one we fill; the first allocated is last */
    struct ending *endings;
    size_t chunk_size;
    size_t total;
};

static struct chunk *chunk_create(struct arena *a, size_t size)
{
    struct chunk *c = xmalloc(sizeof *c + size);
    c->next = NULL;
    c->size = size;
    c->used = 0;
    a->total += sizeof *c + size;
    ASAN_POISON_MEMORY_REGION(c->bytes, size);
    return c;
}

struct arena *arena_create(size_t chunk)
{
    struct arena *a = xcalloc(1, sizeof *a);
    a->chunk_size = chunk;
    a->chunks = chunk_create(a, chunk);
    return a;
}

static void run_endings(struct arena *a)
{
    while (a->endings) {
        struct ending *e = a->endings;
        a->endings = e->next;
        e->end(e->arg);
    }
}

void arena_reset(struct arena *a)
{
    run_endings(a);
    while (a->chunks->next) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        a->total -= sizeof *c + c->size;
        ASAN_UNPOISON_MEMORY_REGION(c->bytes, c->size);
        free(c);
    }
    a->chunks->used = 0;
    ASAN_POISON_MEMORY_REGION(a->chunks->bytes, a->chunks->size);
}

void arena_destroy(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    ASAN_UNPOISON_MEMORY_REGION(a->chunks->bytes, a->chunks->size);
    free(a->chunks);
    free(a);
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t align = alignof(max_align_t);
    size_t asked = n;
    check(n < SIZE_MAX / 2);
    n = ((n + align - 1) & ~(align - 1)) + GAP;
    struct chunk *c = a->chunks;
    if (n > c->size - c->used) {
        c = chunk_create(a, n > a->chunk_size ? n : a->chunk_size);
        c->next = a->chunks;
        a->chunks = c;
    }
    void *p = c->bytes + c->used;
    c->used += n;
    ASAN_UNPOISON_MEMORY_REGION(p, asked);
    return p;
}

void *arena_calloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    return n ? memcpy(copy, p, n) : copy;
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

struct str arena_str(struct arena *a, struct str s)
{
    return (struct str){arena_cstr(a, s), s.n};
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    check(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return (struct str){text, (size_t)n};
}

void arena_on_destroy(struct arena *a, void (*end)(void *arg), void *arg)
{
    struct ending *e = arena_alloc(a, sizeof *e);
    *e = (struct ending){.next = a->endings, .end = end, .arg = arg};
    a->endings = e;
}

size_t arena_size(const struct arena *a)
{
    return a->total;
}

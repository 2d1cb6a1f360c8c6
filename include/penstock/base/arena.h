/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/arena.h - memory that is freed all at once.
 *
 * A request and a loaded configuration each own one.  Nothing in an arena is
 * freed alone; what needs an ending (a compiled pattern, a descriptor) asks
 * for it with arena_on_destroy().  Aligned for any type.
 */
#ifndef PENSTOCK_BASE_ARENA_H
#define PENSTOCK_BASE_ARENA_H

#include <stddef.h>

#include "base/str.h"

struct arena;

/* chunk: bytes asked of malloc at a time; larger items get their own. */
struct arena *arena_create(size_t chunk);
void arena_destroy(struct arena *a); /* NULL is fine */

/* Run the endings and forget everything, but keep the first chunk. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t n);
void *arena_calloc(struct arena *a, size_t n); /* zeroed */
void *arena_copy(struct arena *a, const void *p, size_t n);

/* Copies get a NUL behind them that is not counted in n. */
struct str arena_str(struct arena *a, struct str s);
char *arena_cstr(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Call end(arg) when the arena is reset or destroyed, last asked first. */
void arena_on_destroy(struct arena *a, void (*end)(void *arg), void *arg);

/* Bytes taken from malloc so far. */
size_t arena_size(const struct arena *a);

#endif

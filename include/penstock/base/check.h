/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/check.h - promises that stay checked in every build, and allocation.
 *
 * check() is for what our own code promised; what a peer or a file can get
 * wrong is an error, never a check.  The x-functions abort when memory runs
 * out: every size that a peer can influence was bounded before it came here,
 * which removes half of the error paths a proxy would otherwise have.  An
 * allocation whose size a peer chooses uses malloc() and ends that peer.
 */
#ifndef PENSTOCK_BASE_CHECK_H
#define PENSTOCK_BASE_CHECK_H

#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The struct that holds member at p. */
#define CONTAINER(p, type, member)                                             \
    ((type *)(void *)((char *)(p)-offsetof(type, member)))

#define check(condition)                                                       \
    ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

_Noreturn void check_failed(const char *what, const char *file, int line);

void *xmalloc(size_t n);
void *xcalloc(size_t count, size_t size); /* zeroed */
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);

#endif

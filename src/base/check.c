/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "penstock: broken promise: %s (%s:%d)\n", what, file, line);
    abort();
}

static void *must(void *p, size_t n)
{
    if (!p && n) {
        fprintf(stderr, "penstock: out of memory (%zu bytes)\n", n);
        abort();
    }
    return p;
}

void *xmalloc(size_t n)
{
    return must(malloc(n), n);
}

void *xcalloc(size_t count, size_t size)
{
    return must(calloc(count, size), count * size);
}

void *xrealloc(void *p, size_t n)
{
    return must(realloc(p, n), n);
}

char *xstrdup(const char *s)
{
    return must(strdup(s), strlen(s) + 1);
}

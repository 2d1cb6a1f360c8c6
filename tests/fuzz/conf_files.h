/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/fuzz/conf_files.h - several files out of one input.
 *
 * A NUL ends a file.  The first is /c/m, the others are /c/a, /c/b, ...
 */
#ifndef PENSTOCK_TESTS_FUZZ_CONF_FILES_H
#define PENSTOCK_TESTS_FUZZ_CONF_FILES_H

#include "unit/conf/parsing.h"

enum {
    FUZZ_FILES_MAX = 8,
    FUZZ_INCLUDES_MAX = 24 /* written; more only multiply the time */
};

static inline bool too_many_includes(const uint8_t *p, size_t n)
{
    size_t found = 0;
    const uint8_t *end = p + n;
    while ((p = memmem(p, (size_t)(end - p), "include", 7))) {
        p += 7;
        if (++found > FUZZ_INCLUDES_MAX)
            return true;
    }
    return false;
}

static inline struct conf_file *cut_files(struct arena *arena, const uint8_t *p,
                                          size_t n)
{
    struct str rest = str_n(p, n);
    struct conf_file *first = NULL, **end = &first;
    for (int i = 0; i < FUZZ_FILES_MAX && rest.p; i++) {
        struct conf_file *f = arena_calloc(arena, sizeof *f);
        f->path = arena_printf(arena, "/c/%c", i ? 'a' + i - 1 : 'm').p;
        f->text = i < FUZZ_FILES_MAX - 1 ? str_cut(&rest, '\0') : rest;
        *end = f;
        end = &f->next;
    }
    return first;
}

/* A sentence is there, and it has its place. */
static inline void check_sentence(const struct err *err)
{
    check(err->text[0] != '\0');
    check(strstr(err->text, " in /c/") || strstr(err->text, " in command"));
}

#endif

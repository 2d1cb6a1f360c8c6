/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route/regex.h - the one door to PCRE2.
 *
 * Patterns are the operator's, subjects are the client's: each match runs
 * with the JIT under a match and a depth limit, so that no pattern can hang a
 * worker.  A match that exceeds them counts as no match and is logged at most
 * once a minute per pattern.
 */
#ifndef PENSTOCK_ROUTE_REGEX_H
#define PENSTOCK_ROUTE_REGEX_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

struct regex;

enum {
    REGEX_CAPTURES_MAX = 20 /* $0 to $19 that are kept */
};

/* Where groups matched; offsets into the subject that was matched. */
struct captures {
    struct str subject; /* borrowed: must live as long as the captures */
    unsigned n;         /* groups that have a place, with group 0 */
    size_t at[2 * REGEX_CAPTURES_MAX]; /* start, end; SIZE_MAX: unset */
};

/* Compile; freed with the arena.  NULL with PCRE2's words in err. */
struct regex *regex_compile(struct arena *arena, struct str pattern,
                            bool nocase, struct err *err);

/* True on a match; captures may be NULL. */
bool regex_match(struct regex *r, struct str subject,
                 struct captures *captures);

/* Steps a match may take (pcre_match_limit, default 100000), for all. */
void regex_set_match_limit(uint32_t limit);

/* Named groups: the i-th name and its number.  False past the end. */
bool regex_name(const struct regex *r, unsigned i, struct str *name,
                unsigned *group);

/* Group n of the last match; p NULL when it did not take part. */
struct str captures_get(const struct captures *c, unsigned n);

struct str regex_pattern(const struct regex *r);

#endif

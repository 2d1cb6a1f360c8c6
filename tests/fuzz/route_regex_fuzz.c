/* SPDX-License-Identifier: BSD-2-Clause */
/* pattern LF subject: whatever the pattern does, captures lie inside the
 * subject and a match ends. */
#include <stdlib.h>

#include "base/check.h"
#include "route/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void look(const struct captures *c, struct str subject)
{
    check(c->n >= 1 && c->n <= REGEX_CAPTURES_MAX);
    for (unsigned i = 0; i < c->n + 2; i++) {
        struct str s = captures_get(c, i);
        if (!s.p)
            continue;
        check(i < c->n);
        check(s.n <= subject.n);
        if (s.n)
            check(s.p >= subject.p && s.p + s.n <= subject.p + subject.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *arena = arena_create(1024);
    struct err err = {""};
    struct variables vs;
    char *copy = malloc(n + 1);

    log_process.target = NULL;
    regex_set_match_limit(10000);
    if (n)
        memcpy(copy, data, n);
    variables_init(&vs, arena, NULL);
    struct str subject = str_n(copy, n);
    struct str pattern = str_cut(&subject, '\n');
    struct regex *r = regex_compile(arena, pattern, n % 2, &err);
    struct regex_names *names = r ? regex_names_define(&vs, r, &err) : NULL;
    if (names) {
        struct evaluation e = {.arena = arena};
        e.slots = arena_calloc(arena, vs.slots * sizeof *e.slots);
        if (regex_match(r, subject, &e.captures)) {
            look(&e.captures, subject);
            regex_names_store(names, &e);
        }
    } else {
        check(err.text[0]);
    }
    free(copy);
    arena_destroy(arena);
    return 0;
}

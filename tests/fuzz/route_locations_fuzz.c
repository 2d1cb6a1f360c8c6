/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines: kind and text of a location each, the last one a URI.  The answer is
 * held against a walk over all of them. */
#include <stdlib.h>

#include "base/check.h"
#include "route/locations.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { ROWS_MAX = 64 };

struct row {
    enum location_kind kind;
    struct str text;
};

static struct row rows[ROWS_MAX];

static const struct row *walk(size_t n, struct str uri)
{
    const struct row *best = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        if (r->kind == LOCATION_EXACT && str_eq(r->text, uri))
            return r;
        if (r->kind != LOCATION_EXACT && str_starts(uri, r->text) &&
            (!best || r->text.n > best->text.n))
            best = r;
    }
    return best;
}

/* The text with a slash behind it, when there is none of the URI itself. */
static const struct row *slash(size_t n, struct str uri)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        if (str_eq(r->text, uri))
            return NULL;
        if (r->text.n == uri.n + 1 && str_starts(r->text, uri) &&
            r->text.p[uri.n] == '/' && (!found || r->kind == LOCATION_EXACT))
            found = r;
    }
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena *arena = arena_create(1024);
    struct variables vs;
    struct err err;
    struct locations *ls = locations_create(arena);
    char *copy = malloc(n + 1);
    size_t count = 0;

    if (n)
        memcpy(copy, data, n);
    variables_init(&vs, arena, NULL);
    struct str rest = str_n(copy, n), line = {NULL, 0};
    while (rest.p) {
        line = str_cut(&rest, '\n');
        if (!rest.p || !line.n || count == ROWS_MAX)
            continue;
        struct row *r = &rows[count];
        r->kind = line.p[0] == '='   ? LOCATION_EXACT
                  : line.p[0] == '^' ? LOCATION_PREFIX_ONLY
                                     : LOCATION_PREFIX;
        r->text = str_slice(line, 1, line.n);
        if (locations_add(ls, &vs, r->kind, r->text, r, NULL, &err) == 0)
            count++;
    }
    void *redirect = NULL;
    const struct row *got = locations_find(ls, line, NULL, &redirect);
    check(got == walk(count, line));
    check(redirect == slash(count, line));
    free(copy);
    arena_destroy(arena);
    return 0;
}

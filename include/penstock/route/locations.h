/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route/locations.h - which location a URI means.
 *
 * nginx's order: exact (=); the longest prefix; when that one is not ^~, the
 * first matching regex in order of the file; else the prefix.  Nested
 * locations are searched inside the prefix that was found, as nginx does.
 * Prefixes are kept so that a look-up costs the length of the URI, not the
 * number of locations.
 */
#ifndef PENSTOCK_ROUTE_LOCATIONS_H
#define PENSTOCK_ROUTE_LOCATIONS_H

#include "route/value.h"

struct locations;

enum location_kind {
    LOCATION_PREFIX = 0,
    LOCATION_EXACT,        /* = */
    LOCATION_PREFIX_ONLY,  /* ^~ */
    LOCATION_REGEX,        /* ~ */
    LOCATION_REGEX_NOCASE, /* ~* */
    LOCATION_NAMED,        /* @ */
};

struct locations *locations_create(struct arena *arena);

/*
 * answer: the caller's; nested: its own locations, or NULL when it has none
 * (may be filled later).  -1 with err: a duplicate ("duplicate location
 * \"/x\""), or a pattern that does not compile.
 */
int locations_add(struct locations *ls, struct variables *vs,
                  enum location_kind kind, struct str text, void *answer,
                  struct locations *nested, struct err *err);

/*
 * The answer, or NULL when nothing matches.  uri: decoded and normalised, and
 * as long-lived as the captures, which go to e (NULL: they are dropped).
 * auto_redirect: set to the answer whose text is uri + "/", else to NULL (may
 * be NULL itself).  When that location is a proxy nginx answers 301 there
 * before it asks any regex: look at it before the answer.
 */
void *locations_find(const struct locations *ls, struct str uri,
                     struct evaluation *e, void **auto_redirect);

/* The named location ("@x" with its @), or NULL. */
void *locations_find_named(const struct locations *ls, struct str name);

#endif

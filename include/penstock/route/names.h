/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route/names.h - which server a host name means.
 *
 * nginx's order: exact name, longest wildcard at the front (*.example.org),
 * longest wildcard at the end (mail.*), first regex in order of the file.
 * Names are compared without case and without a trailing dot.  Pure: what a
 * name leads to is the caller's pointer.
 */
#ifndef PENSTOCK_ROUTE_NAMES_H
#define PENSTOCK_ROUTE_NAMES_H

#include "route/value.h"

struct names;

struct names *names_create(struct arena *arena);

/*
 * Add one server_name: "example.org", ".example.org", "*.example.org",
 * "mail.*", "~^(?<sub>.+)\.example\.org$", "" (no Host).  vs: where named
 * captures become variables.  Returns 0; 1 when another answer has the name
 * already (it stays; nginx warns); -1 with err.
 */
int names_add(struct names *n, struct variables *vs, struct str name,
              void *answer, struct err *err);

/* The answer, or NULL.  host: lower-cased, without port and trailing dot.  A
 * regex fills e->captures (e may be NULL: captures are dropped). */
void *names_find(const struct names *n, struct str host, struct evaluation *e);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route/hosts.h - names with nginx's wildcards, without its regexes.
 *
 * What server_name and a map with `hostnames` have in common: exact names,
 * "*.example.org" (any name below), ".example.org" (that and the name itself)
 * and "mail.*" (any name that starts so).  The exact name wins, then the
 * longest wildcard at the front, then the longest at the end.  ASCII case
 * does not count.  A look-up hashes no more labels than the longest wildcard
 * has, however long the host is.
 */
#ifndef PENSTOCK_ROUTE_HOSTS_H
#define PENSTOCK_ROUTE_HOSTS_H

#include "base/map.h"

struct hosts {
    struct map exact;
    struct map heads;          /* "*.example.org" as "example.org" */
    struct map tails;          /* "mail.*" as "mail" */
    size_t head_max, tail_max; /* bytes of the longest key */
};

enum hosts_added {
    HOSTS_ADDED = 0,
    HOSTS_TAKEN,   /* the name leads elsewhere already; it stays so */
    HOSTS_INVALID, /* a * elsewhere, two dots in a row, a NUL */
};

void hosts_init(struct hosts *h, struct arena *arena);

/* value is not NULL; name is borrowed for the life of h. */
enum hosts_added hosts_add(struct hosts *h, struct str name, void *value);

/* The same without wildcards: any text, to be found as it is. */
enum hosts_added hosts_add_text(struct hosts *h, struct str text, void *value);

/* The value, or NULL. */
void *hosts_find(const struct hosts *h, struct str host);

#endif

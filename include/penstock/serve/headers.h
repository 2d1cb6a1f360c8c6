/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/headers.h - add_header, add_trailer, what of them is inherited, and
 * expires.
 *
 * Fields are added to successful and redirecting responses (nginx's list), or
 * to all of them with "always"; expires sets Expires and Cache-Control of the
 * same responses in place of those that are there.
 */
#ifndef PENSTOCK_SERVE_HEADERS_H
#define PENSTOCK_SERVE_HEADERS_H

#include "serve/request.h"

enum expires_kind {
    EXPIRES_OFF = 0,
    EXPIRES_ACCESS = 1, /* seconds from now */
    EXPIRES_MODIFIED,   /* seconds from the last modification */
    EXPIRES_DAILY,      /* at this time of the day, local */
    EXPIRES_EPOCH,
    EXPIRES_MAX,
};

struct expires {
    enum expires_kind kind;
    int64_t seconds;
};

enum headers_inherit {
    HEADERS_INHERIT_OFF = 0,
    HEADERS_INHERIT_ON = 1, /* unless the scope has its own */
    HEADERS_INHERIT_MERGE = 2,
};

struct headers_list {
    struct conf_list own; /* struct added_header, of the scope that owns it */
    struct conf_list all; /* with what is inherited */
};

struct headers_conf {
    struct headers_list headers, trailers;
    unsigned inherit, trailers_inherit; /* enum headers_inherit */
    struct expires expires;
    struct value *expires_value; /* has variables: read for each request */
};

extern struct conf_module headers_module;

/*
 * Read what stands behind `expires` (behind `modified` when that was said):
 * a time with an optional sign, "@" and a time of the day, epoch, max, off.
 * NULL, or what is wrong with it.
 */
const char *expires_read(struct expires *e, struct str text, bool modified);

/* The seconds until it happens; *at when that is.  now: wall clock;
 * last_modified -1: not known.  Not for EXPIRES_OFF. */
int64_t expires_after(const struct expires *e, time_t now, time_t last_modified,
                      time_t *at);

/* See filter/filters.h. */
void headers_filter(struct request *r);
void headers_add_trailers(struct request *r);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/filter/splice.h - a body that subrequests' bodies are put into.
 *
 * A filter gives its own text and says where what comes from.  All of them run
 * at once; what is not at the front waits, bounded, and holds up who makes it.
 * Lives in the arena of the filter's request.
 */
#ifndef PENSTOCK_SERVE_SPLICE_H
#define PENSTOCK_SERVE_SPLICE_H

#include "filter/filters.h"
#include "serve/subrequest.h"

struct splice {
    struct filter *filter;
    struct list parts;
    size_t held;      /* bytes of text that wait */
    unsigned running; /* subrequests that have not ended */
    bool ending, advancing;
};

/* One subrequest's place. */
struct splice_part {
    struct list link;
    struct splice *splice;
    bool is_text;
    struct request *sub; /* NULL: it has ended, or is text */
    struct buf bytes;    /* that wait */
    bool ended, any;     /* any: it gave something */
    struct str stub;     /* what stands in its place when it gives nothing */
};

void splice_init(struct splice *s, struct filter *f);

/* Own bytes; they are copied when they have to wait. */
void splice_text(struct splice *s, struct str text);

/* NULL: there are too many of them. */
struct splice_part *splice_include(struct splice *s, struct str uri,
                                   struct str args);

/* May more be given?  False: filter_go_on() says when. */
bool splice_has_room(const struct splice *s);

/* Nothing more will be given.  True when all is out; else call it again. */
bool splice_end(struct splice *s);

/* For the filter's drain. */
void splice_drain(struct splice *s);

#endif

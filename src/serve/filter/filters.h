/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/filter/filters.h - what happens to every response on its way out.
 *
 * Head filters run once, in nginx's order, when the first of a response is
 * sent (or earlier, when a handler wants to know what they will do): they
 * change its fields and choose the body filters.  A body filter takes bytes
 * and gives what becomes of them to the next one, the last gives to the wire.
 * A response without body filters does not come here but for one branch.
 *
 * Back-pressure: who is told "full" by filters_pass() stops and leaves the
 * rest of its input, which is kept; that is never more than a handler gives in
 * one call, since the handler is told the same.
 */
#ifndef PENSTOCK_SERVE_FILTERS_H
#define PENSTOCK_SERVE_FILTERS_H

#include "serve/request.h"

struct filter;

/*
 * What a kind of body filter does.
 *
 * take  use bytes from the front of *in.  Returns 1 when all were used (and,
 *       with last, the end was passed on); 0 when it can not go on now: it is
 *       called again when there is room, or after filter_go_on(); -1 when it
 *       failed and said so: the response is cut off
 * drain there is room again; for those that pass things on that take() does
 *       not have, else NULL
 */
struct filter_type {
    const char *name;
    int (*take)(struct filter *f, struct str *in, bool last);
    void (*drain)(struct filter *f);
};

struct filter {
    const struct filter_type *type;
    struct request *request;
    struct filter *next, *previous; /* towards the client; NULL: the wire */
    void *state;
    struct buf held;         /* input for later */
    bool held_last, stalled; /* take() said 0 */
    bool full;               /* what filter_pass() said last */
};

/* The body filters of a response, the handler's side first. */
struct filters {
    struct request *request;
    struct filter *first, *last;
    struct loop_task failure;
    bool failed, running;
};

/* Add one behind those that are there: head filters call it. */
struct filter *filters_add(struct request *r, const struct filter_type *type,
                           void *state);

/* The one of that type; NULL: there is none. */
struct filter *filters_find(const struct request *r,
                            const struct filter_type *type);

/* Give to what comes behind f.  False: full. */
bool filter_pass(struct filter *f, const struct iovec *iov, int n, bool last);
bool filter_pass_str(struct filter *f, struct str s);
bool filter_pass_end(struct filter *f);

/* It failed, outside of take(). */
void filter_fail(struct filter *f);

/* take() said 0 for want of something that is here now. */
void filter_go_on(struct filter *f);

/* ---- for response.c ---- */

void filters_run_head(struct request *r);

/* The end of a chunked body: its trailers. */
void filters_run_trailers(struct request *r);

/* A piece of the body from the handler.  False: full. */
bool filters_put(struct request *r, const struct iovec *iov, int n, bool last);

/* There is room.  False when a filter still holds something back. */
bool filters_drain(struct request *r);

#endif

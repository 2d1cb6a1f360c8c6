/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inquiry.h - a question to all workers, and their answers.
 *
 * The worker that asks answers too.  Every answer comes to each(), in no
 * order, and then, never from inside inquiry_ask(), done() is called once:
 * when all that live have answered, or after INQUIRY_MS.  What is asked is
 * answered by a row of a table in inquiry.c.
 */
#ifndef PENSTOCK_SRC_BRIDGE_INQUIRY_H
#define PENSTOCK_SRC_BRIDGE_INQUIRY_H

#include "bridge/link.h"

enum {
    INQUIRIES_MAX = 64, /* of a worker, at a time */
    INQUIRY_MS = 2000,
};

enum inquiry_kind {
    INQUIRY_POOLS = 0, /* stats.c: what the pools have done */
    INQUIRY_LIST,      /* roster.c: sessions */
    INQUIRY_KILL,      /* and the end of one */
    INQUIRY_PUBLISH,   /* publish.c: who got a message */
};

struct inquiry;
typedef void inquiry_each_fn(void *arg, struct str answer);
/* missing: workers that did not answer. */
typedef void inquiry_done_fn(void *arg, unsigned missing);

/* NULL when too many are under way. */
struct inquiry *inquiry_ask(enum inquiry_kind kind, struct str question,
                            inquiry_each_fn *each, inquiry_done_fn *done,
                            void *arg);
/* done() will not be called.  Who asks must do this when it ends before. */
void inquiry_cancel(struct inquiry *q);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * roster.h - who is there: the sessions of this worker page by page, and the
 * end of one by its id.  Questions and answers of inquiry.h.
 *
 * Pages are in the order of places: the number of the process, then the slot.
 * A look at one page passes over so many slots at most, however many there
 * are, and says how far it came.
 */
#ifndef PENSTOCK_SRC_BRIDGE_ROSTER_H
#define PENSTOCK_SRC_BRIDGE_ROSTER_H

#include "bridge/link.h"

enum {
    ROSTER_LIMIT_MAX = 1000, /* sessions of a page */
    ROSTER_LIMIT = 100,
    ROSTER_SLOTS_MAX = 16384, /* looked at for one */
    ROSTER_REASON_MAX = 123,
};

/* Which sessions. */
struct roster_ask {
    uint32_t process, slot; /* from this place on */
    uint32_t limit;
    uint64_t id;          /* only this one; 0: any */
    struct str pool, app; /* empty: any */
};
void roster_put_ask(const struct roster_ask *ask, struct buf *out);
void roster_answer_list(struct str question, struct buf *out);

/* What one worker answered. */
struct roster_page {
    uint32_t process;
    uint32_t next;  /* the slot to go on at */
    bool finished;  /* there are no more */
    struct str all; /* of sessions, see roster_next() */
};
bool roster_get_page(struct roster_page *page, struct str answer);
/* The next session: its slot, and what is told of it, in JSON. */
bool roster_next(struct str *all, uint32_t *slot, struct str *json);

struct roster_kill {
    uint64_t id;
    uint16_t code;     /* 0: ENDING_KILLED's */
    bool reset;        /* at once, without a close frame */
    struct str reason; /* of the close frame */
};
void roster_put_kill(const struct roster_kill *k, struct buf *out);
/* The answer is "1" when it was here. */
void roster_answer_kill(struct str question, struct buf *out);

#endif

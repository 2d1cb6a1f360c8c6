/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/subrequest.h - a request that a request makes of this server.
 *
 * It has an arena, a location, a handler and a log line of its own
 * (log_subrequest), runs the same steps but those of access, and is otherwise
 * its parent's: client, fields, the values of variables as they were when it
 * was made.  What it gives goes to its owner by the events below instead of
 * to the client.
 *
 * It belongs to its parent, which stays until it ended, even when the response
 * is out (a mirror's), and takes it along when it dies.  An end is told at the
 * end of the turn, never under a callback of the subrequest's; it is buried
 * after on_end.  A parent that dies tells nothing.
 */
#ifndef PENSTOCK_SERVE_SUBREQUEST_H
#define PENSTOCK_SERVE_SUBREQUEST_H

#include "serve/request.h"

enum {
    SUBREQUEST_DEPTH_MAX = 50,     /* one within another; nginx's */
    SUBREQUESTS_MAX = 65535 - 1000 /* of one request of a client; nginx's */
};

/*
 * What the owner hears; any but on_end may be NULL.
 *
 * on_head  status and fields are decided
 * on_body  the next bytes; false: no more until subrequest_drained()
 * on_end   it is over; false: its response was cut off
 */
struct subrequest_events {
    void (*on_head)(void *owner, struct request *sub);
    bool (*on_body)(void *owner, struct request *sub, const struct iovec *iov,
                    int n);
    void (*on_end)(void *owner, struct request *sub, bool complete);
};

enum subrequest_flag {
    SUBREQUEST_HEAD_ONLY = 1 << 0,  /* it ends when its head is known */
    SUBREQUEST_BACKGROUND = 1 << 1, /* nobody waits for it: it outlives an
                                       error of its parent's */
    SUBREQUEST_BODY = 1 << 2,       /* it has the client's body, as it comes;
                                       only before any of it came */
    SUBREQUEST_UNCOUNTED = 1 << 3,  /* its maker sees to their number */
    SUBREQUEST_CLONE = 1 << 4,      /* it begins with its parent's handler */
    SUBREQUEST_METHOD = 1 << 5,     /* its method is the client's, not GET */
};

struct subrequest {
    struct request *request, *parent;
    const struct subrequest_events *events;
    void *owner;
    struct list link; /* in parent->subrequests */
    struct loop_task task;
    unsigned flags; /* enum subrequest_flag, or'ed */
    unsigned depth;
    bool started, over, complete;
};

/*
 * Make one; it starts at the end of the turn, or at once by
 * subrequest_start().  NULL, with a line in the log, when there are too many.
 */
struct request *subrequest_create(struct request *parent, struct str uri,
                                  struct str args, unsigned flags,
                                  const struct subrequest_events *events,
                                  void *owner);
void subrequest_start(struct request *sub);

/* The owner has room again. */
void subrequest_drained(struct request *sub);

/* At once, and without a word to its owner. */
void subrequest_abort(struct request *sub);
/* All of a request's; those in the background too when all is true. */
void subrequests_abort(struct request *r, bool all);

/* ---- for the request's own files ---- */

/* The response of a subrequest is complete, or cut off. */
void subrequest_end(struct request *sub, bool complete);

/* The client's body, for those that want it. */
void subrequests_body(struct request *r, const uint8_t *p, size_t n, bool last);
/* The client sent its FIN. */
void subrequests_eof(struct request *r);

static inline bool request_is_sub(const struct request *r)
{
    return r->subrequest != NULL;
}

#endif

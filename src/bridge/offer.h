/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * offer.h - which backend of a pool gets a request: a handshake or any other.
 *
 *     if (offer_begin(&o, ...))
 *         while ((l = offer_next(&o, &app)))
 *             if (it takes the request) return; else offer_declined(&o, 503);
 *     o.status says why nobody did
 */
#ifndef PENSTOCK_SRC_BRIDGE_OFFER_H
#define PENSTOCK_SRC_BRIDGE_OFFER_H

#include "bridge/link.h"
#include "serve/request.h"

struct offer {
    struct request *request;
    struct pool *pool;
    struct str app;         /* by name; p NULL: by pattern */
    struct str origin;      /* these may be set before offer_next() */
    unsigned version;       /* ws_framing_bit() of a handshake */
    struct balance_ask ask; /* what the request brings to the choice */
    struct peer *peer;
    struct peer *wanted; /* to be asked first; NULL: no one */
    unsigned status;     /* of the response when nobody takes it */
    bool declined;       /* somebody was there, and did not take it */
    uint64_t features;   /* that the link must have */
};

/* False when the pool takes nobody now; status says why. */
bool offer_begin(struct offer *o, struct request *r, struct str pool,
                 struct str app);

/* The next link to try, with the app there; its backend counts one client
 * more.  NULL, with a line in the log, when there is none left. */
struct link *offer_next(struct offer *o, struct app **app);

/* It did not take it after all. */
void offer_declined(struct offer *o, unsigned status);

/* The Set-Cookie by which the request comes back to the backend, in its arena;
 * p NULL: none is needed. */
struct str offer_cookie(struct request *r, const struct backend *b);

#endif

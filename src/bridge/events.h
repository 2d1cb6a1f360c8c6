/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.h - what backends hear, when they ask for it, of clients before and
 * beside their messages: connections, refusals, states.
 *
 * None is ever waited for: a link that lags behind misses them.
 */
#ifndef PENSTOCK_SRC_BRIDGE_EVENTS_H
#define PENSTOCK_SRC_BRIDGE_EVENTS_H

#include "bridge/link.h"
#include "serve/request.h"

/* A handshake for the pool was refused before there was a client:
 * CLIENT_ERROR to each backend with an app that wants it, and a line. */
void events_refused(struct str pool, struct request *r, enum sluice_error code,
                    const char *why);
/* The same, by the status of the response. */
void events_refused_with(struct str pool, struct request *r, unsigned status);

/* STATE's numbers.  2 would be the wait for the body of hixie-76, which is
 * over before there is an OPEN. */
enum told_state {
    TOLD_NONE = 0,
    TOLD_OPENING = 1,     /* OPEN was sent */
    TOLD_HANDSHAKING = 3, /* ACCEPT is here, the 101 leaves */
    TOLD_CONNECTED = 4,
    TOLD_CLOSED = 5, /* CLOSED follows */
};
void events_state(struct session *s, enum told_state now,
                  enum told_state before);

/* Is there a pool with conn_events on?  Then each connection is told. */
void events_adopt(void);

#endif

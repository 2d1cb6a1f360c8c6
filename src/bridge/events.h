/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.h - what backends hear of clients that never come to them.
 */
#ifndef PENSTOCK_SRC_BRIDGE_EVENTS_H
#define PENSTOCK_SRC_BRIDGE_EVENTS_H

#include "bridge/link.h"
#include "serve/request.h"

/* A handshake for the pool was refused: CLIENT_ERROR to each backend with an
 * app that wants it (SLUICE_EVENT_CLIENT_ERROR).  One that lags behind misses
 * it. */
void pool_tell_refused(struct str pool, struct request *r,
                       enum sluice_error code, const char *why);

#endif

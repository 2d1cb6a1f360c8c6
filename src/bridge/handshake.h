/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handshake.h - the answer to a handshake: 101, or what the backend says
 * instead.
 */
#ifndef PENSTOCK_SRC_BRIDGE_HANDSHAKE_H
#define PENSTOCK_SRC_BRIDGE_HANDSHAKE_H

#include "bridge/session.h"

/* Did the client offer this subprotocol? */
bool handshake_is_offered(struct request *r, struct str name);

/* Our first one that it offered; p NULL when the location names none or
 * nothing agrees. */
struct str handshake_best_offer(struct request *r,
                                const struct websocket_conf *conf);

/* Send the 101 and turn the request into a connected session.  fields: lines
 * of the backend, checked. */
void handshake_accept(struct session *s, struct str protocol,
                      const uint8_t *fields, size_t n);

#endif

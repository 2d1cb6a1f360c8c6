/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handshake.h - the answer to a handshake: 101, or what the backend says
 * instead.
 */
#ifndef PENSTOCK_SRC_BRIDGE_HANDSHAKE_H
#define PENSTOCK_SRC_BRIDGE_HANDSHAKE_H

#include "bridge/session.h"

/* The field of that name that says what page asks; *one is false when there
 * are several. */
struct str handshake_origin(const struct request *r,
                            const struct ws_framing *framing, bool *one);

/* Scheme and authority as the client has them: a proxy that set_real_ip_from
 * trusts says them in X-Forwarded-Proto and X-Forwarded-Host. */
void handshake_seen(struct request *r, bool *https, struct str *authority);

/* What the client thinks it connects to, as the oldest versions want to hear
 * it: ws://example.com/chat. */
struct str handshake_location(struct request *r);

/* Did the client offer this subprotocol? */
bool handshake_is_offered(struct session *s, struct str name);
/* All of them, for ws_protocol_next(). */
struct str handshake_offers(struct request *r,
                            const struct ws_framing *framing);

/* May it be chosen here? */
bool handshake_is_listed(const struct websocket_conf *conf, struct str name);

/* Our first one that it offered; p NULL when nothing agrees, or when the
 * location names none and requires none. */
struct str handshake_best_offer(struct session *s);

/* The request costs more memory than the session: it ends here, with this
 * status, when nothing needs it any more. */
void handshake_settle(struct session *s, unsigned status);

/* Send the 101 and turn the request into a connected session.  fields: lines
 * of the backend, checked. */
void handshake_accept(struct session *s, struct str protocol,
                      const uint8_t *fields, size_t n);

#endif

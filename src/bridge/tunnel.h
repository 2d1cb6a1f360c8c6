/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tunnel.h - a session whose backend speaks with the client itself (SLUICE
 * section 12): HTTP_BODY carries bytes both ways, as they are.
 *
 * Each direction ends by itself, with the HTTP_BODY without MORE; the session
 * is over when both have.  It is never a WebSocket here: no frame of that is
 * read or written, and it can not wait for another backend.  close_seen means
 * that the client's direction has ended, close_sent that the backend's has.
 */
#ifndef PENSTOCK_SRC_BRIDGE_TUNNEL_H
#define PENSTOCK_SRC_BRIDGE_TUNNEL_H

#include "bridge/exchange.h"
#include "bridge/session.h"

/* ACCEPT with TUNNEL of a handshake, or of a request that wants another
 * protocol.  0, or a negated client-fatal code. */
int tunnel_accept(struct session *s, const struct sluice_accept *a);
int tunnel_accept_request(struct exchange *x, const struct sluice_frame *f);

/* May the backend of this link have tunnels? */
bool tunnel_is_allowed(const struct link *l);

/* A frame of the backend about it.  0, or a negated client-fatal code. */
int tunnel_take(struct session *s, const struct sluice_frame *f);

/* Credit came, or PAUSE ended. */
void tunnel_wake(struct session *s);

extern const struct stream_events tunnel_events;

#endif

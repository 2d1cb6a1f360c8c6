/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/limits.h - how many sessions a key may have, and how fast they may
 * talk: limit_websocket_conn, limit_websocket_msg.
 *
 * Counted in the zones of limit_conn_zone and limit_req_zone, for all workers
 * together.  A handshake over the limit is answered with limit_conn_status.
 * Messages over their limit are not read before there is room again, which
 * holds the client's socket back; with `close` the session ends with 1008.
 */
#ifndef PENSTOCK_BRIDGE_LIMITS_H
#define PENSTOCK_BRIDGE_LIMITS_H

#include "bridge/session.h"

extern struct conf_module websocket_limits_module;

/* The session is made: 0, or the status to refuse it with. */
unsigned limits_open(struct session *s);

/* Bytes of a message came, the first of it or more.  May end the session. */
void limits_count(struct session *s, size_t n, bool first);

/* It may not read now; session_wake() is called when it may. */
bool limits_hold_back(const struct session *s);

/* It is over; fine when nothing is limited. */
void limits_close(struct session *s);

#endif

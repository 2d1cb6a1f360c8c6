/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/upgrade.h - from an HTTP request to a session.
 */
#ifndef PENSTOCK_BRIDGE_UPGRADE_H
#define PENSTOCK_BRIDGE_UPGRADE_H

#include "serve/upgrade.h"

/* For request_set_upgrade(): takes WebSocket handshakes at locations with
 * websocket_pass, declines everything else. */
int bridge_upgrade(struct request *r);
/* What might have been one was refused before. */
void bridge_upgrade_refused(struct request *r, unsigned status);

#endif

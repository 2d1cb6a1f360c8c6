/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/upgrade.h - the hook for handlers that belong to another folder.
 *
 * A location may have several content handlers; the request asks them in the
 * order of the gateway's module list.  websocket_pass takes upgrade requests
 * and declines the rest, so that proxy_pass or root in the same location
 * serve them.
 */
#ifndef PENSTOCK_SERVE_UPGRADE_H
#define PENSTOCK_SERVE_UPGRADE_H

#include "serve/request.h"

/* Ask before the location's handler: VERDICT_DECLINED passes on. */
typedef int upgrade_fn(struct request *r);

/* Set once at start by the gateway (bridge registers itself); NULL: none. */
void request_set_upgrade(upgrade_fn *upgrade);

/* A request with an Upgrade field was refused with this status before any
 * handler was asked (access, limits). */
typedef void upgrade_refused_fn(struct request *r, unsigned status);
void request_set_upgrade_refused(upgrade_refused_fn *refused);

#endif

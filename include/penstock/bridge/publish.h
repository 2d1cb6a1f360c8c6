/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/publish.h - websocket_publish: an HTTP request is a message for a
 * channel.
 *
 * The members may be at any worker.  A publication for the others, and whatever
 * else a worker has for them (src/bridge/relay.h), is written into a memfd and
 * handed to a function of the gateway, which brings it to bridge_relayed() in
 * each of them.
 */
#ifndef PENSTOCK_BRIDGE_PUBLISH_H
#define PENSTOCK_BRIDGE_PUBLISH_H

#include "bridge/pool.h"
#include "route/value.h"
#include "serve/request.h"

struct publish_conf {
    const struct pool_conf *pool;
    struct value *channel;
};
extern struct conf_module publish_module;
extern const struct handler publish_handler;

/* Bring fd (which stays the caller's) to the other workers: false when that
 * is not possible now.  NULL: there are no others. */
typedef bool bridge_relay_fn(void *owner, int fd);
void bridge_set_relay(bridge_relay_fn *relay, void *owner);

/* One that came from another worker; fd stays the caller's. */
void bridge_relayed(int fd);

#endif

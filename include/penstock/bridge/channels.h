/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/channels.h - named groups of a pool's sessions (SLUICE section 6,
 * SUBSCRIBE and PUBLISH).
 *
 * A channel is there while it has members.  Its members are sessions of this
 * worker, of any backend of the pool; who publishes on every link reaches
 * every worker.  Names are a backend's, so the table's hash has a key.
 */
#ifndef PENSTOCK_BRIDGE_CHANNELS_H
#define PENSTOCK_BRIDGE_CHANNELS_H

#include "base/list.h"
#include "base/str.h"

struct channels;
struct session;

/* One session in one channel. */
struct membership {
    struct list of_channel;
    struct membership *next; /* of the session */
    struct channel *channel;
    struct session *session;
};

struct channel {
    struct list in_table;
    struct channels *channels;
    struct list members; /* membership.of_channel */
    size_t members_n;
    struct str name;
};

/* Of one pool; nothing is allocated until somebody subscribes. */
struct channels {
    struct list *buckets;
    size_t buckets_n; /* a power of two, or 0 */
    size_t n;
};

/* NULL when nobody is in it. */
struct channel *channel_find(const struct channels *t, struct str name);

/* False when the session is in max channels already; being in this one
 * already is fine. */
bool channel_join(struct channels *t, struct session *s, struct str name,
                  size_t max);
void channel_leave(struct session *s, struct str name);
void channels_leave(struct session *s); /* all of them */

/* While its members are looked at, which may make them leave. */
void channel_hold(struct channel *c);
void channel_release(struct channel *c);

/* Everybody leaves. */
void channels_fini(struct channels *t);

#endif

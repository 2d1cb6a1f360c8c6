/* SPDX-License-Identifier: BSD-2-Clause */
/* serve/proxy_parts.h - what the proxy's files share and no one else needs. */
#ifndef PENSTOCK_SERVE_PROXY_PARTS_H
#define PENSTOCK_SERVE_PROXY_PARTS_H

#include "serve/proxy.h"

/* The pieces of "http://host:port/uri". */
struct proxy_url {
    struct str host; /* with its port as written; "unix:/path" */
    uint16_t port;
    struct str uri; /* p NULL: there is none */
};

/* False when it is not an http:// URL. */
bool proxy_url_read(struct str text, struct proxy_url *url);

/* An upstream for one request, of a literal address; NULL when host is a
 * name. */
struct upstream *upstream_of_address(struct arena *arena, struct str host,
                                     uint16_t port);

/* Fires when there are more idle connections than are to be kept. */
void upstream_trim(struct timer *timer);

/* Path and query to pass on when proxy_pass has no URI part. */
struct str proxy_own_uri(struct request *r);

/* Is there a peer that was not asked yet and might answer? */
bool proxy_has_another_peer(const struct proxy *p);

/* May a try that failed so be followed by another? */
bool proxy_may_retry(const struct proxy *p, unsigned why);

/* Arm the timer for what is to come from, or go to, the peer. */
void proxy_wait_for_response(struct proxy *p);

/* The fields of a response, from the peer's to the client's. */
void proxy_copy_fields(struct proxy *p);

/* In a tunnel: the peer's bytes, and room at the peer. */
void tunnel_from_upstream(struct proxy *p, struct span *in);
void tunnel_upstream_ended(struct proxy *p, enum stream_end end);
void tunnel_upstream_written(struct proxy *p, size_t queued);

#endif

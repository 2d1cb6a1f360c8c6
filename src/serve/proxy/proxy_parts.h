/* SPDX-License-Identifier: BSD-2-Clause */
/* serve/proxy_parts.h - what the proxy's files share and no one else needs. */
#ifndef PENSTOCK_SERVE_PROXY_PARTS_H
#define PENSTOCK_SERVE_PROXY_PARTS_H

#include "serve/proxy.h"

/* The pieces of "http://host:port/uri". */
struct proxy_url {
    struct str host; /* with its port as written; "unix:/path" */
    uint16_t port;
    bool tls;
    struct str uri; /* p NULL: there is none */
};

/* False when it is neither an http:// nor an https:// URL. */
bool proxy_url_read(struct str text, struct proxy_url *url);

/* An upstream for one request, of a literal address; NULL when host is a
 * name. */
struct upstream *upstream_of_address(struct arena *arena, struct str host,
                                     uint16_t port);

/* proxy_ssl.c: what TLS the request wants (VERDICT_DECLINED, or 500), whether
 * a connection is of that kind, make a fresh one so (-1: out of memory), say
 * what TLS said (false: it said nothing), let go. */
int proxy_ssl_choose(struct proxy *p);
bool proxy_ssl_fits(const struct proxy_ssl *want,
                    const struct upstream_conn *c);
int proxy_ssl_dial(struct proxy *p, struct upstream_conn *c);
bool proxy_ssl_log_error(const struct proxy *p, const struct upstream_conn *c);
void proxy_ssl_forget(struct upstream_conn *c);

/* proxy_socket.c: sockets to the peers of this request. */
int proxy_socket_choose(struct proxy *p); /* a status, or DECLINED */
/* The PROXY protocol header, on a new connection. */
void proxy_socket_announce(struct proxy *p);

/* accel.c: a field of that family; where X-Accel-Redirect leads (p NULL:
 * nowhere), and going there: the verdict of what answers. */
extern const struct conf_enum proxy_ignore_names[];
void proxy_accel_field(struct proxy *p, const struct http_field *f);
struct str proxy_accel_target(const struct proxy *p);
int proxy_accel_redirect(struct proxy *p, struct str target);

/* proxy.c: the upstream is done with, and something else answers. */
void proxy_leave(struct proxy *p);

/* Under which name the upstream of a URL's host is kept: the port that https
 * means when none is said would else be http's. */
struct str proxy_url_key(struct arena *arena, const struct generation *g,
                         const struct proxy_url *url);

/* The same of addresses that are known by now. */
struct upstream *upstream_of_addresses(struct arena *arena, struct str name,
                                       const struct address *addresses,
                                       size_t n, uint16_t port);

/* proxy_resolve.c: find the addresses of a name that a URL gave.  A verdict as
 * of proxy_use_upstream(), which follows, now or later. */
int proxy_resolve(struct proxy *p, const struct proxy_url *url);

/* No address of the upstream is known yet, the first is waited for. */
bool proxy_wait_for_names(struct proxy *p);

/* The upstream is chosen: ask it.  VERDICT_PENDING or a status. */
int proxy_use_upstream(struct proxy *p);

/* upstream_pick.c: what the request brings to the choice of a peer, the peer
 * for its next try, and the end of that try. */
void upstream_ask(struct proxy *p);
struct peer *upstream_pick(struct proxy *p);
void upstream_release(struct proxy *p, struct peer *peer);
/* Its response's head is being passed on. */
void upstream_on_head(struct proxy *p);

/* Fires when there are more idle connections than are to be kept. */
void upstream_trim(struct timer *timer);

/* Path and query to pass on when proxy_pass has no URI part. */
struct str proxy_own_uri(struct request *r);

/* Is there a peer that was not asked yet and might answer? */
bool proxy_has_another_peer(struct proxy *p);

/* May a try that failed so be followed by another? */
bool proxy_may_retry(const struct proxy *p, unsigned why);

/* Of the request, is there anything still to be sent? */
bool proxy_request_is_left(const struct proxy *p);

/* More of the body's file.  False: it can not be read, which was logged. */
bool proxy_send_file(struct proxy *p);

/* Arm the timer for what is to come from, or go to, the peer. */
void proxy_wait_for_response(struct proxy *p);

/* The fields of a response, from the peer's to the client's. */
void proxy_copy_fields(struct proxy *p);

/* proxy_rewrite.c: as the client is to see it; the same when no rule fits. */
struct str proxy_rewrite_location(struct proxy *p, struct str location);
struct str proxy_rewrite_refresh(struct proxy *p, struct str refresh);
struct str proxy_rewrite_cookie(struct proxy *p, struct str cookie);

/* spool.c: a file for the response (false: logged); is there something that
 * the client did not get yet; take what came (false: no more for now, or all
 * is over); the client has room. */
struct temp_path;
bool proxy_spool_open(struct proxy *p, const struct temp_path *in);
bool proxy_spool_holds(const struct proxy *p);
bool proxy_spool_take(struct proxy *p, const struct iovec *iov, int n,
                      bool last);
void proxy_spool_drain(struct proxy *p);

/* proxy.c: ask an upstream now: what follows proxy_use_upstream()'s look into
 * the cache. */
int proxy_ask(struct proxy *p);

/*
 * proxy_cache.c.  start: the verdict of the cache, VERDICT_DECLINED when an
 * upstream is to be asked.  begin: is what came to be kept; is_renewal, renew:
 * a 304 for what is cached; has_stale: an old answer is better than that
 * failure; end: let go.
 */
int proxy_cache_start(struct proxy *p);
bool proxy_cache_asks_get(const struct proxy *p);
bool proxy_cache_drops(const struct proxy *p, struct str name);
void proxy_cache_put_conditions(struct proxy *p, struct buf *head);
bool proxy_cache_begin(struct proxy *p);
void proxy_cache_allow_ranges(struct proxy *p, bool cached);
unsigned proxy_cache_condition(struct proxy *p);
bool proxy_cache_is_renewal(const struct proxy *p, unsigned status);
int proxy_cache_renew(struct proxy *p);
bool proxy_cache_has_stale(const struct proxy *p, unsigned why);
int proxy_cache_send_stale(struct proxy *p);
void proxy_cache_end(struct proxy *p);
void proxy_cache_fini(void);

/* store.c: is this response to be kept? */
void proxy_store_begin(struct proxy *p);

/* False: the client has no room. */
bool proxy_send_to_client(struct proxy *p, const struct iovec *iov, int n,
                          bool last);
void proxy_go_on_reading(struct proxy *p);

/* In a tunnel: the peer's bytes, and room at the peer. */
void tunnel_from_upstream(struct proxy *p, struct span *in);
void tunnel_upstream_ended(struct proxy *p, enum stream_end end);
void tunnel_upstream_written(struct proxy *p, size_t queued);

#endif

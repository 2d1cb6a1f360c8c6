/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/upstream.h - groups of HTTP servers, and connections to them.
 *
 * An upstream is an upstream{} block, or the one server that a proxy_pass
 * names.  Its peers' states are this worker's own, or in a zone that the
 * workers share and reloads keep; its idle connections are this worker's own
 * and die with the generation.
 */
#ifndef PENSTOCK_SERVE_UPSTREAM_H
#define PENSTOCK_SERVE_UPSTREAM_H

#include "http/reader.h"
#include "io/connect.h"
#include "io/stream.h"
#include "io/timer.h"
#include "serve/generation.h"
#include "upstream/balance.h"

struct health_check;
struct proxy;
struct resolving;
struct server_name;
struct sticky;
struct proxy_ssl;

struct upstream {
    struct str name;        /* "backend", or "127.0.0.1:8080" */
    struct balance balance; /* peers' objects are struct address */
    bool is_block;          /* upstream{} */
    struct value *hash_key; /* of hash, or NULL */
    uint64_t keepalive;     /* idle connections to keep; 0: none */
    uint64_t keepalive_requests;
    uint64_t keepalive_time_ms;
    uint64_t keepalive_timeout_ms;
    struct list idle; /* struct upstream_conn, last used first */
    size_t idle_n;
    struct timer trim;     /* until more than keepalive of them are closed */
    struct sticky *sticky; /* NULL: none */
    struct health_check *check;        /* NULL: none */
    struct server_name *names;         /* servers that are resolved */
    const struct resolving *resolving; /* how */
    struct zone *zone;                 /* NULL: none */
    uint32_t zone_epoch, zone_version; /* that peers' states belong to */
};

/* One connection; it has a request, or it is idle. */
struct upstream_conn {
    struct list link;
    struct upstream *upstream;
    struct peer *peer;
    struct loop *loop;
    struct stream *stream;
    struct http_reader *reader;
    struct proxy *proxy; /* NULL: idle */
    struct timer timer;  /* of the request's phase, or of idleness */
    uint64_t started_ms;
    uint64_t requests;
    struct tls *tls;                 /* NULL: plain */
    struct tls_context *tls_context; /* and what it was dialled with */
    char *tls_name;
    struct address *local; /* it was dialled from; NULL: the kernel's choice */
    bool reused;           /* it has served a request before */
    struct loop_task grave;
};

extern struct conf_module upstream_module;
extern struct conf_module upstream_server_module, upstream_method_module,
    upstream_zone_module, upstream_status_module, upstream_sticky_module,
    health_module;
extern const struct variable upstream_variables[];

/* A worker begins to use g, and old (which may be NULL) no more: what runs
 * beside requests is started, and stopped. */
void upstreams_adopt(struct loop *loop, struct generation *g,
                     struct generation *old);

/* A worker ends: nothing of g's runs any more. */
void upstreams_stop(struct generation *g);

/* What the connection's request hears (proxy.c). */
extern const struct stream_events proxy_upstream_events;
void proxy_upstream_timeout(struct upstream_conn *c);

/* The upstream{} of that name, or NULL. */
struct upstream *upstream_find(const struct generation *g, struct str name);

/* An upstream of the one server "host:port", "unix:/path"; made once per
 * name.  NULL with conf's error when the name does not resolve. */
struct upstream *upstream_of_host(struct conf *conf, struct str host,
                                  uint16_t default_port);

/* An idle connection to one of the upstream's peers, with TLS as it is
 * wanted and from that address, or NULL. */
struct upstream_conn *upstream_take_idle(struct upstream *u, struct peer *p,
                                         const struct proxy_ssl *want,
                                         const struct address *local);

/* Dial the peer.  NULL with errno. */
struct upstream_conn *upstream_dial(struct loop *loop, struct upstream *u,
                                    struct peer *p,
                                    const struct http_limits *limits,
                                    const struct connect_options *how,
                                    bool *pending);

/* The request is done with it: keep it, or close it. */
void upstream_give_back(struct upstream_conn *c);
void upstream_conn_close(struct upstream_conn *c);

#endif

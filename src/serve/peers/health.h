/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/peers/health.h - health_check and match{}: what is asked of servers,
 * and what a good answer is.
 *
 * health_conf.c reads them, health_match.c judges an answer, health_check.c
 * asks: one worker of a zone at a time, or each without a zone.
 */
#ifndef PENSTOCK_SERVE_PEERS_HEALTH_H
#define PENSTOCK_SERVE_PEERS_HEALTH_H

#include "http/head.h"
#include "route/regex.h"
#include "serve/proxy.h"

enum { HEALTH_BODY_MAX = 256 * 1024 /* bytes that a pattern sees */ };

struct match_status {
    unsigned low, high;
};

struct match_header {
    struct str name;
    struct str value;    /* of = and != */
    struct regex *regex; /* of ~ and !~; with neither: is it there? */
    bool negated;
};

/* match NAME { }: every rule must agree. */
struct match {
    struct str name;
    struct match_status *statuses;
    size_t statuses_n;
    bool statuses_said, statuses_negated;
    struct match_header *headers;
    size_t headers_n;
    struct regex *body; /* NULL: any will do */
    bool body_negated;
    struct match *next;
};

struct health_check {
    const struct conf_node *node;
    const struct conf_scope *scope;
    struct upstream *upstream;
    const struct proxy_conf *proxy;
    struct proxy_ssl ssl; /* of https: context NULL: plain */
    uint64_t interval_ms, jitter_ms;
    uint64_t fails, passes;
    struct str uri;
    uint64_t port;       /* 0: the server's */
    struct match *match; /* NULL: any 2xx or 3xx */
    bool mandatory, persistent;
    struct health_run *run; /* in a worker that uses it */
    struct health_check *next;
};

/* NULL, or what is wrong with the head (a static sentence). */
const char *match_head(const struct match *m, const struct http_head *head);
bool match_needs_body(const struct match *m);
const char *match_body(const struct match *m, struct str body);

/* What TLS a check speaks (proxy_ssl.c); context NULL: it can not. */
void proxy_ssl_of_scope(const struct conf_scope *scope, struct str host,
                        struct proxy_ssl *ssl);

/* In a worker: begin, and end. */
void health_start(struct health_check *c, struct loop *loop,
                  const struct upstream *old, unsigned generation);
void health_stop(struct health_check *c);

#endif

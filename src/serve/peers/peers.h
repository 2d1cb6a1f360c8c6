/* SPDX-License-Identifier: BSD-2-Clause */
/* serve/peers/peers.h - what the files of upstream{} share. */
#ifndef PENSTOCK_SERVE_PEERS_H
#define PENSTOCK_SERVE_PEERS_H

#include "io/resolver.h"
#include "serve/upstream.h"

struct peer_list {
    struct peer *items;
    size_t n, capacity;
};

/* An upstream{} while it is read; the object of its scope. */
struct upstream_block {
    struct upstream *upstream;
    struct peer_list peers;
    const struct conf_node *backup_node; /* a server that is one */
    const struct conf_node *slow_node;   /* a server with slow_start */
};

static inline struct upstream_block *upstream_block_of(struct conf_scope *scope)
{
    return scope->object;
}

static inline struct upstream *upstream_of_scope(struct conf_scope *scope)
{
    return upstream_block_of(scope)->upstream;
}

/* servers.c: add what "host:port" or "unix:/path" means to the list, each
 * address a peer like model; -1 with the sentence. */
int peers_add(struct conf *conf, struct str text, uint16_t default_port,
              struct peer_list *list, const struct peer *model);
struct peer *peers_add_address(struct conf *conf, struct peer_list *list,
                               const struct peer *model,
                               const struct address *address);
extern const struct peer peer_model; /* a server without parameters */

/* shared.c: find the states of the upstream's peers in its zone (again, when
 * peers are others now). */
void shared_use(struct upstream *u);
/* Is it this worker's turn to check the health of u's servers?  Else *wait_ms
 * until it may be.  Always without a zone. */
bool shared_turn(struct upstream *u, uint64_t interval_ms, uint64_t *wait_ms);
/* True for the first worker of the generation that says so. */
bool shared_begin(struct upstream *u, unsigned generation);

/* resolved.c: servers whose addresses are looked up while requests are served.
 * resolved_wait: when no address is known yet, tell w when one is; false: it is
 * known, or not asked for. */
void resolved_add(struct conf *conf, struct upstream_block *b,
                  struct str server, struct str host, uint16_t port,
                  const struct peer *model);
int resolved_check(struct conf *conf, const struct upstream_block *b);
void resolved_start(struct upstream *u, struct loop *loop,
                    const struct upstream *old);
void resolved_stop(struct upstream *u);
bool resolved_wait(const struct upstream *u, struct resolver_wait *w);

/* sticky.c: the peer that the request is bound to, picked, or NULL; and, when
 * a response came, bind it.  The upstream is sticky. */
struct peer *sticky_pick(struct proxy *p);
void sticky_on_head(struct proxy *p);

/* methods.c: does the method know what the servers were given? */
int methods_check(struct conf *conf, const struct upstream_block *b);

#endif

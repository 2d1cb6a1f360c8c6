/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upstream/balance.h - which peer gets the next one.
 *
 * Serves upstream{} (HTTP servers) and backend{} (backend processes) alike.
 * Pure: peers and the time in, a peer out.  A method is a row in a file of its
 * own (balance_round_robin.c, balance_least_conn.c).  Weights are nginx's
 * smooth weighted round robin; failures are counted as nginx counts them
 * (max_fails within fail_timeout takes a peer out for fail_timeout).
 */
#ifndef PENSTOCK_UPSTREAM_BALANCE_H
#define PENSTOCK_UPSTREAM_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct balance;

struct peer {
    struct str name;    /* for logs and $upstream_addr */
    void *object;       /* the caller's: an address, a backend */
    uint32_t weight;    /* 1.. */
    uint32_t max_conns; /* 0: no limit */
    uint32_t max_fails; /* 0: failures are not counted */
    uint64_t fail_timeout_ms;
    bool backup, down;

    /* state; zero at the start */
    bool unready; /* the caller knows it cannot be used now */
    bool alone;   /* the only one: its failures do not count */
    int64_t current_weight;
    uint32_t lost_weight; /* by failures; nginx's effective_weight is weight
                             less this */
    uint32_t active;      /* connections, requests or clients now */
    uint32_t fails;
    uint64_t checked_ms; /* when the current fail window began */
    uint64_t failed_ms;
};

struct balance_method {
    const char *name;
    /* Choose among the usable peers; tried[i] says the i-th was tried. */
    struct peer *(*pick)(struct balance *b, const bool *tried, uint64_t now_ms,
                         bool backup);
};

struct balance {
    const struct balance_method *method;
    struct peer *peers;
    size_t peers_n;
    size_t at; /* the method's */
};

extern const struct balance_method balance_round_robin;
extern const struct balance_method balance_least_conn;

/* Is the peer to be considered now? */
bool peer_is_usable(const struct peer *p, uint64_t now_ms);

/*
 * The peer for the next one, counted active, or NULL when none can take it.
 * tried: peers_n flags of those already asked for this request (set for the
 * answer), or NULL.  Backups are considered when no primary is usable.
 */
struct peer *balance_pick(struct balance *b, bool *tried, uint64_t now_ms);

/* The one that pick gave ended. */
void balance_release(struct peer *p);
void balance_succeeded(struct peer *p, uint64_t now_ms);
/* True when this failure took the peer out ("upstream server temporarily
 * disabled" is then logged). */
bool balance_failed(struct peer *p, uint64_t now_ms);

#endif

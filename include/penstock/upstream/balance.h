/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upstream/balance.h - which peer gets the next one.
 *
 * Serves upstream{} (HTTP servers) and backend{} (backend processes) alike.
 * Pure: peers, the time and what a request brings in, a peer out.  A method is
 * a row in a file of its own (balance_round_robin.c, balance_hash.c).  Weights
 * are nginx's smooth weighted round robin; failures are counted as nginx
 * counts them (max_fails within fail_timeout takes a peer out for
 * fail_timeout).
 *
 * What changes about a peer stands in a peer_state of its own, so that it may
 * lie in memory that several processes share: then every call here takes the
 * balance's lock, and peers may have another state after it.
 */
#ifndef PENSTOCK_UPSTREAM_BALANCE_H
#define PENSTOCK_UPSTREAM_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/str.h"

struct balance;

enum peer_health {
    PEER_UNCHECKED = 0,
    PEER_HEALTHY,
    PEER_UNHEALTHY,
    PEER_CHECKING, /* its first check decides; until then it gets nothing */
};

/* Zero at the start. */
struct peer_state {
    int64_t current_weight;
    uint32_t lost_weight; /* by failures; nginx's effective_weight is weight
                             less this */
    uint32_t active;      /* connections, requests or clients now */
    uint32_t fails;
    uint32_t health;     /* enum peer_health */
    uint64_t checked_ms; /* when the current fail window began */
    uint64_t failed_ms;
    uint64_t since_ms;  /* it came back; slow_start runs from here; 0: it was
                           always there */
    uint64_t header_us; /* moving averages; 0: nothing was measured */
    uint64_t response_us;
    uint64_t under_way_ms; /* sum of the times at which the active ones began */

    /* for those who look */
    uint64_t requests, responses[5]; /* 1xx .. 5xx */
    uint64_t sent, received;         /* bytes */
    uint64_t failures, unavailable;  /* ever; and how often it was taken out */
    uint64_t checks, checks_failed, times_unhealthy;
    uint64_t selected_ms;
    uint32_t checks_in_row; /* equal results */
    bool last_passed;
};

struct peer {
    struct str name;    /* for logs and $upstream_addr */
    struct str server;  /* as configured: what hash consistent hashes */
    struct str route;   /* of sticky; p NULL: none was said */
    void *object;       /* the caller's: an address, a backend */
    uint32_t weight;    /* 1.. */
    uint32_t max_conns; /* 0: no limit */
    uint32_t max_fails; /* 0: failures are not counted */
    uint64_t fail_timeout_ms, slow_start_ms;
    bool backup, down;
    bool drain;         /* only those who are bound to it */
    bool unready;       /* the caller knows it cannot be used now */
    bool changes;       /* its name may be another one soon */
    bool vacant;        /* a place that is not taken: not a peer at all */
    bool alone;         /* the only one: its failures do not count */
    unsigned server_id; /* equal for equal servers; by balance_init() */
    uint32_t users;     /* picked and not released by this process */
    bool in_zone;       /* state is shared; the caller's */
    struct peer_state *state;
    struct peer_state own; /* where state points unless it is shared */
};

/* What one request brings; lives as long as its tries. */
struct balance_ask {
    bool *tried;     /* peers_n flags of those asked already, set for the
                        answer; NULL: nobody was */
    uint64_t now_ms; /* anew for each pick */
    struct str key;  /* of hash */
    const struct address *address; /* of ip_hash; NULL: none */
    uint64_t seed;                 /* of random; not 0 */

    /* the method's; zero at the start */
    uint32_t hash;
    unsigned rounds, turns;
    bool begun;
};

enum balance_need {
    BALANCE_NEEDS_KEY = 1 << 0,
    BALANCE_NEEDS_ADDRESS = 1 << 1,
    BALANCE_NEEDS_SEED = 1 << 2,
};

struct balance_method {
    const char *name;
    /* Choose among the usable peers. */
    struct peer *(*pick)(struct balance *b, struct balance_ask *ask,
                         bool backup);
    unsigned needs;  /* enum balance_need, or'ed */
    bool no_backups; /* it knows no server parameter "backup" */
};

/* What random two and least_time compare. */
enum balance_measure {
    MEASURE_CONNS = 0,
    MEASURE_HEADER,
    MEASURE_LAST_BYTE,
};

struct balance_ring;

/* How state that other processes see is used. */
struct balance_sharing {
    void (*lock)(struct balance *b);
    void (*unlock)(struct balance *b);
    /* Under the lock: count one more for this process; or one less, false
     * when none is counted. */
    void (*take)(struct balance *b, struct peer *p);
    bool (*give)(struct balance *b, struct peer *p);
};

struct balance {
    const struct balance_method *method;
    struct peer *peers;
    size_t peers_n;
    enum balance_measure measure;
    bool inflight;             /* least_time: unfinished requests count too */
    bool two;                  /* random two */
    bool slow;                 /* some peer has a slow_start */
    uint32_t total_weight;     /* of those that are no backups */
    size_t primaries;          /* how many those are */
    struct balance_ring *ring; /* hash consistent */
    const struct balance_sharing *sharing; /* NULL: the state is this
                                              process's own */
};

extern const struct balance_method balance_round_robin;
extern const struct balance_method balance_least_conn;
extern const struct balance_method balance_ip_hash;
extern const struct balance_method balance_hash;
extern const struct balance_method balance_consistent;
extern const struct balance_method balance_random;
extern const struct balance_method balance_least_time;

/*
 * Peers, method and what it needs are in b; give state to peers that have
 * none and count them.  Again after peers were made vacant or taken.  arena:
 * for what balance_consistent computes, the first time.
 */
void balance_init(struct balance *b, struct arena *arena);

/* Is the peer to be considered now? */
bool peer_is_usable(const struct peer *p, uint64_t now_ms);

/* The peer for the next one, counted active, or NULL when none can take it.
 * Backups are considered when no primary is usable. */
struct peer *balance_pick(struct balance *b, struct balance_ask *ask);

/* The same for one that is wanted (sticky): p or NULL. */
struct peer *balance_pick_this(struct balance *b, struct balance_ask *ask,
                               struct peer *p);

/* Count one that nobody picked (it was there before). */
void balance_take(struct balance *b, struct peer *p, uint64_t since_ms);

/* Might a pick give somebody? */
bool balance_has_usable(struct balance *b, const struct balance_ask *ask);

/* The one that pick gave at since_ms ended. */
void balance_release(struct balance *b, struct peer *p, uint64_t since_ms);
void balance_succeeded(struct balance *b, struct peer *p, uint64_t now_ms);
/* True when this failure took the peer out ("upstream server temporarily
 * disabled" is then logged). */
bool balance_failed(struct balance *b, struct peer *p, uint64_t now_ms);

/* What one try came to. */
struct balance_report {
    unsigned status; /* 0: no response */
    uint64_t sent, received;
    uint64_t header_us, response_us; /* 0: it did not come */
};
void balance_count(struct balance *b, struct peer *p,
                   const struct balance_report *r);

/* A health check ended.  True when the peer's health changed. */
bool balance_checked(struct balance *b, struct peer *p, bool passed,
                     uint32_t fails, uint32_t passes, uint64_t now_ms);

void balance_set_health(struct balance *b, struct peer *p,
                        enum peer_health health);

/* A copy of what the peer's state is now. */
struct peer_state balance_look(struct balance *b, const struct peer *p);

#endif

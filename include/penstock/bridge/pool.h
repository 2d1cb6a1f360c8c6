/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/pool.h - backend{} blocks: what was configured, and what lives.
 *
 * A pool_conf is one `backend NAME { }` of one generation: constant, in its
 * arena.  A pool is what a worker keeps for that name: the backends it dials,
 * their links, who gets the next client.  Pools outlive generations: a reload
 * gives each a new pool_conf (bridge_adopt) and changes what differs.
 */
#ifndef PENSTOCK_BRIDGE_POOL_H
#define PENSTOCK_BRIDGE_POOL_H

#include <sys/types.h>

#include "io/loop.h"
#include "io/timer.h"
#include "serve/generation.h"
#include "serve/sticky.h"
#include "upstream/balance.h"

struct link;
struct session;

/* ---- configuration ---- */

/* One `spawn CMD args...`: processes that the master starts, each with a
 * listening socket of its own. */
struct pool_spawn {
    char **argv;        /* NULL-terminated; a relative path with a slash in
                           argv[0] was made absolute by the prefix */
    unsigned instances; /* 1.. */
    const char *user;   /* NULL: as the workers */
    const struct conf_node *node;
};

/* One backend to dial: a `server`, or one instance of a `spawn`. */
struct pool_server {
    const char *path;
    uint32_t weight;
    uint32_t max_clients; /* of one worker; 0: no limit */
    bool backup, down;
    int spawn; /* index into spawns, or -1 */
    unsigned instance;
};

/* on_backend_loss; the numbers are OPT ON_LOSS's. */
enum loss_mode {
    LOSS_CLOSE = 0,
    LOSS_HOLD = 1,     /* for who replaces the backend */
    LOSS_HOLD_ANY = 2, /* or for any other of the pool */
    LOSS_REASSIGN = 3, /* to another now, or close */
};

/* What a backend{} says in one value each; see the table in conf.c. */
struct pool_settings {
    uint64_t client_window;   /* bytes a backend may owe us for one client */
    uint64_t reply_window;    /* bytes it may send ahead for one client */
    uint64_t link_window_in;  /* bytes all clients may have under way to it */
    uint64_t link_window_out; /* and from it */
    uint64_t max_frame;
    uint64_t keepalive_ms, keepalive_timeout_ms;
    uint64_t accept_timeout_ms;
    uint64_t connect_timeout_ms; /* to its HELLO */
    uint64_t drain_timeout_ms;
    uint64_t max_clients; /* of one worker; 0: no limit */
    bool evict_oldest;    /* a further session takes the oldest one's place */
    enum loss_mode loss_mode;
    uint64_t hold_ms;
    unsigned loss_code;    /* close code when a backend is lost for good */
    bool at_least_once;    /* delivery */
    uint64_t channels_max; /* of one client */
    uint64_t streams_max;  /* to groups, of one link */
    uint64_t state_max;    /* bytes of a session's state */
    uint64_t drain_rate;   /* websocket_drain: closed in a second; 0: at once */
    uint64_t drain_jitter_ms;
    unsigned drain_code;
    bool drain_is_set;
    uint64_t log_rate;   /* lines a second, of a link to the log and back */
    uint64_t stats_rate; /* questions to all workers a second, of a link */
    bool debug;          /* debugging may be told to backends and clients */
    bool conn_events;    /* connections may be told to it (CONN) */
    bool allow_raw;      /* it may make frames to clients itself */
    bool allow_tunnel;   /* it may speak with clients itself */
    bool cross_backend;  /* broadcasts reach clients of its siblings */
    const struct balance_method *method;
    bool method_said;
    struct value *hash_key;       /* of hash, or NULL */
    struct value *claim_key;      /* of claim, or NULL */
    struct sticky_cookie *cookie; /* of sticky, or NULL */
    const char *socket_dir;       /* of spawned backends; NULL: the default */
};

struct pool_conf {
    struct str name;
    struct pool_settings set;
    struct pool_server *servers; /* spawned ones are among them */
    size_t servers_n, servers_capacity;
    struct pool_spawn *spawns;
    size_t spawns_n, spawns_capacity;
    uid_t *allow_uids; /* who may have called listen(); none: anybody */
    size_t allow_uids_n, allow_uids_capacity;
    const struct conf_scope *scope;
    const struct conf_node *node;
};

/* The directives of `backend NAME { }`. */
extern struct conf_module backend_module, backend_method_module;

/* Does the pool's method know what its servers were given? */
int method_check(struct conf *conf, const struct pool_conf *p);

/* Every pool_conf of a generation, in no special but always the same order:
 * *it starts at 0; NULL at the end. */
struct pool_conf *pool_conf_next(const struct generation *g, size_t *it);
struct pool_conf *pool_conf_find(const struct generation *g, struct str name);

/* Where the instance of the spawn listens:
 * <backend_socket_dir>/<pool>.<spawn>.<instance>.sock */
const char *pool_conf_spawn_path(const struct pool_conf *p, size_t spawn,
                                 unsigned instance);

/* ---- what a worker calls ---- */

/* Use generation g for new clients: pools it names are made or changed, its
 * servers dialled; servers and pools it no longer names are drained.  process:
 * the worker's number (0..511), unique among running processes; epoch: of the
 * gateway instance.  Called at a worker's start and at each reload. */
void bridge_adopt(struct loop *loop, struct generation *g, unsigned process,
                  uint64_t epoch);

/* At this socket of a spawned backend there is a new process: dial it, and
 * when it is READY hand the sessions of the old one over. */
void bridge_renew(const char *path);

/* What to call when a spawned backend was left for good: it was renewed, or is
 * no longer configured. */
typedef void bridge_moved_fn(void *arg, const char *path);
void bridge_on_moved(bridge_moved_fn *moved, void *arg);

/* The worker retires: sessions are closed as websocket_drain says, links end
 * when their last client is gone.  bridge_live() falls to 0. */
void bridge_drain(void);

/* Sessions (and handshakes) that still live, and their lingering sockets. */
size_t bridge_live(void);

/* Close everything at once and free it; the loop may be destroyed after. */
void bridge_stop(void);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/link.h - one Unix socket to one backend, speaking Sluice/1.
 *
 * link.c is its life (dial, HELLO, READY, keepalive, loss), link_in.c what
 * comes from the backend, link_out.c what goes to it, with the credit of both
 * directions (SLUICE section 8).  A link never frees a session and a session
 * never frees a link: each tells the other, and dies at the turn's end.
 *
 * Everything a backend sends is checked here or in the codec: what it gets
 * wrong ends the link (link_fail), or the client that it is about.
 */
#ifndef PENSTOCK_BRIDGE_LINK_H
#define PENSTOCK_BRIDGE_LINK_H

#include "base/buf.h"
#include "bridge/channels.h"
#include "bridge/pool.h"
#include "bridge/slots.h"
#include "io/stream.h"
#include "route/regex.h"
#include "sluice/client.h"
#include "sluice/close.h"
#include "sluice/group.h"
#include "sluice/link.h"
#include "sluice/open.h"
#include "sluice/reader.h"

struct backend;
struct link_client;
struct session;
struct sharing;

enum {
    LINK_APPS_MAX = 64,         /* SLUICE section 15 */
    LINK_PATTERNS_MAX = 64,     /* of one app */
    LINK_ACK_MS = 100,          /* credit is returned at the latest */
    LINK_WAKE_MAX = 64,         /* starved sessions woken in one turn */
    LINK_QUEUE_SOFT = 1 << 20,  /* bytes beyond the window that wait for the
                                   backend before clients are read no more */
    LINK_QUEUE_HARD = 16 << 20, /* and before it is given up */
    LINK_PREDECESSORS_MAX = 16,
    LINK_INQUIRIES_MAX = 16,   /* STATS_REQs that wait for their answers */
    LINK_GRACE_MORE_MS = 1000, /* than a backend asked for, for its BYE */
};

/* What HELLO says we have, always; a frame of any other feature is refused. */
#define LINK_FEATURES                                                          \
    (SLUICE_FEATURE_FRAGMENTS | SLUICE_FEATURE_WIRECOUNT |                     \
     SLUICE_FEATURE_HTTP | SLUICE_FEATURE_RESUME | SLUICE_FEATURE_STATE |      \
     SLUICE_FEATURE_MOVE | SLUICE_FEATURE_CHANNELS | SLUICE_FEATURE_CLAIM |    \
     SLUICE_FEATURE_BSTREAM)

enum link_state {
    LINK_GREETING = 0, /* connected; the backend's HELLO is awaited */
    LINK_WARMING,      /* HELLO is here, READY is not */
    LINK_READY,
    LINK_DRAINING, /* no new clients: GOAWAY of either side */
    LINK_CLOSED,
};

struct app_pattern {
    enum sluice_tag tag; /* HOST_, PATH_ or ORIGIN_PATTERN */
    enum sluice_pattern_kind kind;
    struct str text;
    struct regex *regex; /* with SLUICE_PATTERN_REGEX */
};

/* What a backend registered; its id is its place + 1. */
struct app {
    struct str name;
    struct app_pattern *patterns;
    size_t patterns_n;
    uint32_t max_clients; /* 0: no limit */
    uint32_t clients;
    uint32_t event_mask;
    uint32_t options[SLUICE_OPT_VERSIONS + 1]; /* by enum sluice_option */
    uint32_t options_set;                      /* bits of those it said */
    bool live;
};

/* What has an id on a link: a WebSocket session or an HTTP exchange. */
enum link_client_kind { LINK_SESSION = 0, LINK_EXCHANGE };

/*
 * The part of either that ids and credit (SLUICE sections 3 and 8) know; it
 * stands first and without a name in struct session and struct exchange.
 */
struct link_client {
    enum link_client_kind kind;
    uint32_t seq_flushed; /* messages from the backend that have left */
    uint64_t cid;
    struct pool *pool; /* while it has an id */
    struct link *link; /* NULL: not bound */
    struct app *app;   /* of the link; NULL: none */
    struct list on_link, owing, starved;
    uint32_t window_in, outstanding_in;   /* client -> backend */
    uint32_t window_out, outstanding_out; /* backend -> client */
    uint32_t flushed_out; /* of outstanding_out: left for the kernel, owed */
};

/* Lines of a second, see logs.h. */
struct line_rate {
    uint64_t since_ms;
    uint32_t used, suppressed;
};

/* What went over a link: whole messages, and payload bytes. */
struct link_counters {
    uint64_t messages_in, messages_out;
    uint64_t bytes_in, bytes_out;
};

struct link {
    struct backend *backend;
    struct stream *stream;
    enum link_state state;
    struct sluice_reader reader;
    struct log_ctx log;
    struct arena *arena; /* apps and the backend's name */
    struct app *apps;    /* LINK_APPS_MAX of them, once there is one */
    size_t apps_n;

    /* from HELLO */
    struct str agent;
    uint32_t peer_max_frame;
    uint32_t peer_window; /* credit for each client, to the backend */
    uint64_t features;    /* before it: those that we offer */
    uint64_t boot_id;
    uint64_t *resume_of; /* boot ids of backends that it replaces */
    size_t resume_of_n;
    bool wants_resume;

    /* payload bytes under way; credit is the window less these */
    uint64_t window_in, outstanding_in;   /* client -> backend */
    uint64_t window_out, outstanding_out; /* backend -> client */

    struct link_counters counters;

    struct list sessions;  /* on_link of each */
    struct list exchanges; /* likewise */
    size_t clients_n;      /* in both */
    struct list streams;   /* bstream.on_link: those under way */
    size_t streams_n;
    struct list inquiries; /* stats.c's */
    size_t inquiries_n;
    uint64_t asked_since_ms; /* all workers, and how often since then */
    uint64_t asked_n;
    struct list claims; /* claim.c's */
    size_t claims_n;
    struct list owing;   /* link_client.owing: credit to return */
    struct list starved; /* link_client.starved: they wait for credit_in */
    struct loop_task ack_task;
    struct timer ack_timer;
    struct loop_task wake_task; /* more of the starved, next turn */

    struct timer timer; /* greeting, keepalive, drain */
    uint64_t heard_ms;  /* the last whole frame */
    uint64_t said_ms;
    uint64_t drain_until_ms;            /* we end it then; 0: we do not */
    uint64_t grace_until_ms;            /* the backend's own; 0: it said none */
    struct line_rate logs_in, logs_out; /* LOG of and to the backend */
    struct timer logs_timer;            /* of the next second */
    uint8_t told_level;     /* enum log_level that it asked for; 0: none */
    struct log_limit noise; /* what a backend can cause in numbers */
    uint64_t strays;        /* frames for clients that are gone */
    bool bye;               /* it said BYE: the end is in good order */
    bool handover;          /* its sessions go to other backends */
    struct loop_task move_task;
    struct loss *loss;    /* of its sessions when it is gone; or NULL */
    struct loss *moved;   /* of those that it gave away; or NULL */
    size_t remains_bytes; /* kept for clients that are gone */
    uint32_t resumed;     /* sessions since the last RESUME_END */
    bool failing;
    struct loop_task grave;
    struct buf scratch; /* a frame being made */
};

/* One server or spawned instance of a pool, dialled for ever. */
struct backend {
    char id[STICKY_ID_SIZE]; /* in cookies */
    struct list in_pool;
    struct pool *pool;
    char *path;
    int index; /* into pool->peers; -1: no longer configured */
    bool spawned;
    unsigned told_again;      /* that it is to be renewed: bridge_renew() */
    struct backend *heir;     /* takes its place once it is READY; or NULL */
    struct backend *replaces; /* the other way round */
    struct link *link;        /* NULL: not connected */
    struct timer retry;
    uint32_t backoff_ms;
    struct log_limit noise;
    struct loop_task grave;
};

/* Of a pool in this worker, since it was made. */
struct pool_counters {
    uint64_t sessions, exchanges;
    uint64_t refused, evicted; /* by max_clients */
    uint64_t links_lost;       /* that ended without a BYE */
    struct link_counters data; /* of links that have ended */
};

struct pool {
    struct list link; /* bridge.pools */
    struct str name;  /* owned */
    const struct pool_conf *conf;
    struct generation *generation; /* a reference, for conf */
    struct list backends;
    struct balance balance;
    struct list sessions; /* that have an id and live; the oldest is first */
    size_t clients;       /* those who have an id */
    struct drain *drain;  /* how its sessions are closed; NULL: they are not */
    struct list losses;   /* of backends whose sessions wait for another */
    struct channels channels;
    struct pool_counters counters;
    bool retired; /* no longer configured: dies when its last backend does */
};

/* Everything of this folder that a worker has once. */
struct bridge {
    struct loop *loop;
    struct list pools;
    struct slots slots;
    struct list sessions; /* every one, lingering ones too: session.all */
    size_t live;
    struct buf *spare;     /* for the next session that has to keep input */
    struct buf spare_kept; /* likewise, kept.c's */
    unsigned process;
    uint64_t epoch;
    struct generation *generation;
    bool draining;
    bridge_moved_fn *on_moved;
    void *on_moved_arg;
};
extern struct bridge bridge;

/* ---- pool.c ---- */
struct pool *pool_find(struct str name);
/* The backend's link is gone: dial again, or forget it. */
void backend_link_ended(struct backend *b);
void backend_link_ready(struct backend *b);
void backend_link_unready(struct backend *b);
/* It got a client that balance_pick() did not give it. */
void backend_count(struct backend *b);
/* A client, backend or loss of the pool is gone. */
void pool_destroy_if_done(struct pool *p);

/* ---- link.c ---- */

/* Dial.  NULL with errno. */
struct link *link_create(struct backend *b);
/* The backend broke a rule: tell it, log, and treat it as lost. */
void link_fail(struct link *l, enum sluice_error code, unsigned type,
               const char *why);
/* In good order: BYE and close.  Sessions on it are lost. */
void link_close(struct link *l, const char *why);
/* No new clients; close when the last one is gone or at the timeout.  move:
 * they go to other backends if they can. */
void link_drain(struct link *l, uint64_t timeout_ms, bool move);
void link_set_state(struct link *l, enum link_state state);
const char *link_state_name(enum link_state state);
/* Its sessions are to go to other backends, as soon as there are any. */
void link_hand_over(struct link *l);
void link_run_moves(struct loop_task *task); /* move_task */
/* A client left: a draining link may be done. */
void link_client_gone(struct link *l);

/* Its log context, with where the process logs now. */
const struct log_ctx *link_log(struct link *l);

/* ---- link_in.c ---- */
void link_on_data(void *owner, struct span *in);

/* ---- app.c ---- */

/* What is looked at to find the app of a request. */
struct app_ask {
    struct str name; /* p NULL: by pattern */
    struct str host, path, origin;
    unsigned version;        /* a bit of SLUICE_OPT_VERSIONS; 0: of none */
    const struct app *after; /* this one has passed; NULL: begin */
};

/* The first app of this link that takes the request.  NULL with *status 404,
 * 403 (origin), 400 (version) or 503 (full); NULL with 0 when the backend
 * registered none and takes all. */
struct app *link_find_app(struct link *l, const struct app_ask *ask,
                          unsigned *status);
struct app *link_app_named(struct link *l, struct str name);
static inline uint16_t link_app_id(const struct link *l, const struct app *a)
{
    return a ? (uint16_t)(a - l->apps + 1) : 0;
}

/* REGISTER and UNREGISTER.  0, or a negated link-fatal code. */
int link_register(struct link *l, const struct sluice_frame *f);
int link_unregister(struct link *l, const struct sluice_frame *f);

/* ---- group.c ---- */

/* To groups.  0, or a negated link-fatal code. */
int link_broadcast(struct link *l, const struct sluice_frame *f);
int link_msend(struct link *l, const struct sluice_frame *f);
int link_publish(struct link *l, const struct sluice_frame *f);
int link_presence(struct link *l, const struct sluice_frame *f);

/* All that a frame of this kind is for. */
typedef void group_member_fn(struct session *s, void *arg);
void group_each(struct link *l, const struct sluice_broadcast *b,
                group_member_fn *fn, void *arg);
/* DELIVERED. */
void group_deliver(struct link *l, const struct sluice_delivered *d);
/* The frame is refused, and no more: log that and tell the backend. */
void group_refuse(struct link *l, const struct sluice_frame *f, uint64_t id,
                  enum sluice_error code, const char *why);

/* SUBSCRIBE and UNSUBSCRIBE, and the CHANNELs of ACCEPT.  0, or a negated
 * client-fatal code. */
int session_subscribe(struct session *s, const struct sluice_frame *f);
int session_unsubscribe(struct session *s, const struct sluice_frame *f);
int session_subscribe_tlvs(struct session *s, struct str tlvs);

/* To a channel's members: of one link (NULL: of all), but one id (0: none). */
void channel_share(struct channel *c, struct sharing *m, const struct link *of,
                   uint64_t except, struct sluice_delivered *d);

/* ---- link_client.c ---- */

/* Come to the link, with the id that it has or a new one.  False when there is
 * none left. */
bool link_client_bind(struct link_client *c, struct link *l, struct app *app);
/* Leave it without a word: both directions' credit comes back without an ACK.
 * The id stays. */
void link_client_leave(struct link_client *c);
/* The credit alone. */
void link_client_settle(struct link_client *c);
/* Give the id back, after leaving; fine when there is none. */
void link_client_release(struct link_client *c);
/* Both. */
void link_client_unbind(struct link_client *c);
/* NULL when the id is unknown, or another link's. */
struct link_client *link_client_find(struct link *l, uint64_t cid);
/* Its credit came, or its link's. */
void link_client_wake(struct link_client *c);
/* Its link is gone. */
void link_client_lost(struct link_client *c);
/* An ACK entry for it.  0, or a negated link-fatal code. */
int link_client_acked(struct link_client *c, uint32_t bytes, uint32_t seq);

/* ---- link_out.c ---- */

/* Send what is in l->scratch, and empty it. */
void link_send_scratch(struct link *l);
void link_send_empty(struct link *l, enum sluice_type type, uint16_t aux,
                     uint64_t cid);
void link_send_error(struct link *l, uint64_t cid, enum sluice_error code,
                     unsigned type, enum sluice_severity severity,
                     unsigned ws_close_code, const char *text);

/* Data of a client: at most peer_max_frame bytes; spends credit. */
void link_send_data(struct link_client *c, enum sluice_type type, uint8_t flags,
                    uint16_t aux, const uint8_t *p, size_t n);

/* Data of the backend for a client: spends its credit. */
static inline void link_client_spend(struct link_client *c, size_t n)
{
    c->outstanding_out += (uint32_t)n;
    c->link->outstanding_out += n;
    c->link->counters.bytes_out += n;
}

/* May clients of this link send data now? */
static inline bool link_has_credit(const struct link *l)
{
    return l->outstanding_in < l->window_in &&
           stream_queued(l->stream) < l->window_in + LINK_QUEUE_SOFT;
}

/* And this one? */
static inline bool link_client_has_credit(const struct link_client *c)
{
    return c->outstanding_in < c->window_in && link_has_credit(c->link);
}

/* It may be again: wake who waits, in turn, some of them per turn. */
void link_wake_starved(struct link *l);
void link_run_wake(struct loop_task *task); /* wake_task */
void link_run_acks(struct loop_task *task); /* ack_task */

/* An ACK of the backend.  0, or a negated link-fatal code. */
int link_on_ack(struct link *l, const struct sluice_frame *f);

/* The client owes credit (flushed bytes): at the turn's end when urgent. */
void link_owe(struct link_client *c, bool urgent);

#endif

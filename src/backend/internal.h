/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the library's files know of each other.  A psb owns its listeners and
 * links, a link its clients.  Links die at the end of a turn (turn.c), so
 * none goes away under a callback.
 */
#ifndef PENSTOCK_BACKEND_INTERNAL_H
#define PENSTOCK_BACKEND_INTERNAL_H

#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "penstock_backend.h"
#include "sluice/open.h"
#include "sluice/reader.h"

enum {
    PSB_READ_SIZE = 256 * 1024, /* bytes asked of the kernel at once */
    PSB_MAX_FRAME = SLUICE_MAX_FRAME_DEFAULT,
    PSB_WINDOW = 64 * 1024, /* credit of the gateway for each client */
    PSB_LINK_WINDOW = 16 * 1024 * 1024,
    PSB_ACK_MS = 100,                 /* credit is returned at the latest */
    PSB_QUEUE_MAX = 64 * 1024 * 1024, /* kept for a client without credit */
    PSB_OUT_SLOW = 1024 * 1024,       /* a link's output: say 1 */
    PSB_OUT_MAX = 64 * 1024 * 1024,   /* and refuse group sends */
    PSB_APPS_MAX = 64,
    PSB_REPORTS_MAX = 4096,   /* open at once */
    PSB_ACCEPT_PAUSE_MS = 100 /* when there are no descriptors left */
};

/* What HELLO says we have. */
#define PSB_FEATURES                                                           \
    (SLUICE_FEATURE_FRAGMENTS | SLUICE_FEATURE_HTTP | SLUICE_FEATURE_RESUME |  \
     SLUICE_FEATURE_ALO | SLUICE_FEATURE_STATE | SLUICE_FEATURE_MOVE |         \
     SLUICE_FEATURE_CHANNELS | SLUICE_FEATURE_RAW | SLUICE_FEATURE_TUNNEL |    \
     SLUICE_FEATURE_BSTREAM | SLUICE_FEATURE_CROSS | SLUICE_FEATURE_CLAIM |    \
     SLUICE_FEATURE_WIRECOUNT)

/* How a call says no: -1 with errno. */
static inline int psb_refuse(int error)
{
    errno = error;
    return -1;
}

static inline psb_buf psb_buf_of(struct str s)
{
    return (psb_buf){(const uint8_t *)s.p, s.n};
}

/* A descriptor and what it waits for. */
struct psb_watch {
    struct list all; /* psb.watches */
    struct psb *psb;
    int fd;
    int wants;    /* POLLIN, POLLOUT */
    int told;     /* what the attached loop was told */
    void *handle; /* of the attached loop */
    void (*ready)(struct psb_watch *w, int events);
};

struct psb_listener {
    struct psb_watch watch;
    struct list all;
    char *path; /* unlinked at the end, or NULL */
    uint64_t inode, device;
    uint64_t paused_until_ms; /* 0: not */
};

/* A gateway that we dial, for ever. */
struct psb_connector {
    struct list all;
    char *path;
    struct psb_link *link; /* NULL: not connected */
    uint64_t retry_ms;
    unsigned pause_ms;
};

struct psb_app_entry {
    psb_app app; /* texts are ours */
    psb_handlers h;
    struct buf tlvs; /* of REGISTER */
    bool withdrawn;
    char **protocols;
    size_t protocols_n;
};

struct psb_link {
    struct psb_watch watch;
    struct list all;
    struct psb *psb;
    struct sluice_reader reader;
    struct buf left; /* a partial frame */
    struct buf out;
    size_t out_at; /* written so far */
    bool ready;    /* HELLO has come: frames may be sent */
    bool dead;
    int why; /* PSB_CAUSE_* for its clients when dead */
    uint16_t process;
    uint32_t peer_max_frame;
    int64_t credit;     /* to the gateway; may be below 0 */
    uint64_t unread;    /* payload the gateway sent and has no credit for */
    uint64_t owed;      /* part of it that may be returned */
    struct list owing;  /* clients we return credit to, within PSB_ACK_MS */
    struct list urgent; /* now */
    uint64_t owing_since_ms;
    struct list blocked; /* clients without credit */
    struct list leaving; /* clients that are to be DETACHED */
    struct list clients;
    size_t clients_n;
    psb_client_t **slots;
    size_t slots_n;
    uint16_t app_ids[PSB_APPS_MAX]; /* 0: refused, or no answer yet */
    size_t registered_n;            /* answers so far */
    struct buf streams;             /* ids of those under way */
    struct buf asked;               /* u16 each: reports that wait for it */
    struct buf stats;               /* of these: scope, token, 0, client */
};

struct psb_client {
    struct psb_link *link;
    struct list all;     /* link.clients */
    struct list owing;   /* link.owing or .urgent */
    struct list blocked; /* link.blocked */
    struct list leaving; /* link.leaving */
    uint64_t cid;
    struct psb_app_entry *app;
    void *data;
    uint8_t state;      /* PSB_CONNECTING... */
    bool answered;      /* ACCEPT or REJECT is sent */
    bool opened;        /* OPENED has come */
    uint8_t told_state; /* to on_state */
    bool gone;          /* its last callback has come */
    bool http;          /* a request, not a WebSocket; answered: its head is
                           sent */
    bool tunnel;        /* psb_accept_tunnel() */
    bool already_open;  /* before OPEN */
    bool body_coming;   /* of the request */
    bool replay;        /* the message under way has come before */
    bool detaching;     /* DETACH has come */
    bool left;          /* DETACHED is sent */
    uint8_t in_opcode;  /* message under way from the client, 0: none */
    uint8_t out_opcode; /* and to it */
    bool out_raw;       /* which comes by psb_raw() */
    bool out_begun;     /* its first piece has been sent or kept */
    bool out_plain;     /* NOCOMPRESS, for the next frame */
    bool too_big;       /* what is left of the message is dropped */
    int64_t credit;     /* to the client; may be below 0 */
    uint32_t unacked;   /* bytes sent that the gateway has not returned */
    uint32_t window_in;
    uint32_t unread; /* bytes received and not returned */
    uint32_t owed;
    uint32_t seq_in, seq_out, seq_flushed;
    uint32_t seq_done;  /* of seq_in: the application is done with */
    struct buf waiting; /* sizes of those that psb_ack() is to come for */
    uint32_t max_message;
    uint64_t bytes_received;
    struct buf joins;    /* CHANNEL TLVs for ACCEPT */
    struct buf trailers; /* HEADER TLVs behind the request's body */
    struct buf partial;  /* a message that comes in pieces */
    struct buf queue;    /* frames that wait for credit */
    size_t queue_at;
    size_t queue_payload;
    struct str tlvs; /* of OPEN, behind the struct */
};

struct psb {
    char *name;
    struct err err;
    uint64_t boot_id;
    struct buf resume_of; /* TLVs */
    int debug;
    struct psb_app_entry *apps[PSB_APPS_MAX];
    size_t apps_n;
    struct list watches, listeners, links, connectors, streams;
    uint64_t last_stream;
    uint64_t raw_streams[PSB_APPS_MAX + 1]; /* of psb_broadcast_raw() */
    struct list reports;
    size_t reports_n;
    uint16_t last_token;
    struct buf claims;     /* KEY TLVs */
    bool slow;             /* somebody waits for on_drain */
    struct psb_watch wake; /* psb_stop() */
    uint8_t *read_buffer;
    uint64_t now_ms;
    int busy; /* callbacks may be on the stack */
    volatile int stop_grace_ms;
    volatile int stop_asked;
    bool stopping, stopped;
    uint64_t stop_at_ms;
    const psb_loop_ops *ops;
    void *loop;
    void *timer;
    uint64_t timer_at_ms;
};

/* setup.c */
/* UNREGISTER it there, if it has an id. */
void psb_link_withdraw(struct psb_link *l, size_t app);
int psb_fail(psb_t *b, int error, const char *what);
void psb_watch_open(struct psb_watch *w, psb_t *b, int fd, int wants,
                    void (*ready)(struct psb_watch *, int));
void psb_watch_close(struct psb_watch *w);
void psb_listener_close(struct psb_listener *l);

/* link.c */
struct psb_link *psb_link_open(psb_t *b, int fd);
void psb_link_destroy(struct psb_link *l); /* its clients are gone */
void psb_link_lose(struct psb_link *l, int why);
void psb_link_flush(struct psb_link *l);
void psb_link_dirty(struct psb_link *l); /* output was appended */
void psb_link_put_acks(struct psb_link *l);
static inline size_t psb_link_pending(const struct psb_link *l)
{
    return l->out.n - l->out_at;
}

/* connect.c */
void psb_dial_due(psb_t *b);
/* 0: none is due. */
uint64_t psb_dial_next(const psb_t *b);
void psb_dial_lost(struct psb_link *l);
void psb_dial_fini(psb_t *b);

/* dispatch.c */
int psb_dispatch(struct psb_link *l, const struct sluice_frame *f);

/* events.c */
/* SETLOG, as psb_set_debug() said. */
void psb_link_set_log(struct psb_link *l);
/* LOG of the gateway. */
int psb_on_log(struct psb_link *l, const struct sluice_frame *f);

/* client.c */
psb_client_t *psb_client_at(struct psb_link *l, uint64_t cid);
psb_client_t *psb_client_create(struct psb_link *l, const struct sluice_open *o,
                                struct psb_app_entry *app);
void psb_client_finish(psb_client_t *c, int code, struct str reason, int cause);

/* on_state, when it has changed. */
void psb_client_tell_state(psb_client_t *c);
psb_info psb_client_info(const psb_client_t *c, const struct sluice_open *o);
/* Return credit for n bytes, at the end of the turn or a little later. */
void psb_client_owe(psb_client_t *c, size_t n);

/* resume.c */
/* A piece of n bytes was given to the application. */
void psb_client_took(psb_client_t *c, size_t n, bool last);
/* Its on_close was called. */
void psb_client_ack_end(psb_client_t *c);
int psb_client_resume(struct psb_link *l, const struct sluice_open *o,
                      struct psb_app_entry *app);
int psb_client_detach(psb_client_t *c);
/* It was busy, and may be so no more. */
void psb_client_may_leave(psb_client_t *c);
/* DETACHED, for those who are ready; at the turn's end. */
void psb_link_let_go(struct psb_link *l);

/* http.c */
int psb_http_begin(struct psb_link *l, const struct sluice_open *o,
                   struct psb_app_entry *app);
/* A frame about it: 0, or a negated code. */
int psb_http_dispatch(psb_client_t *c, const struct sluice_frame *f);

/* tunnel.c */
/* A frame about it, but CLOSED: 0, or a negated code. */
int psb_tunnel_dispatch(psb_client_t *c, const struct sluice_frame *f);
/* group.c */
void psb_put_channel(struct psb_link *l, psb_cid cid, enum sluice_type type,
                     struct str name);

/* events.c */
int psb_on_conn(struct psb_link *l, const struct sluice_frame *f);
int psb_on_client_error(struct psb_link *l, const struct sluice_frame *f);
int psb_on_goaway(struct psb_link *l, const struct sluice_frame *f);

/* reports.c: what a gateway answers, and what it can not any more. */
int psb_on_delivered(struct psb_link *l, const struct sluice_frame *f);
int psb_on_presence(struct psb_link *l, const struct sluice_frame *f);
int psb_on_stats(struct psb_link *l, const struct sluice_frame *f);
void psb_on_stats_error(struct psb_link *l, psb_cid cid);
void psb_reports_lose(struct psb_link *l);
bool psb_reports_due(const psb_t *b);
void psb_reports_run(psb_t *b);

/* claim.c */
void psb_link_put_claims(struct psb_link *l);

/* bstream.c */
void psb_bstreams_fini(psb_t *b);

/* send.c */
bool psb_close_is_legal(int code, struct str reason);
/* HEADER TLVs; false when one may not be sent. */
bool psb_put_headers(struct buf *out, const char *const *headers);
/* HTTP_BODY, as psb_send(). */
int psb_send_body(psb_client_t *c, const void *p, size_t n, bool last);
/* Behind what waits. */
struct sluice_http_trailers;
int psb_send_trailers(psb_client_t *c, const struct sluice_http_trailers *t);
void psb_client_credit(psb_client_t *c); /* it may have some again */
void psb_link_credit(struct psb_link *l);

/* turn.c */
uint64_t psb_now(void);
void psb_turn_end(psb_t *b);
void psb_sync(psb_t *b); /* tell the attached loop what changed */

#endif

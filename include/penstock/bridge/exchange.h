/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/exchange.h - one HTTP request that a backend answers (backend_pass,
 * SLUICE section 12).
 *
 * exchange.c is its life and the choice of a backend, exchange_in.c the
 * request on its way to it, exchange_out.c the response.  It lives in its
 * request's arena and is bound to a link until it is over.
 */
#ifndef PENSTOCK_BRIDGE_EXCHANGE_H
#define PENSTOCK_BRIDGE_EXCHANGE_H

#include "bridge/link.h"
#include "serve/request.h"
#include "sluice/http.h"

enum exchange_state {
    EXCHANGE_WAITING = 0, /* for HTTP_RES */
    EXCHANGE_RESPONDING,  /* its body is coming */
    EXCHANGE_ANSWERED,    /* all of it was given to the request */
    EXCHANGE_OVER,        /* nothing is bound any more */
};

struct exchange {
    struct link_client; /* its place on a link */
    struct request *request;
    const struct backend_pass_conf *conf;
    struct str backend_path; /* of the last backend that got it, for logs */
    struct timer timer;      /* backend_read_timeout */
    struct buf pending; /* of the request body: there is no credit for it */
    uint64_t left;      /* of a response of known length */
    enum exchange_state state;
    bool length_known;
    bool body_ended; /* the request's: all of it is here */
    bool body_sent;  /* and with the backend */
    bool begun;      /* some of it left: no other backend can have it */
    bool held;       /* PAUSE of the backend */
    bool knows_mask; /* SET_OPTS: wants_done instead of the app's */
    bool wants_done;
    bool offered_again; /* after the first backend was lost */
    bool upgrade;       /* it wants another protocol: it may get a tunnel */
};

/* What answers in a location with backend_pass. */
struct backend_pass_conf {
    const struct pool_conf *pool;
    struct str app;        /* app=; p NULL: by pattern */
    struct regex *pattern; /* of a ~ location, for CAPTURE; else NULL */
    uint64_t read_timeout_ms;
};
extern struct conf_module backend_pass_module;
extern const struct handler backend_handler;

static inline struct link_client *exchange_client(struct exchange *x)
{
    return (struct link_client *)x;
}

/* ---- exchange.c ---- */

/* The request ends with this status (or its connection does, when the head is
 * out), and the backend is told with HTTP_RESET. */
void exchange_fail(struct exchange *x, unsigned status, enum sluice_error code,
                   const char *why);
/* HTTP_RESET of the backend: the request ends with 502, or is cut. */
void exchange_given_up(struct exchange *x);
/* TERMINATE: the client's connection is reset. */
void exchange_terminate(struct exchange *x);
/* A session has its place on the link: nothing of it is to be done any more. */
void exchange_let_go(struct exchange *x);
/* Its link is gone. */
void exchange_lost(struct exchange *x);
/* EV_HTTP_DONE. */
bool exchange_wants_done(const struct exchange *x);
/* Wait for the backend from now on, or not at all. */
void exchange_await(struct exchange *x);

/* ---- exchange_in.c ---- */

/* HTTP_REQ.  False when the backend takes no frame of that size. */
bool exchange_send_request(struct exchange *x);
void exchange_on_body(struct request *r, const uint8_t *p, size_t n, bool last);
/* Its body is welcome: who waits for a 100 gets it. */
void exchange_acked(struct exchange *x);
/* Credit came, or UNPAUSE. */
void exchange_wake(struct exchange *x);

/* ---- exchange_out.c ---- */

/* A frame of the backend.  0, or a negated client-fatal code. */
int exchange_take(struct exchange *x, const struct sluice_frame *f);
void exchange_on_drain(struct request *r);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/client.h - one accepted HTTP/1.x connection.
 *
 * Reads heads and bodies, one request at a time, keeps the connection alive
 * between them, and closes it in good order.  While idle it holds a stream, a
 * reader and no configuration: a reload does not touch it.
 */
#ifndef PENSTOCK_SERVE_CLIENT_H
#define PENSTOCK_SERVE_CLIENT_H

#include "serve/listeners.h"
#include "serve/request.h"

struct core_conf;
struct greeting;
struct http_reader;

enum client_state {
    CLIENT_IDLE = 1,  /* between requests (or before the first) */
    CLIENT_HEAD,      /* part of a head is here */
    CLIENT_REQUEST,   /* one is under way */
    CLIENT_FLUSHING,  /* the last response is leaving, then it closes */
    CLIENT_LINGERING, /* all is sent; what the peer still sends is dropped */
    CLIENT_TAKEN,     /* the stream has another owner; the request is alive */
    CLIENT_DEAD,
};

struct client {
    struct list link; /* in listeners.clients */
    struct listeners *listeners;
    struct listener_slot *slot;
    struct stream *stream;
    struct tls *tls; /* NULL: it came through a plain listen */
    struct http_reader *reader;
    struct generation *generation; /* while a head is being read, and while
                                      the last response is leaving */
    const struct core_conf *closing_conf; /* of that generation */
    struct request *request;
    struct address remote;
    struct address local;      /* looked up when first asked for */
    struct greeting *greeting; /* PROXY protocol; NULL: none is expected */
    uint64_t number;           /* for logs */
    uint64_t started_ms;
    uint64_t head_started_us;
    uint64_t linger_until_ms;
    uint64_t idle_until_ms; /* keepalive_min_timeout: not closed before */
    uint64_t requests;
    struct timer timer;
    struct loop_task grave;
    enum client_state state;
    enum client_wait { /* what the timer waits for */
                       WAIT_NOTHING = 0,
                       WAIT_REQUEST, /* the next request on an idle connection
                                      */
                       WAIT_HEAD,
                       WAIT_BODY,
                       WAIT_SEND,
                       WAIT_LINGER,
    } wait;
    uint8_t counted; /* serve/stats.h's: as what */
    bool eof;        /* the peer will send no more */
    bool feeding;    /* on_data is on the stack */
    bool left_over;  /* input was there when the last request was done */
    bool pipelined;  /* so the head being read was there before */
    bool debug;      /* debug_connection */
    bool timed_out;  /* so that it is not lingered for */
    bool unread;     /* of the last request there is more to come */
};

/* Called by listeners for each accepted socket. */
void client_accept(struct listeners *ls, struct listener_slot *slot, int fd,
                   const struct address *remote);

/* Close it if it is between requests: at quit, and when its address is no
 * longer listened on. */
void client_close_if_idle(struct client *c);
/* At once, with whatever is under way. */
void client_abort(struct client *c);
/* The same with RST: nothing that waits for it is sent. */
void client_reset(struct client *c);

/* The request's side: see request.h. */
void client_request_done(struct client *c);
void client_wait_for(struct client *c, enum client_wait wait, uint64_t ms);
void client_wait_for_body(struct client *c);
void client_sent(struct client *c); /* something was given to the stream */

#endif

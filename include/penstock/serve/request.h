/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/request.h - one HTTP exchange, whatever version carried it.
 *
 * Steps: read the head -> choose server and location -> (rewrite, access) ->
 * handler -> response -> log.  The request owns an arena in which everything
 * about it lives; it belongs to its client and dies after the response is
 * out and logged, at the end of a loop turn, never under a callback.
 *
 * A handler answers with a verdict.  What it sends goes through the request_*
 * calls, which frame it for the version at hand and run the header filters.
 */
#ifndef PENSTOCK_SERVE_REQUEST_H
#define PENSTOCK_SERVE_REQUEST_H

#include <sys/uio.h>

#include "http/head.h"
#include "io/stream.h"
#include "io/timer.h"
#include "serve/generation.h"

struct client;
struct filters;
struct jwt;
struct limit_hold;
struct request;
struct request_body;
struct slice;
struct ssi_page;
struct subrequest;

/* What a handler says; an HTTP status (300..599) asks for that response with
 * its standard (or error_page's) body. */
enum verdict {
    VERDICT_DONE = 0,     /* the response is complete */
    VERDICT_PENDING = -1, /* it will be completed later */
    VERDICT_DECLINED = -2 /* not mine: try the next step */
};

/*
 * What answers requests in a location.  Only start is required.
 *
 * start     the head is there, the body may still be coming
 * on_body   the next piece of the request body, in order; when the handler can
 *           not take more it calls request_pause_body(), and may still be
 *           given what is at hand.  n 0 with last true is the end
 * on_drain  everything sent so far has left; after request_body() said "full"
 * on_eof    the client sent FIN after its request: it may still read, but most
 *           do not.  NULL: go on
 * on_abort  the client is gone or the request timed out: let go of
 *           everything, send nothing.  Not called after the response is done
 * on_done   the request ends, however: last call; handler_state may be freed
 */
struct handler {
    const char *name;
    int (*start)(struct request *r);
    void (*on_body)(struct request *r, const uint8_t *p, size_t n, bool last);
    void (*on_drain)(struct request *r);
    void (*on_eof)(struct request *r);
    void (*on_abort)(struct request *r);
    void (*on_done)(struct request *r);
};

enum {
    REQUEST_URI_CHANGES_MAX = 10 /* internal redirects, as nginx */
};

struct response_field {
    struct str name, value;
};

struct response {
    unsigned status;
    struct response_field *fields; /* in order; Date, Server, Connection and
                                      framing are added when it is sent */
    size_t fields_n, fields_capacity;
    struct str content_type;   /* p NULL: none */
    int64_t content_length;    /* -1: not known */
    time_t last_modified;      /* -1: none */
    struct str etag, location; /* p NULL: none */
    struct str server, date;   /* p set: passed from an upstream instead of
                                  ours */
    bool header_only;          /* HEAD, 204, 304: no body is framed */
    bool head_filtered; /* the head filters ran, and chose body filters */
    bool head_sent;
    bool chunked;
    bool ended;              /* the handler gave all of it */
    bool finished;           /* and all of it was given to the wire */
    bool allow_ranges;       /* parts of this body may be asked for */
    bool single_range;       /* but one at a time only */
    uint64_t content_offset; /* of the body's first byte in the whole */
    bool vary;               /* the body depends on Accept-Encoding */
    bool expect_trailers;    /* fields may follow a chunked body */
    struct response_field *trailers;
    size_t trailers_n, trailers_capacity;
    bool passed; /* an upstream's: leave its fields alone */
};

struct request {
    struct client *client;
    struct request *main;          /* what the client sent; itself, but for
                                      subrequests */
    struct subrequest *subrequest; /* NULL: it is what the client sent */
    struct list subrequests;       /* its own that are under way */
    unsigned subrequests_made;     /* of the main one: how many so far */
    struct generation *generation; /* a reference */
    struct arena *arena;
    struct log_ctx log;
    struct evaluation eval; /* slots, captures */

    struct http_head head;
    struct str raw;      /* the request line as sent, for $request */
    struct str uri;      /* decoded, normalised path; may be rewritten */
    struct str args;     /* after the ?, without it; p NULL: none */
    struct str host;     /* lower-case, no port, no trailing dot; or "" */
    bool uri_is_as_sent; /* uri is what the target says, no rewrite's:
                            upstreams get the target unchanged */
    bool internal;       /* by an internal redirect: `internal` allows */

    const struct address *remote; /* real_ip: who asks, of the main one; NULL:
                                     the client's */
    struct listen *listen;        /* it came through, in its generation */
    struct server *server;
    struct location *location;
    unsigned step;        /* which of the steps before the handler it is at */
    uint8_t access_next;  /* the next check of who asks */
    struct jwt *jwt;      /* auth_jwt: that was good; NULL: none */
    uint16_t access_code; /* satisfy any: what refused so far; 0: nothing */
    const struct handler *handler; /* that was started */
    void *handler_state;
    unsigned uri_changes_left;

    struct response response;
    const struct wire *wire; /* how this version frames a response */
    struct filters *filters; /* of the body; NULL: none */
    struct ssi_page *ssi;    /* of the main one: what its SSI have set */
    struct slice *slice;     /* which part of it is asked for; NULL: none */
    struct file_send *file;  /* what request_send_file() has still to send */
    uint64_t started_us;     /* monotonic, first byte of the request */
    uint64_t request_length; /* bytes: line, fields and body */
    uint64_t body_received;
    uint64_t bytes_sent; /* to the client, head and body */
    uint64_t body_sent;
    struct http_field *trailers; /* behind a chunked body, before its end */
    size_t trailers_n;
    size_t raw_left;    /* request_expect_raw() */
    bool raw_ends;      /* its last byte is the end that was said before */
    bool body_complete; /* no more of the request body will come */
    bool body_ended;    /* and the reader has said so */
    bool body_paused;
    bool body_held;            /* paused until the handler is there */
    unsigned body_holders;     /* subrequests that cannot take more of it */
    bool body_discarded;       /* nobody wants it: read and drop */
    bool body_streamed;        /* a handler had some of it, and it is gone */
    struct request_body *body; /* what was read before it was used, or NULL */
    bool keep_alive;
    bool well_framed; /* a 400 is no reason to close the connection */
    bool pipelined;   /* began to arrive before the one before was answered */
    bool continue_sent;
    bool error_page_used;  /* an error page is being made */
    bool uri_changed;      /* by a rewrite: choose a location again */
    bool uri_rewritten;    /* since the location was chosen by it */
    bool truncated;        /* the response could not be completed */
    unsigned error_status; /* what an error page is sent with; 0: its own */
    bool finishing;        /* the verdict is DONE; output may be leaving */
    bool blocked;          /* request_send_body() said full */
    size_t output_max;     /* queued bytes above which it does */
    bool unbuffered;       /* what the handler sends is to arrive at once */
    bool taken;            /* the stream has another owner */
    bool log_kept;         /* access_log_keep() has its lines */
    bool aborted, done;

    /* Filled by who proxies, for $upstream_* and log lines. */
    struct upstream_trace *upstream; /* NULL when nobody did */
    struct str limit_rate;    /* an upstream\'s, or "off"; p NULL: ours holds */
    struct str cache_key;     /* of a subrequest that renews what is cached */
    struct str upstream_peer; /* "127.0.0.1:80", or empty */
    struct str upstream_uri;
    bool upstream_tls;             /* it is spoken to by https */
    uint8_t limit_conn, limit_req; /* enum limit_outcome */
    struct limit_hold *limit_holds;
    void *userid; /* the userid filter's */
    struct loop_task grave;
};

/* How one version puts a response on its stream. */
struct wire {
    /* Send the head, when it was not sent, and these bytes; last ends it.
     * Returns how many bytes wait to leave. */
    size_t (*send)(struct request *r, const struct iovec *iov, int n,
                   bool last);
    void (*interim)(struct request *r, unsigned status,
                    const struct http_field *fields, size_t n);
};

/* ---- what handlers call ---- */

/* The settings of module at the request's location. */
#define request_conf(r, module) conf_get((r)->location->scope, (module))

/* Add a response field; the bytes are borrowed (arena, or constant). */
void response_add(struct request *r, struct str name, struct str value);
/* A field behind the body; r->response.expect_trailers must have been set
 * before the head was sent. */
void response_add_trailer(struct request *r, struct str name, struct str value);
/* Last-Modified, ours or an upstream's; -1: none. */
time_t response_modified(const struct request *r);
/* Remove all fields of that name; returns how many there were. */
size_t response_remove(struct request *r, struct str name);
/* Forget everything but status 0: another response is made instead. */
void response_reset(struct request *r);
struct str response_find(const struct request *r, struct str name);

/* Send the head from r->response.  Without content_length the body is
 * chunked, or ends with the connection (HTTP/1.0). */
void request_send_head(struct request *r);

/* Send body bytes (the head first, in the same call, when it was not sent; at
 * most 16 pieces).  last ends the response: the handler then returns
 * VERDICT_DONE, or calls request_finish(r, VERDICT_DONE) when it was pending.
 * Returns false when the client's queue is full: wait for on_drain before
 * sending more (what was given is kept either way). */
bool request_send_body(struct request *r, const struct iovec *iov, int n,
                       bool last);

/* The body is n bytes of fd from offset; ends the response.  The request owns
 * fd from here and sends as the client reads; the verdict is VERDICT_DONE. */
void request_send_file(struct request *r, int fd, off_t offset, uint64_t n);

/* What we call ourselves (server_tokens); empty: nothing. */
struct str response_server(struct request *r);

/* Complete response with this body. */
int request_respond(struct request *r, unsigned status, struct str type,
                    struct str body);

/* A step before the handler that said VERDICT_PENDING has come to this
 * verdict: VERDICT_DECLINED goes on with the next one. */
void request_go_on(struct request *r, int verdict);

/* For such a step: returns VERDICT_PENDING, and after this time the verdict is
 * that one. */
int request_wait(struct request *r, uint64_t ms, int verdict);

/* A pending request ends with a verdict after all: an HTTP status gives that
 * response (or aborts the connection when the head is out already). */
void request_finish(struct request *r, int verdict);

/* Reset the client's connection, whatever of the response is out: 444 in the
 * log when that is nothing.  Not while the handler starts. */
void request_reset(struct request *r);

/* Start again with another URI (after rewrite or error_page), or at a named
 * location.  Returns what the new run's verdict is. */
int request_redirect_internally(struct request *r, struct str uri,
                                struct str args);
int request_named_location(struct request *r, struct str name);

/*
 * n bytes follow the head although no field says so (an old WebSocket
 * handshake): they come as a body does, and are nothing of the next request.
 * Called by a handler's start, or where that is chosen, for a request without
 * a body.
 */
void request_expect_raw(struct request *r, size_t n);

/* Is some of what was sent still here?  (on_drain, when r->blocked is set: it
 * has left.)  Never of a subrequest. */
bool request_is_leaving(const struct request *r);

/* Stop and go on reading the request body. */
void request_pause_body(struct request *r);
void request_resume_body(struct request *r);

/* Send "HTTP/1.1 100 Continue" when the client waits for it and nothing was
 * sent; other 1xx are passed with their fields. */
void request_send_continue(struct request *r);
void request_send_interim(struct request *r, unsigned status,
                          const struct http_field *fields, size_t n);

/*
 * Take the connection: only for HTTP/1.1, when the request body is complete
 * and no response was sent.  The caller owns the stream from here, and hands
 * it over with stream_hand_over(); left-over input stays in it.  The request
 * goes on to exist for logs and variables until its taker calls
 * request_end_taken(), with the bytes it sent to the client.
 */
struct stream *request_take_stream(struct request *r);
void request_end_taken(struct request *r, unsigned status, uint64_t sent);

/* A connection number for logs and $connection, unique in the process. */
uint64_t request_connection(const struct request *r);
struct loop *request_loop(const struct request *r);
const struct address *request_remote(const struct request *r);
const struct address *request_local(const struct request *r);
bool request_is_tls(const struct request *r);

/* Set the phrase behind "while" in log lines. */
static inline void request_doing(struct request *r, const char *doing)
{
    r->log.doing = doing;
}

#endif

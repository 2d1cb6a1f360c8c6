/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/proxy.h - proxy_pass: requests that an HTTP server answers.
 *
 * A request body is read before anybody is asked, or streamed
 * (proxy_request_buffering off) and then as much of it kept for another try as
 * client_body_buffer_size allows.  Of a response at most proxy_buffers wait in
 * memory for a slow client, then a file takes it (proxy_buffering on) or the
 * peer waits.  Split
 * by direction: proxy_request.c speaks to the peer, proxy_response.c listens to
 * it, proxy.c chooses and retries.
 */
#ifndef PENSTOCK_SERVE_PROXY_H
#define PENSTOCK_SERVE_PROXY_H

#include "io/resolver.h"
#include "serve/request.h"
#include "serve/upstream.h"

enum next_upstream {
    NEXT_ERROR = 1 << 0,
    NEXT_TIMEOUT = 1 << 1,
    NEXT_INVALID_HEADER = 1 << 2,
    NEXT_500 = 1 << 3,
    NEXT_502 = 1 << 4,
    NEXT_503 = 1 << 5,
    NEXT_504 = 1 << 6,
    NEXT_403 = 1 << 7,
    NEXT_404 = 1 << 8,
    NEXT_429 = 1 << 9,
    NEXT_NON_IDEMPOTENT = 1 << 10,
    NEXT_OFF = 1 << 11,
};

/* proxy_ignore_headers: fields of a response that are not acted on. */
enum proxy_ignore {
    IGNORE_ACCEL_REDIRECT = 1 << 0,
    IGNORE_ACCEL_EXPIRES = 1 << 1,
    IGNORE_ACCEL_LIMIT_RATE = 1 << 2,
    IGNORE_ACCEL_BUFFERING = 1 << 3,
    IGNORE_ACCEL_CHARSET = 1 << 4,
    IGNORE_EXPIRES = 1 << 5,
    IGNORE_CACHE_CONTROL = 1 << 6,
    IGNORE_SET_COOKIE = 1 << 7,
    IGNORE_VARY = 1 << 8,
};

/* proxy_set_header NAME VALUE; */
struct proxy_field {
    struct str name;
    struct value *value;
};

struct proxy_conf {
    const struct conf_scope *owner; /* proxy_pass is not inherited */
    struct value *url; /* with variables; NULL: the rest is fixed */
    struct upstream *upstream;
    bool tls;            /* https: the URL is fixed and says so */
    struct str uri;      /* URI part of proxy_pass; p NULL: none */
    struct str host;     /* $proxy_host */
    uint16_t port;       /* $proxy_port */
    struct str url_text; /* as written, for logs */

    struct conf_list set_fields; /* struct proxy_field, as written */
    struct proxy_field *fields;  /* those and nginx's defaults */
    size_t fields_n;
    struct conf_list hide, pass; /* struct str */
    unsigned http_version;       /* 10 or 11 */
    bool pass_request_headers;
    bool pass_request_body;
    struct value *method, *set_body; /* NULL: the client's */
    uint64_t connect_timeout_ms, send_timeout_ms, read_timeout_ms;
    bool buffering;
    uint64_t buffer_size; /* bytes: the largest response head */
    uint64_t buffers, buffers_size;
    uint64_t busy_size;       /* what of a file is on its way to the client */
    uint64_t max_temp_size;   /* 0: responses do not go to files */
    uint64_t temp_write_size; /* bytes of one write */
    bool busy_said;
    struct value *limit_rate; /* bytes a second; NULL: no limit */
    struct http_limits limits;
    bool request_buffering;
    bool ignore_client_abort;
    bool intercept_errors;
    bool force_ranges;
    unsigned next_upstream; /* enum next_upstream, or'ed */
    uint64_t next_tries, next_timeout_ms;
    unsigned ignore_headers; /* enum proxy_ignore, or'ed */
    bool pass_trailers;
    struct conf_list early_hints; /* struct value */
    bool websocket;               /* proxy_websocket on */
    unsigned upgrade;             /* 0: websocket only, 1: any */
};

extern struct conf_module proxy_module;
/* After it in the list: */
extern struct conf_module proxy_cache_module, proxy_rewrite_module,
    proxy_socket_module, proxy_store_module, proxy_ssl_module;
extern const struct handler proxy_handler;

/* $proxy_host, $proxy_port, $proxy_add_x_forwarded_for is not among them,
 * $upstream_*; ends with name NULL. */
extern const struct variable proxy_variables[];

enum proxy_state {
    PROXY_NEW = 1, /* nothing is under way */
    PROXY_READING, /* the request body, before anybody is asked */
    PROXY_CONNECTING,
    PROXY_SENDING,   /* the request is going out; no response head yet */
    PROXY_RECEIVING, /* the response head was taken */
    PROXY_SPOOLED,   /* all is here, in a file, and the client has a part */
    PROXY_TUNNEL,    /* 101: bytes both ways */
    PROXY_OVER,
};

/* What was tried, for $upstream_addr and its like. */
struct upstream_try {
    struct str address;
    unsigned status; /* what came, or why nothing did; 0: not known yet */
    uint64_t started_us, connected_us, head_us, ended_us; /* 0: never */
    uint64_t received, sent, body;                        /* bytes */
    bool redirected; /* an internal redirect lies before it */
};

enum { UPSTREAM_TRIES_MAX = 16 };

/* All that a request's upstreams did, over internal redirects. */
struct upstream_trace {
    struct upstream_try tries[UPSTREAM_TRIES_MAX];
    size_t n;
    bool redirected;       /* since the last try */
    struct http_head head; /* of the last response */
    struct http_field *trailers;
    size_t trailers_n;
    struct str host; /* $proxy_host */
    uint16_t port;
    const char *sticky;      /* $upstream_sticky_status; NULL: "" */
    struct str last_server;  /* $upstream_last_server_name */
    struct str cache_status; /* HIT, MISS, ...; p NULL: no cache was asked */
    struct str cache_modified, cache_etag; /* of what is being renewed */
};

/* How one wants to be dialled; context NULL: without TLS. */
struct proxy_ssl {
    struct tls_context *context;
    struct str name;
    bool send_name, remember;
    struct tls_credential *credential; /* to show; NULL: the context's */
    struct str label; /* what a connection is kept for: name, certificate */
};

struct proxy;

/*
 * The file of a response: what the client had no room for, or all of it
 * (proxy_store).  Bytes are written at write_at and those before read_at went
 * to the client.
 */
struct spool {
    int fd; /* -1: none yet */
    struct str name;
    uint64_t read_at, write_at;
    bool whole;   /* every byte is written */
    bool waiting; /* the client has no room */
    bool ended;   /* nothing more will come, and when the client has all: */
    int verdict;
    void (*commit)(struct proxy *p); /* the response is complete; or NULL */
    struct loop_task more;
};

/* One request's dealings with its upstream; lives in the request's arena. */
struct proxy {
    struct request *request;
    const struct proxy_conf *conf;
    struct upstream *upstream;
    struct upstream_conn *conn;
    enum proxy_state state;
    struct proxy_ssl ssl;
    struct resolver_wait resolving;
    struct str host; /* that is being resolved, and its port */
    uint16_t port;
    struct balance_ask ask;
    bool sticky_asked;
    struct str sticky_id; /* the peer that the request says it belongs to */
    uint64_t picked_ms;   /* when the peer of this try was chosen */
    struct connect_options dial;
    unsigned tries_left;
    uint64_t started_ms;
    struct upstream_trace *trace; /* the request's */
    uint64_t sent_before;         /* bytes on conn when it was taken */

    struct str head;    /* the request head that goes out */
    bool streams;       /* its body is passed as it comes */
    bool sends_stored;  /* its body is the request's, which was read before */
    off_t file_at;      /* of it, when it is in a file: what was sent */
    struct buf body;    /* else: what may have to be sent again */
    size_t body_most;   /* client_body_buffer_size */
    bool body_chunked;  /* how the request body is framed */
    bool body_lost;     /* more than the buffer was sent: no retry */
    bool body_ended;    /* the client's body is complete */
    bool upgrade_asked; /* Upgrade went out */
    bool request_sent;  /* something left for the peer */
    bool response_ended;
    bool sends_head; /* the method that goes out */
    bool buffering;
    bool rate_wait; /* paused by proxy_limit_rate */
    uint64_t rate;  /* bytes a second; 0: no limit */
    uint64_t rate_used, head_ms;
    struct spool spool;
    struct proxy_cache *cache; /* NULL: none has to do with it */
    bool keep;                 /* the connection may be kept */
    unsigned protocol; /* the PROXY protocol's version; 0: none is spoken */
    bool renews;       /* a 304 for what is cached; its end is awaited */
    struct http_head response;
    struct stream *client_stream; /* in a tunnel */
    uint64_t tunnel_sent;
    bool tunnel_ending; /* close when what is on its way has left */
};

/* proxy_request.c */
int proxy_make_head(struct proxy *p, struct str uri);
void proxy_send_request(struct proxy *p);
void proxy_send_body(struct proxy *p, const uint8_t *data, size_t n, bool last);

/* proxy_response.c: the peer's bytes. */
void proxy_on_data(void *owner, struct span *in);
void proxy_on_end(void *owner, enum stream_end end, int error);

/* proxy.c: this try failed; another, or the status for the client. */
void proxy_try_failed(struct proxy *p, unsigned why, unsigned status);
void proxy_finish(struct proxy *p, int verdict);
/* The peer has said all it will: the same when the client had it, too. */
void proxy_end_body(struct proxy *p, int verdict);
void proxy_arm(struct proxy *p, uint64_t ms);
/* Give back what is kept for reuse, at the process's end. */
void proxy_fini(void);

/* tunnel.c: a 101 came; both streams are one from here. */
void tunnel_start(struct proxy *p, struct span *rest);
void tunnel_close(struct proxy *p);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * penstock_backend.h - write backends for the Penstock WebSocket gateway.
 *
 * A backend listens on a Unix socket; every gateway process connects to it
 * (a link) and tells about its WebSocket clients.  One thread uses a psb_t;
 * callbacks come from psb_run() or psb_process(), never from inside a send.
 * Everything that is sent during one round of callbacks leaves in one write.
 * Needs nothing but libc.
 */
#ifndef PENSTOCK_BACKEND_H
#define PENSTOCK_BACKEND_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PSB_API __attribute__((visibility("default")))
#else
#define PSB_API
#endif

typedef struct psb psb_t;               /* a backend, any number of links */
typedef struct psb_client psb_client_t; /* valid until on_close returns */
typedef uint64_t psb_cid;
typedef struct {
    const uint8_t *p; /* not NUL-terminated; NULL: there is none */
    size_t n;
} psb_buf;

/* What on_open returns; or an HTTP status (300..599) to refuse with. */
enum {
    PSB_ACCEPT = 1, /* also when psb_accept() was called */
    PSB_LATER = 2,  /* psb_accept() or psb_reject() follows */
    PSB_PASS = 3    /* not mine */
};

/* psb_app.path_kind */
enum { PSB_EXACT = 0, PSB_PREFIX = 1, PSB_SUFFIX = 2, PSB_REGEX = 3 };

/* psb_app.versions: a sum of these.  13 is RFC 6455, the others came before. */
enum {
    PSB_VERSION_13 = 1,
    PSB_VERSION_8 = 2,
    PSB_VERSION_7 = 4,
    PSB_VERSION_76 = 8, /* 76 and 75: no binary messages, no pings */
    PSB_VERSION_75 = 16
};

/* psb_state(), on_state */
enum {
    PSB_STATE_NONE = 0,
    PSB_STATE_OPENING = 1, /* on_open; 2 is nobody's */
    PSB_STATE_HANDSHAKING = 3,
    PSB_STATE_CONNECTED = 4,
    PSB_STATE_CLOSED = 5
};

/* psb_ready_state() */
enum { PSB_CONNECTING = 0, PSB_OPEN = 1, PSB_CLOSING = 2, PSB_CLOSED = 3 };

/* Why a client ended: on_close's cause. */
enum {
    PSB_CAUSE_CLIENT = 0,
    PSB_CAUSE_BACKEND = 1,
    PSB_CAUSE_TERMINATE = 2,
    PSB_CAUSE_EOF = 3,
    PSB_CAUSE_SOCKET_ERROR = 4,
    PSB_CAUSE_IDLE = 5,
    PSB_CAUSE_PING_TIMEOUT = 6,
    PSB_CAUSE_PROTOCOL = 7,
    PSB_CAUSE_TOO_BIG = 8,
    PSB_CAUSE_BAD_UTF8 = 9,
    PSB_CAUSE_SLOW_CLIENT = 10,
    PSB_CAUSE_LINK_LOST = 11, /* the gateway process went away */
    PSB_CAUSE_SHUTDOWN = 12,
    PSB_CAUSE_REJECTED = 13,
    PSB_CAUSE_ACCEPT_TIMEOUT = 14,
    PSB_CAUSE_LIMIT = 15,
    PSB_CAUSE_MOVED = 16, /* another backend has it now */
    PSB_CAUSE_LEFT_EARLY = 17
};

/* psb_goaway() */
enum { PSB_DRAIN = 0, PSB_HANDOVER = 1 };

/* The handshake, as the gateway saw it. */
typedef struct {
    psb_cid cid;
    uint16_t ws_version;   /* 75, 76, 7, 8, 13; 0: an HTTP request */
    uint16_t http_version; /* 10, 11, 20 */
    uint16_t app_id;
    unsigned tls : 1, binary_ok : 1, already_open : 1;
    unsigned by_proxy : 1; /* remote_addr is what a trusted proxy said */
    /* The client had another backend, which is gone (on_resume): one that this
     * one does not replace; a message was lost in part; it has left already,
     * its last messages and on_close follow. */
    unsigned resumed : 1, foreign : 1, truncated : 1, dead : 1;
    psb_buf method, target, path, host, origin, remote_addr, local_addr,
        location, app, route, extension;
    psb_buf protocol;   /* of a resumed client: what was agreed on */
    uint32_t first_seq; /* likewise: number of the next message */
    uint16_t remote_port, local_port;
    uint32_t max_message;
    uint64_t t_us; /* when it was accepted, since 1970 */
} psb_info;

/*
 * All optional.  Pointers are good until the callback returns.
 *
 * on_open      decide: PSB_ACCEPT (also without a handler), PSB_LATER,
 *              PSB_PASS or an HTTP status.  on_close follows, always, also
 *              after a refusal
 * on_opened    the client has its 101
 * on_resume    a client that another backend had: state is what that one left
 *              with psb_set_state(), unacked how many messages follow that it
 *              may have seen.  Without this handler: on_open and on_opened
 * on_detach    another backend gets the client: the last moment for
 *              psb_set_state() and psb_send(); on_close (PSB_CAUSE_MOVED)
 *              follows when nothing is under way any more
 * on_message   a whole message; seq counts them from 1.  replay: an earlier
 *              backend may have seen it
 * on_fragment  instead of on_message: pieces as they come
 * on_ping, on_pong  the gateway has answered pings already
 * on_writable  a send said 1 (or refused), and now there is room again
 * on_flushed   all messages up to seq are in the kernel, on their way
 * on_error     the gateway refused something; on_close follows
 * on_http      an HTTP request (backend_pass); more: its body follows.  Answer
 *              with psb_http_respond(), here or later.  An app without this
 *              handler answers 404
 * on_http_body the next piece of it, until more is 0
 * on_tunnel    bytes of a client that psb_accept_tunnel() took; more is 0 with
 *              the last: it will send nothing else
 * on_log       the gateway tells something of the client, or of the link
 *              (NULL), as psb_set_debug() asked for; level as in syslog.  Each
 *              app with this handler gets it; without any it goes to stderr
 * on_state     one of PSB_STATE_, and the one before: 1, 3 and 4 for a client
 *              that is accepted, 5 after 1 for one that is not, at the end 5
 * on_conn      somebody connected to the gateway (`conn_events on`)
 * on_refused   a handshake was refused before there was a client: the error's
 *              code in the protocol (9 DENIED, 19 HANDSHAKE...) and why
 * on_goaway    that gateway process takes leave, within grace_ms; mode as in
 *              psb_goaway()
 * on_drain     a message to a group said 1, and now no link is slow any more
 * on_close     the last word about the client: its memory goes after this.
 *              Of a request: code 0, and PSB_CAUSE_CLIENT when all of the
 *              response left, PSB_CAUSE_EOF when not
 */
typedef struct {
    int (*on_open)(psb_client_t *, const psb_info *, void *ud);
    void (*on_opened)(psb_client_t *, void *ud);
    void (*on_resume)(psb_client_t *, const psb_info *, psb_buf state,
                      uint32_t unacked, void *ud);
    void (*on_detach)(psb_client_t *, void *ud);
    void (*on_message)(psb_client_t *, int binary, psb_buf, uint32_t seq,
                       int replay, void *ud);
    void (*on_fragment)(psb_client_t *, int opcode, psb_buf, int first,
                        int last, void *ud);
    void (*on_ping)(psb_client_t *, psb_buf, void *ud);
    void (*on_pong)(psb_client_t *, psb_buf, void *ud);
    void (*on_writable)(psb_client_t *, void *ud);
    void (*on_flushed)(psb_client_t *, uint32_t seq, void *ud);
    void (*on_error)(psb_client_t *, int code, const char *text, void *ud);
    void (*on_close)(psb_client_t *, int code, psb_buf reason, int cause,
                     void *ud);
    void (*on_http)(psb_client_t *, const psb_info *, int more, void *ud);
    void (*on_http_body)(psb_client_t *, psb_buf, int more, void *ud);
    void (*on_tunnel)(psb_client_t *, psb_buf, int more, void *ud);
    void (*on_log)(psb_t *, psb_client_t *, int level, psb_buf text, void *ud);
    void (*on_state)(psb_client_t *, int state, int previous, void *ud);
    void (*on_conn)(psb_t *, psb_buf addr, uint16_t port, void *ud);
    void (*on_refused)(psb_t *, int code, psb_buf reason, psb_buf addr,
                       psb_buf target, void *ud);
    void (*on_goaway)(psb_t *, int mode, int grace_ms, void *ud);
    void (*on_drain)(psb_t *, void *ud);
} psb_handlers;

/* What the backend offers.  h must outlive the psb_t; texts are copied. */
typedef struct {
    const char *name; /* must be there */
    const char *host; /* NULL: any */
    const char *path; /* NULL: any */
    int path_kind;
    const char *const *origins;   /* NULL, or exact ones, ended by NULL */
    const char *const *protocols; /* likewise, the best first */
    uint32_t max_clients, idle_timeout_ms; /* 0: the gateway's */
    uint32_t versions;         /* that it takes; 0: all that the gateway does */
    uint32_t stream_threshold; /* bytes of a message from which on_fragment
                                  gets it as it arrives; 0: the gateway's */
    int manual_ack; /* 1: messages are done when psb_ack() says so, not when
                       on_message returns */
    const psb_handlers *h;
    void *ud;
    int nodelay;         /* TCP_NODELAY: 1 on, -1 off, 0 the gateway's */
    uint32_t event_mask; /* of the protocol, besides what the handlers need */
} psb_app;

/* Setup; -1 with errno and psb_error() when it fails.  The name goes
 * into the greeting (HELLO). */
PSB_API psb_t *psb_new(const char *name);
PSB_API void psb_free(psb_t *); /* not from a callback; NULL is fine */
PSB_API const char *psb_error(const psb_t *);

/* The app's number (1, 2...) for psb_broadcast() and psb_foreach(), or -1.
 * Before anything is served. */
PSB_API int psb_app_add(psb_t *, const psb_app *);
/* The app takes no more clients; those that it has stay.  -1: EINVAL. */
PSB_API int psb_app_withdraw(psb_t *, int app);

/* Make a Unix socket, mode 0660; one that is left there is replaced when
 * nobody answers on it, anything else at that path is not touched. */
PSB_API int psb_serve(psb_t *, const char *path);

/* A listening socket that was inherited; -1: all that LISTEN_FDS tells. */
PSB_API int psb_serve_fd(psb_t *, int fd);

/* A link that is connected already, e.g. one end of a socketpair(). */
PSB_API int psb_adopt(psb_t *, int fd);

/* Dial a gateway that listens at this path (Penstock itself dials its
 * backends), and again whenever the link is lost.  -1: the path is too long. */
PSB_API int psb_connect(psb_t *, const char *path);

/* The loop: until psb_stop().  0, or -1 with errno. */
PSB_API int psb_run(psb_t *);

/* Take no new clients, hand the others over to other backends or give them
 * grace_ms to leave, then end.  May be called from a signal handler. */
PSB_API void psb_stop(psb_t *, int grace_ms);
PSB_API int psb_is_stopped(const psb_t *);

/* The same without the end.  PSB_DRAIN: clients stay until they leave or the
 * time is over; PSB_HANDOVER: other backends get them.  0: no limit. */
PSB_API void psb_goaway(psb_t *, int mode, int grace_ms);

/* Your loop, with poll: psb_pollfds() fills up to n and returns how many
 * there are; wait at most psb_timeout_ms() (-1: for ever); psb_process(). */
PSB_API size_t psb_pollfds(psb_t *, struct pollfd *, size_t n);
PSB_API int psb_timeout_ms(psb_t *);
PSB_API int psb_process(psb_t *, const struct pollfd *, size_t n);

/* Or events of a library; ev is POLLIN and POLLOUT.  A timer fires once and
 * lives until untimer().  See penstock_backend_libevent.h. */
typedef struct {
    void *(*add)(void *loop, int fd, int ev,
                 void (*cb)(int fd, int ev, void *arg), void *arg);
    void (*mod)(void *loop, void *handle, int ev);
    void (*del)(void *loop, void *handle);
    void *(*timer)(void *loop, int ms, void (*cb)(void *arg), void *arg);
    void (*untimer)(void *loop, void *timer);
} psb_loop_ops;
PSB_API int psb_attach(psb_t *, const psb_loop_ops *, void *loop);

/* About a client.  Found by name: the first, p NULL when there is none. */
PSB_API psb_buf psb_header(const psb_client_t *, const char *name);
PSB_API int psb_header_next(const psb_client_t *, size_t *it, psb_buf *name,
                            psb_buf *value); /* *it starts at 0; 1 or 0 */
/* Likewise, of fields behind a request's body: when its end has come. */
PSB_API int psb_trailer_next(const psb_client_t *, size_t *it, psb_buf *name,
                             psb_buf *value);
/* Groups of the location's regex ("1", or its name), `backend_param` values,
 * the i-th subprotocol that was offered. */
PSB_API psb_buf psb_capture(const psb_client_t *, const char *name);
PSB_API psb_buf psb_var(const psb_client_t *, const char *name);
PSB_API psb_buf psb_offer(const psb_client_t *, size_t i);
PSB_API psb_cid psb_id(const psb_client_t *);
PSB_API psb_t *psb_backend(const psb_client_t *);
PSB_API void psb_set_data(psb_client_t *, void *);
PSB_API void *psb_data(const psb_client_t *);
PSB_API int psb_ready_state(const psb_client_t *);
PSB_API size_t psb_buffered(const psb_client_t *); /* waits for credit */
PSB_API uint64_t psb_bytes_received(const psb_client_t *); /* on the wire */
PSB_API int psb_state(const psb_client_t *);

/*
 * Answer on_open.  protocol: NULL, or one that was offered; headers: NULL, or
 * name, value, ..., NULL.  -1 with EINVAL for a protocol that was not
 * offered or a header that may not be sent, EALREADY after an answer.
 */
PSB_API int psb_accept(psb_client_t *, const char *protocol,
                       const char *const *headers);
PSB_API int psb_reject(psb_client_t *, int status, const char *const *headers,
                       psb_buf body, const char *debug_reason);

/*
 * Take the connection itself, for backends with `allow_tunnel on`: the answer
 * to on_open, or to on_http when the request has an Upgrade field.  The
 * response's head, 101 or another, is yours to write, like everything that
 * follows; on_tunnel has what the client sends.  Neither messages nor
 * channels can be sent to such a client, and no other backend can have it.
 * -1: EALREADY, EPIPE, ENOTSUP (it is not allowed), EINVAL (no Upgrade field;
 * the body of the request, or `websocket_accept auto`, stands in the way).
 */
PSB_API int psb_accept_tunnel(psb_client_t *);
/* As psb_send().  more 0: nothing follows, while the client may go on.
 * psb_close() ends both directions, behind what was written. */
PSB_API int psb_tunnel_write(psb_client_t *, const void *, size_t, int more);

/*
 * 0; 1: taken, but now wait for on_writable (what is sent before that is
 * kept here and counted by psb_buffered()); -1 with errno: EPIPE (it is
 * closed), ENOTCONN (not accepted yet), ENOBUFS (64 MiB are kept already),
 * EBUSY (a fragmented message is under way), EINVAL.  Text must be UTF-8.
 * binary + PSB_NOCOMPRESS leaves the message as it is where permessage-deflate
 * was agreed on; with opcode of the first piece likewise, and below.
 */
enum { PSB_NOCOMPRESS = 0x100 };
PSB_API int psb_send(psb_client_t *, int binary, const void *, size_t);
PSB_API int psb_sendv(psb_client_t *, int binary, const struct iovec *, int n);
/* opcode 1 text, 2 binary: of the message, in every piece. */
PSB_API int psb_fragment(psb_client_t *, int opcode, const void *, size_t,
                         int last);
/* One WebSocket frame as it is, for backends with `allow_raw on`: head is its
 * first byte, FIN, RSV and opcode (but 8: psb_close()).  A message that began
 * so goes on so.  -1 also with ENOTSUP (it is not allowed), EBUSY (inside a
 * message), EMSGSIZE, EINVAL. */
PSB_API int psb_raw(psb_client_t *, unsigned head, const void *, size_t);
PSB_API int psb_ping(psb_client_t *, const void *, size_t); /* <= 125 */
PSB_API int psb_pong(psb_client_t *, const void *, size_t);
/* code 0: a Close without a code.  After all that was sent. */
PSB_API int psb_close(psb_client_t *, int code, const char *reason);
PSB_API int psb_terminate(psb_client_t *); /* at once, without a Close */
PSB_API int psb_pause(psb_client_t *);     /* read no more from the client */
PSB_API int psb_resume(psb_client_t *);

/*
 * For the backend that has the client after this one: a state that the gateway
 * keeps (the last one counts), and with `delivery at_least_once` how far it
 * got.  ack_seq, when not 0: messages up to it are in the state; both hold
 * together or not at all.  -1: EPIPE, EINVAL (no such message came), ENOTSUP,
 * EMSGSIZE.  A state above the pool's state_max ends the client.
 */
PSB_API int psb_set_state(psb_client_t *, psb_buf state, uint32_t ack_seq);
/* manual_ack: done with all messages up to seq. */
PSB_API int psb_ack(psb_client_t *, uint32_t seq);
/* The same for one whose on_close has come; its end is the message after the
 * last. */
PSB_API int psb_ack_cid(psb_t *, psb_cid, uint32_t seq);

/* PSB_OPT_IDLE_TIMEOUT_MS. */
PSB_API int psb_set_idle_timeout(psb_client_t *, uint32_t ms);
/* What holds for this client instead of the gateway's configuration. */
enum {
    PSB_OPT_NODELAY = 1,
    PSB_OPT_IDLE_TIMEOUT_MS = 2,
    PSB_OPT_AUTO_PONG = 3,
    PSB_OPT_MAX_MESSAGE = 4,
    PSB_OPT_EVENT_MASK = 5,
    PSB_OPT_ON_LOSS = 6, /* 0 close, 1 hold, 2 hold any, 3 reassign */
    PSB_OPT_PING_INTERVAL_MS = 7,
    PSB_OPT_SEND_BUFFER = 8,
    PSB_OPT_CLOSE_TIMEOUT_MS = 9,
    PSB_OPT_STREAM_THRESHOLD = 10,
    PSB_OPT_ACK_MODE = 11, /* 0: at most once, whatever the pool does */
    PSB_OPT_DEBUG = 12
};
PSB_API int psb_set_option(psb_client_t *, int option, uint32_t value);

/*
 * Answer a request.  headers: NULL, or name, value, ..., NULL; with a
 * Content-Length the body must have it, else it is sent chunked.  more: the
 * body goes on with psb_http_write(), until more is 0.  Returned as by
 * psb_send(); -1 also with EALREADY (the head is sent), EINVAL (status is
 * not 200..599, a header may not be sent).  psb_terminate() resets
 * the client's connection.
 */
PSB_API int psb_http_respond(psb_client_t *, int status,
                             const char *const *headers, const void *, size_t,
                             int more);
PSB_API int psb_http_write(psb_client_t *, const void *, size_t, int more);
/* Instead of the last piece: fields behind the body, which a client of HTTP/1.1
 * gets when the response has no Content-Length. */
PSB_API int psb_http_trailers(psb_client_t *, const char *const *headers);
/* Before that: status 100 (sent by itself after on_http when the client waits
 * for it), 102, or 103 with Link headers. */
PSB_API int psb_http_inform(psb_client_t *, int status,
                            const char *const *headers);

/* By id; NULL (ENOENT) when it is gone, or not this backend's. */
PSB_API psb_client_t *psb_find(psb_t *, psb_cid);
/* Also one that another backend of the pool has (`cross_backend on`): what is
 * sent to it so is as a message to a group.  -1: ENOENT, no link to its
 * gateway; ENOTSUP, that gateway does not let us.  A client that is gone is
 * nobody. */
PSB_API int psb_send_to(psb_t *, psb_cid, int binary, const void *, size_t);
PSB_API int psb_close_cid(psb_t *, psb_cid, int code, const char *reason);
PSB_API int psb_terminate_cid(psb_t *, psb_cid);
PSB_API int psb_subscribe_cid(psb_t *, psb_cid, const char *channel);
PSB_API int psb_unsubscribe_cid(psb_t *, psb_cid, const char *channel);

/* Every client of the app (0: all), until the function returns non-zero. */
PSB_API void psb_foreach(psb_t *, int app, int (*)(psb_client_t *, void *),
                         void *arg);
PSB_API size_t psb_count(const psb_t *, int app);
/* psb_close() for each of them, or with code -1 psb_terminate(). */
PSB_API int psb_close_all(psb_t *, int app, int code, const char *reason);

/*
 * To all accepted clients of the app (0: of all apps) but one (0: none), at
 * every gateway process, encoded once.  Clients of sibling backends of the
 * pool are among them when the gateway is so configured.
 * 0; 1: taken, but a gateway is slow to read: on_drain tells when none is any
 * more; -1 and nothing was sent: EMSGSIZE, ENOBUFS (64 MiB wait already),
 * EINVAL.
 */
PSB_API int psb_broadcast(psb_t *, int app, int binary, const void *, size_t,
                          psb_cid except);
/* To those clients, of this backend or, as psb_send_to(), of others. */
PSB_API int psb_msend(psb_t *, const psb_cid *, size_t count, int binary,
                      const void *, size_t);

/*
 * The same with more to say.  done is called once, from the loop, when all
 * gateways have answered: how many clients were meant (matched), and of these
 * got it or have it before them (queued), can not be told such a message or are
 * closing (skipped), or have too much before them (dropped).  EAGAIN: 4096
 * answers are awaited already.
 */
typedef struct {
    uint32_t matched, queued, skipped, dropped;
    int lost; /* gateways that are gone: what is above says nothing of them */
} psb_delivered;
typedef void psb_delivered_fn(psb_t *, const psb_delivered *, void *arg);

enum {
    PSB_ALL = 0,    /* every gateway process, every backend of the pool */
    PSB_OWN = 1,    /* this backend's clients; broadcasts and streams */
    PSB_PROCESS = 2 /* those at the gateway process that has client `of` */
};
typedef struct {
    int scope;
    psb_cid of;
    const psb_cid *except; /* of channels at most one; of psb_msend none */
    size_t except_n;
    psb_delivered_fn *done; /* or NULL */
    void *arg;
} psb_group;
PSB_API int psb_broadcast_with(psb_t *, int app, int binary, const void *,
                               size_t, const psb_group *);
PSB_API int psb_msend_with(psb_t *, const psb_cid *, size_t count, int binary,
                           const void *, size_t, const psb_group *);
PSB_API int psb_publish_with(psb_t *, const char *channel, int binary,
                             const void *, size_t, const psb_group *);

/*
 * By the first byte of a frame, FIN, RSV and opcode: 81 and 82 are a broadcast;
 * 01 and 02 begin one in pieces, 00 goes on, 80 is the last of it (EBUSY and
 * EINVAL when they do not fit together); 88, 89 and 8a close, ping or pong this
 * backend's own clients; what has other opcodes or bits goes to these by
 * psb_raw().
 */
PSB_API int psb_broadcast_raw(psb_t *, int app, uint8_t head, const void *,
                              size_t);

/*
 * One message in pieces, to all clients of the app who are there when the first
 * piece is written.  Every piece is one WebSocket frame (of several when it is
 * larger than the gateways take at once), the end another, empty one.  Other
 * messages for these clients wait until then.  Pieces of text may be cut inside
 * a letter.
 * The id of the stream, or 0 with EINVAL.  As psb_broadcast(); after -1 with
 * ENOBUFS nothing was sent, and the same piece may be written again.  ENOENT:
 * there is no such stream.
 */
PSB_API uint64_t psb_bstream_begin(psb_t *, int app, int binary);
/* done comes after the end. */
PSB_API uint64_t psb_bstream_begin_with(psb_t *, int app, int binary,
                                        const psb_group *);
PSB_API int psb_bstream_write(psb_t *, uint64_t id, const void *, size_t);
PSB_API int psb_bstream_end(psb_t *, uint64_t id);

/*
 * Channels: named groups of clients of the whole pool, at every gateway
 * process.  A name has 1 to 255 bytes.  In on_open, before the answer, a
 * client is subscribed before its 101 leaves and misses nothing.
 * psb_unsubscribe(c, NULL) leaves all.  -1: EINVAL; ENOTSUP, the gateway has
 * no channels.
 */
PSB_API int psb_subscribe(psb_client_t *, const char *channel);
PSB_API int psb_unsubscribe(psb_client_t *, const char *channel);
/* As psb_broadcast(). */
PSB_API int psb_publish(psb_t *, const char *channel, int binary, const void *,
                        size_t, psb_cid except);

/* Who is in it: how many, and with list their ids, as many as each gateway can
 * say at once.  As with psb_group.done. */
typedef struct {
    uint32_t count;
    int lost;
    const psb_cid *ids;
    size_t ids_n;
} psb_members;
typedef void psb_presence_fn(psb_t *, const psb_members *, void *arg);
PSB_API int psb_presence(psb_t *, const char *channel, int list,
                         psb_presence_fn *done, void *arg);

/*
 * Requests whose key (the pool's `claim`) is this one come here, at every
 * gateway process, also at those that connect later; the last backend that
 * claimed it has it.  1 to 255 bytes, 65536 keys (ENOBUFS).
 */
PSB_API int psb_claim(psb_t *, psb_buf key);
PSB_API int psb_unclaim(psb_t *, psb_buf key); /* -1: ENOENT */

/*
 * A JSON object of each gateway: about the link, the process, all processes
 * (one gateway is asked), or one client (cid, else 0).  Once for each answer;
 * last: there is no more, json.p may be NULL then.
 */
enum {
    PSB_STATS_LINK = 0,
    PSB_STATS_PROCESS = 1,
    PSB_STATS_INSTANCE = 2,
    PSB_STATS_CLIENT = 3
};
typedef void psb_stats_fn(psb_t *, psb_buf json, int last, void *arg);
PSB_API int psb_stats(psb_t *, int scope, psb_cid cid, psb_stats_fn *done,
                      void *arg);

/* Frames that come are shown on stderr: 1 those of clients' lives, 2 all.  And
 * the gateway tells what it does with our clients (on_log): 1 up to syslog's
 * level 6, 2 all, when its `debug on` allows it; 0: nothing. */
PSB_API void psb_set_debug(psb_t *, int level);

/* A line into the gateway's error log; level as in syslog, 0..7. */
PSB_API void psb_log(psb_t *, int level, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

#ifdef __cplusplus
}
#endif

#endif

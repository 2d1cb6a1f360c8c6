/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/session.h - one client's WebSocket, from the handshake to its end.
 *
 * session.c is its life (states, timers, endings), session_in.c what comes
 * from the client, session_out.c what goes to it, upgrade.c its handshake.
 * A session stands on a byte stream and knows nothing of what is below it; it
 * is bound to a link until it is over, and lingers without one until its
 * socket is done.
 */
#ifndef PENSTOCK_BRIDGE_SESSION_H
#define PENSTOCK_BRIDGE_SESSION_H

#include "bridge/channels.h"
#include "bridge/conf.h"
#include "bridge/deflate.h"
#include "bridge/endings.h"
#include "bridge/keep.h"
#include "bridge/link.h"
#include "serve/request.h"
#include "ws/framing.h"
#include "ws/handshake.h"

enum {
    /* Auto pongs stop while so much waits for the client: it may answer just
     * the last of several pings (RFC 6455 section 5.5.3), and one that reads
     * nothing needs none. */
    SESSION_PONG_QUEUE = 64 << 10,
    SESSION_LINGER_MS = 5000,
    SESSION_LOSS_POOL = 0xff,
};

enum session_state {
    SESSION_OPENING = 0, /* OPEN is sent, its answer is awaited */
    SESSION_REJECTING,   /* REJECT is here, its body is still coming */
    SESSION_CONNECTED,
    SESSION_CLOSING,   /* our Close is sent, the client's is awaited */
    SESSION_FLUSHING,  /* both are exchanged: what is queued leaves */
    SESSION_LINGERING, /* over; the socket drops what still comes */
    SESSION_DEAD,      /* the socket is gone */
};

/* A message for several sessions, encoded once. */
struct shared {
    unsigned references;
    bool deflated;
    uint16_t key;        /* of sharing.deflated */
    struct shared *next; /* likewise */
    size_t n;
    uint8_t bytes[];
};

/* One message on its way to several sessions: what was encoded for those that
 * came before.  The data must outlive it. */
struct sharing {
    unsigned opcode;
    bool nocompress;
    struct str data;
    struct shared *encoded[WS_ALPHABETS];
    struct shared *deflated; /* for each window and level, by next */
};

struct line;
struct seat;

/* What the backend asked for; 0: what the location says. */
struct session_options {
    uint32_t idle_timeout_ms, ping_ms, close_timeout_ms;
    uint32_t max_message, send_buffer, stream_threshold; /* bytes */
};

struct session {
    struct link_client;      /* its place on a link, until it is over */
    struct stream *stream;   /* NULL before the 101 */
    struct request *request; /* until the 101, or until it is logged */
    union {
        struct ws_handshake *handshake; /* of the request, until the 101 */
        /* From then on: to be written at the end, or NULL. */
        struct access_kept *log_lines;
    };
    const struct websocket_conf *conf;
    struct generation *generation;
    union {
        struct list all;        /* in bridge.sessions */
        struct loop_task grave; /* when it is in no list any more */
    };
    struct list in_pool; /* pool.sessions */
    struct timer timer;
    uint64_t connection; /* its number, for the log */
    struct ws_reader reader;
    struct buf
        *pending; /* of the message under way, not yet sent on; or NULL */
    struct session_deflate *deflate; /* NULL: not agreed on */
    struct session_limits *limits;   /* NULL: nothing is limited */
    struct session_options *options; /* NULL: it asked for nothing */
    struct keep *keep;               /* for another backend; NULL: none may */
    struct shared *close_reason;     /* of the client, or NULL */
    struct membership *channels;     /* it is subscribed to */
    struct line *line; /* output that the stream does not have yet, or NULL */

    /* progress */
    uint32_t seq_in;     /* messages sent to the backend */
    uint32_t seq_out;    /* messages taken from it */
    uint32_t shared_out; /* and of groups */
    uint32_t lost_out;   /* taken, and dropped before they had their turn */
    uint32_t mark_seq;   /* is flushed when mark_at bytes have left */
    uint32_t mark_at;    /* of put its low half; when has_mark */
    uint64_t put;        /* bytes given to the stream since the 101 */
    uint64_t wire_seen;  /* of reader.wire_bytes: told to the backend */
    uint64_t base_out;   /* stream->bytes_out behind the 101 */

    /* times: the low half of the monotonic ms */
    uint32_t state_ms;   /* when the state was entered */
    uint32_t heard_ms;   /* bytes came */
    uint32_t written_ms; /* bytes left, or there were none to leave */
    uint32_t active_ms;  /* the backend sent something */
    uint32_t pinged_ms;  /* our ping without an answer; 0: none */
    uint32_t ping_token; /* what it said: when it was sent; 0: none */
    uint32_t born_s;     /* monotonic seconds */
    uint32_t rtt_us;     /* of the last ping that was answered; 0: none */

    uint16_t event_mask;
    uint32_t remains;    /* bytes that it costs its link when it is over */
    uint16_t close_code; /* the client's, or what ended it */
    uint8_t state;       /* enum session_state */
    uint8_t ending;      /* enum ending, once over */
    uint8_t
        in_opcode : 4; /* of the message under way to the backend, 0: none */
    uint8_t out_opcode : 4; /* of the fragmented message from it, 0: none */
    uint8_t on_loss;        /* enum loss_mode; SESSION_LOSS_POOL: the pool's */
    uint8_t framing;        /* of the client's version: session_framing() */
    struct utf8 out_text;   /* of text from the backend */
    bool has_mark : 1;
    bool in_started : 1; /* a piece of it was sent */
    bool in_last : 1;    /* pending holds the message's end */
    bool notify : 1;     /* a NOTIFY is among what is not flushed */
    bool auto_pong : 1;
    bool accepted : 1;      /* ACCEPT is here */
    bool held : 1;          /* PAUSE of the backend */
    bool close_sent : 1;    /* to the client */
    bool close_seen : 1;    /* from it */
    bool by_backend : 1;    /* the backend closes it */
    bool offered_again : 1; /* after the first backend was lost */
    bool keeping : 1;       /* pieces go through keep->kept */
    bool moving : 1;        /* DETACH is sent */
    bool discarding : 1;    /* the rest of a message whose beginning is lost */
    bool at_least_once : 1;
    bool closed_sent : 1; /* CLOSED, on this link */
    bool out_raw : 1;     /* the message from the backend comes as RAW */
    bool out_packed : 1;  /* and is compressed */
    bool delay : 1;       /* no TCP_NODELAY */
    bool forgetful : 1;   /* ACK_MODE: no at_least_once */
    bool debug : 1;       /* OPT DEBUG: the backend is told all of it */
    bool tunnel : 1;      /* bytes both ways, no WebSocket: tunnel.c */
    bool out_open : 1;    /* the client is inside a message of the backend's */
    bool close_waits : 1; /* the backend's CLOSE, for what is before it */
    bool eof : 1;
    bool watched : 1; /* debug_connection */
    char client[];    /* its IP address */
};

static inline struct link_client *session_client(struct session *s)
{
    return (struct link_client *)s;
}

/* How its version writes messages. */
static inline const struct ws_framing *session_framing(const struct session *s)
{
    return ws_framings[s->framing];
}

static inline bool session_is_over(const struct session *s)
{
    return s->state >= SESSION_LINGERING;
}

/* What the location says, or what the backend says. */
static inline uint64_t session_idle_timeout(const struct session *s)
{
    return s->options && s->options->idle_timeout_ms
               ? s->options->idle_timeout_ms
               : s->conf->idle_timeout_ms;
}

static inline uint64_t session_ping_interval(const struct session *s)
{
    return s->options && s->options->ping_ms ? s->options->ping_ms
                                             : s->conf->ping_ms;
}

static inline uint64_t session_stream_threshold(const struct session *s)
{
    return s->options && s->options->stream_threshold
               ? s->options->stream_threshold
               : s->conf->stream_threshold;
}

/* What the location says, or less if the backend says so. */
static inline uint64_t session_less(uint64_t most, uint32_t asked)
{
    return asked && asked < most ? asked : most;
}

static inline uint64_t session_close_timeout(const struct session *s)
{
    return session_less(s->conf->close_timeout_ms,
                        s->options ? s->options->close_timeout_ms : 0);
}

static inline uint64_t session_send_buffer(const struct session *s)
{
    return session_less(s->conf->send_buffer,
                        s->options ? s->options->send_buffer : 0);
}

static inline uint64_t session_max_message(const struct session *s)
{
    return session_less(s->conf->max_message,
                        s->options ? s->options->max_message : 0);
}

/* The session of an id on this link; NULL when there is none that lives. */
static inline struct session *session_find(struct link *l, uint64_t cid)
{
    struct link_client *c = link_client_find(l, cid);
    struct session *s =
        c && c->kind == LINK_SESSION ? (struct session *)c : NULL;
    return s && !session_is_over(s) ? s : NULL;
}

static inline bool session_is_open(const struct session *s)
{
    return s->state == SESSION_CONNECTED || s->state == SESSION_CLOSING;
}

/* ---- session.c ---- */

/* For one line. */
const struct log_ctx *session_log(const struct session *s);

struct session *session_create(struct request *r,
                               const struct websocket_conf *conf,
                               struct ws_handshake *handshake);
/* Of a request that no handshake is: it is accepted, and has no id yet. */
struct session *session_create_tunnel(struct request *r);
void session_set_state(struct session *s, enum session_state state);
const char *session_state_name(enum session_state state);
/* ---- session_backend.c ---- */

/* Bind to a link (it gets an id there), or let go of it without a word. */
bool session_bind(struct session *s, struct link *l, struct app *app);
void session_unbind(struct session *s);
/* The same for a session that was bound before. */
void session_bind_again(struct session *s, struct link *l, struct app *app);
/* The session ends: its backend is told, now or when it has all messages. */
void session_leave_backend(struct session *s);
/* What becomes of it when its backend is lost. */
enum loss_mode session_loss_mode(const struct session *s);
/* Its link is gone. */
void session_lost(struct session *s);
/* DETACH it, so that another backend gets it.  False when it can not leave
 * now, or there is no other. */
bool session_move(struct session *s);
/* DETACHED.  0, or a negated client-fatal code. */
int session_detached(struct session *s);
/* With at_least_once: messages up to seq are processed.  0, or a negated
 * link-fatal code. */
int session_acked(struct session *s, uint32_t seq);
/* It is over and its messages are sent: CLOSED, once. */
void session_tell_closed(struct session *s);
/* It is over and nobody has to hear of it any more. */
void session_forget(struct session *s);

/* ---- session.c ---- */

/* The 101 is sent: stand on its stream. */
void session_connect(struct session *s, struct stream *stream);
/* OPT* of REGISTER, ACCEPT or SET_OPTS. */
void session_apply_options(struct session *s, struct str tlvs);

/* Live by what g says of its location, when it still says something. */
void session_adopt(struct session *s, struct generation *g);

/*
 * It is over: tell the backend (CLOSED), free the id, log.  The socket then
 * lingers, or is reset.  Before the 101 the request gets the row's status,
 * when it has one.
 */
void session_finish(struct session *s, enum ending ending);
/* The same after sending the row's Close frame. */
void session_fail(struct session *s, enum ending ending);
/* Drop the socket now, without a close frame. */
void session_abort(struct session *s, enum ending ending);
/* Bytes on the wire behind the 101. */
uint64_t session_bytes_out(const struct session *s);
/* Keep the client's close reason for CLOSED. */
void session_keep_reason(struct session *s, struct span reason);
/* A lingering one's socket is done. */
void session_gone(struct session *s);
/* Free it when its socket is gone and no backend has to hear of it. */
void session_bury_if_done(struct session *s);
/* At a worker's fast end: free everything at once. */
void session_destroy_now(struct session *s);

/* ---- session_in.c ---- */
extern const struct stream_events session_events;
/* Credit came, PAUSE ended, or ACCEPT came: go on reading if it may. */
void session_wake(struct session *s);
/* The buffer of s->pending, made when there is none; and without it. */
struct buf *session_pending(struct session *s);
void session_drop_pending(struct session *s);
/* It ends: a whole message that waits for credit joins what is kept. */
void session_keep_rest(struct session *s);
/* The beginning of the message under way is lost: drop what follows of it. */
void session_discard(struct session *s);

/* ---- session_out.c: what the backend asks; 0, or a negated client-fatal
 * code ---- */
int session_take_data(struct session *s, const struct sluice_frame *f);
int session_take_control(struct session *s, const struct sluice_frame *f);
int session_take_raw(struct session *s, const struct sluice_frame *f);
int session_take_close(struct session *s, const struct sluice_frame *f);
void session_send_control(struct session *s, unsigned opcode, const void *p,
                          size_t n);
void session_send_close(struct session *s, unsigned code, struct str reason);
/* A Close that waits is sent now. */
void session_close_now(struct session *s);
void session_on_written(void *owner, size_t queued);

/* ---- session_share.c ---- */
enum share_result {
    SHARE_QUEUED = 0,
    SHARE_SKIPPED, /* it is closing, or cannot be told such a thing */
    SHARE_DROPPED, /* it lags too far behind, and may be closed for it */
};
enum share_result session_share(struct session *s, struct sharing *message);
/* Could it be told such a message? */
bool session_takes(const struct session *s, unsigned opcode);
/* Put it into the output.  may_drop: with overflow=drop_old. */
void session_put_shared(struct session *s, struct shared *m, bool may_drop);

/* A place in a stream (bridge/bstream.h), of its sessions. */
void session_seat(struct session *s, struct seat *seat);
void session_unseat(struct session *s, struct seat *seat);
bool session_is_inside(const struct session *s, uint64_t serial);
/* The next piece.  False: it has no seat any more. */
bool session_share_piece(struct session *s, uint64_t serial, struct shared *m,
                         bool last);
/* Nothing of it has left, and nothing of it is to. */
void session_give_up_stream(struct session *s, uint64_t serial);

/* ---- session_wait.c ---- */

/* The message they waited for is over. */
void session_share_waiting(struct session *s);
/* The client is inside a message of a stream: keep this frame of the backend
 * for later.  False: it is not. */
bool session_wait_own(struct session *s, const struct sluice_frame *f,
                      bool last, bool skip);
/* Messages of the backend that are kept so. */
uint32_t session_waiting_own(const struct session *s);
/* The backend is lost: drop those of a message that has no end yet. */
void session_drop_unfinished(struct session *s);
/* A CLOSE that waits, out of its turn. */
bool session_take_waiting_close(struct session *s, struct sluice_frame *f,
                                uint8_t reason[SLUICE_REASON_MAX]);
/* What is not its backend's and has not begun. */
void session_drop_groups(struct session *s);
/* All, and its seats. */
void session_drop_waiting(struct session *s);
/* Messages taken from the backend, also those that wait. */
static inline uint32_t session_seq_out(const struct session *s)
{
    return s->seq_out + s->lost_out + session_waiting_own(s);
}

/*
 * The line (session_line.c): messages that wait for the end of a fragmented
 * one; and with overflow=drop_old, what a lagging client is to get stays here
 * until its stream has room, so that messages of groups can still be dropped.
 */

/* Bytes that are to be written, in the stream or in the line. */
size_t session_queued(const struct session *s);
/* There is a line: bytes of the session's own join it, to leave in order. */
bool session_line_put(struct session *s, const void *p, size_t n);
/* The stream has room: give it what is first.  Returns session_queued(). */
size_t session_line_go_on(struct session *s);
/* Messages of groups are dropped, the rest is given to the stream. */
void session_line_end(struct session *s);
/* It is over. */
void session_line_clear(struct session *s);

/* ---- shared.c ---- */
struct shared *shared_encode(const struct ws_framing *framing,
                             const struct ws_header *h, const void *p);
void sharing_fini(struct sharing *m);
/* As this session's client reads it; borrowed. */
struct shared *sharing_encode(struct sharing *m, const struct session *s);
void shared_unref(struct shared *m);

/* ---- upgrade.c ---- */
extern const struct handler websocket_handler;
int upgrade_accepted(struct session *s, const struct sluice_frame *f);
int upgrade_rejected(struct session *s, const struct sluice_frame *f);
int upgrade_body(struct session *s, const struct sluice_frame *f);
/* The client has taken what there was of it. */
void upgrade_drained(struct session *s);
/* REJECT with PASS: offer it to the link's next app.  False when there is
 * none. */
bool upgrade_pass(struct session *s);
/* Offer the client to a backend (OPEN).  0, or the status when none can take
 * it. */
unsigned upgrade_offer(struct session *s);
/* Answer the request with this status; it is over. */
void upgrade_refuse(struct session *s, unsigned status);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session_line.h - output of a session that its stream does not have yet.
 *
 * The line proper (session_line.c) is what leaves next, in this order.  Behind
 * it (session_wait.c) is what cannot leave while the client is inside another
 * message: WebSocket has no two of them at once (RFC 6455 section 5.4).  The
 * bytes there are counted with what surrounds them in memory, so that small
 * messages are not many.
 */
#ifndef PENSTOCK_SRC_BRIDGE_SESSION_LINE_H
#define PENSTOCK_SRC_BRIDGE_SESSION_LINE_H

#include "bridge/bstream.h"
#include "bridge/session.h"

/* A message of a group, or bytes of the session's own between two of them. */
struct place {
    struct place *next;
    struct shared *message; /* NULL: it was dropped */
    size_t n;               /* of it, also then: numbers count on */
    bool own;               /* not to be dropped */
};

enum waiter_kind {
    WAITS_MESSAGE = 0, /* of a group */
    WAITS_PIECE,       /* of a stream */
    WAITS_OWN,         /* a frame of the backend about this session alone */
};

struct waiter {
    struct waiter *next;
    enum waiter_kind kind;
    bool last;              /* of its message */
    bool skip;              /* own: it is only counted */
    struct shared *message; /* of a group or a stream */
    uint64_t serial;        /* of the stream */
    struct sluice_header header;
    size_t n; /* what it counts for */
    uint8_t payload[];
};

/* An idle session has none. */
struct line {
    struct place *first, *last;
    size_t bytes;   /* that are here */
    size_t dropped; /* and of those that were */
    struct waiter *waiting, *waiting_last;
    size_t waiting_bytes;
    size_t own_bytes;      /* of these: the session's own */
    uint32_t own_messages; /* that end among them */
    struct seat *seats;    /* in streams */
    uint64_t inside;       /* the stream whose message the client is inside */
};

/* ---- session_line.c ---- */
struct line *line_of(struct session *s); /* made when there is none */
void line_drop_empty(struct session *s);
static inline bool line_has(const struct session *s)
{
    return s->line && s->line->first;
}
/* Drop of the oldest groups' messages n bytes or more, if there are any. */
void line_drop_oldest(struct line *l, size_t n);
/* m is next.  may_drop: it is a group's. */
void line_give(struct session *s, struct shared *m, bool may_drop);

/* ---- session_wait.c ---- */

/* May nothing be sent now but what goes on the message that the client is
 * inside? */
bool wait_is_due(const struct session *s);
void wait_message(struct session *s, struct shared *m);
void wait_piece(struct session *s, struct shared *m, uint64_t serial,
                bool last);
/* Drop of the oldest of groups and streams until this much is left. */
void wait_drop_oldest(struct session *s, size_t until);
void wait_drop_stream(struct session *s, uint64_t serial);
/* The piece is next. */
void wait_give_piece(struct session *s, struct shared *m, uint64_t serial,
                     bool last);

/* ---- session_out.c ---- */

/* A frame that waited has its turn. */
void session_put_own(struct session *s, const struct sluice_frame *f,
                     bool skip);

#endif

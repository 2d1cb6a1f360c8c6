/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/deflate.h - compression as sessions use it: who keeps a window, and
 * what all others share.
 *
 * A direction with context takeover has an inflater or deflater of its own,
 * from its first compressed message on.  One without borrows one of the
 * worker's for the time of a message, so an idle session holds none.
 */
#ifndef PENSTOCK_BRIDGE_DEFLATE_H
#define PENSTOCK_BRIDGE_DEFLATE_H

#include "conf/conf.h"
#include "ws/deflate.h"

/* websocket_deflate */
struct deflate_conf {
    bool on;
    uint8_t level;                 /* zlib's */
    uint64_t min;                  /* bytes; shorter messages are sent plain */
    struct ws_deflate_params wish; /* what a client can get */
};

extern const struct deflate_conf deflate_defaults;
conf_setter deflate_conf_set; /* of a struct deflate_conf */

/* What a session that agreed on it has. */
struct session_deflate {
    struct ws_deflate_params agreed;
    struct ws_inflater *inflater; /* NULL: none now */
    struct ws_deflater *deflater;
    bool deflating; /* the fragmented message to the client is compressed */
    bool stale;     /* the client's window has what our deflater has not */
    char answer[];  /* of the handshake */
};

/* NULL: the client offered nothing that we may take, or it is off here. */
struct session_deflate *deflate_agree(const struct deflate_conf *conf,
                                      struct str offers);
/* Give up what it holds, at the session's end; then nothing more is
 * compressed or inflated. */
void deflate_release(struct session_deflate *d);
void deflate_destroy(struct session_deflate *d); /* NULL is fine */

/* A compressed message comes; then as ws_inflater_next(), in memory of the
 * worker that is good until the next call. */
void deflate_begin_in(struct session_deflate *d, bool text, uint64_t max);
int deflate_next_in(struct session_deflate *d, struct span *in, bool end,
                    struct ws_piece *piece);

/*
 * Compress what goes to the client: the first piece of a message, its last,
 * both or none.  False: send the message as it is (only ever said of a
 * whole one).  *out is good until the next call.
 */
bool deflate_out(struct session_deflate *d, const struct deflate_conf *conf,
                 struct str data, bool first, bool last, struct str *out);

/* The smallest window with which a message of n bytes can be compressed as
 * well as with one of `bits`. */
unsigned deflate_window_for(uint64_t n, unsigned bits);

/* Compress a message for several clients, each of which has at least this
 * window; false when it gets no smaller by it. */
bool deflate_shared(unsigned bits, unsigned level, struct str data,
                    struct str *out);

/* For longer than one message: a deflater of the worker's, fresh, and the
 * buffer that it can write to, empty. */
struct ws_deflater *deflate_take(unsigned bits, unsigned level);
void deflate_give(struct ws_deflater *d, unsigned bits);
struct buf *deflate_room(void);

/* Free what the worker keeps. */
void deflate_fini(void);

#endif

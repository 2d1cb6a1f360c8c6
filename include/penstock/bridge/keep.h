/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/keep.h - what a session keeps so that another backend can have it.
 *
 * keep.c is who the client is (SLUICE section 10: RESUME says again what OPEN
 * said) and the state that its backend left with us; kept.c is its messages:
 * those that no backend has taken yet, and with at_least_once those that none
 * has acknowledged.  A session whose backend knows no RESUME has neither.
 */
#ifndef PENSTOCK_BRIDGE_KEEP_H
#define PENSTOCK_BRIDGE_KEEP_H

#include "base/buf.h"
#include "base/intern.h"
#include "sluice/open.h"

struct kept;
struct loss;
struct session;

struct keep_state {
    uint32_t n;
    uint8_t bytes[];
};

/* What an idle session with a backend that knows no state has not. */
struct keep_more {
    struct loss *loss;        /* where the session is parked, or NULL */
    struct kept *kept;        /* NULL: no message */
    struct keep_state *state; /* SET_STATE's, or NULL */
};

struct keep {
    struct keep_more *more;  /* NULL: nothing; keep_more() makes it */
    struct interned *common; /* what OPEN said of many clients alike */
    uint64_t t_us;           /* this and what follows as OPEN said it */
    uint32_t max_frame;      /* of the last backend */
    uint32_t tlvs_n;
    uint16_t remote_port;
    bool path_is_target; /* PATH is TARGET without the query */
    bool truncated;      /* the message under way was lost in part */
    uint8_t tlvs[];
};

/* ---- keep.c ---- */

/* Keep what OPEN said: the fixed part and these TLVs. */
void keep_open(struct session *s, const struct sluice_open *o, struct str tlvs);
/* The subprotocol that was agreed on. */
void keep_protocol(struct session *s, struct str protocol);
/* 0, or -LIMIT (client-fatal) when the pool allows less. */
int keep_state(struct session *s, struct str blob);
/* What OPEN said: of its fixed part what is the client's; and its TLVs. */
void keep_say(const struct session *s, struct sluice_open *o);
bool keep_put_tlvs(struct buf *out, const struct session *s);
struct keep_more *keep_more(struct keep *k);
static inline struct loss *keep_loss(const struct keep *k)
{
    return k && k->more ? k->more->loss : NULL;
}
/* The app that the session came to; p NULL: none. */
struct str keep_app(const struct session *s);
void keep_free(struct session *s);

/* ---- kept.c ----
 * While session.keeping is true every piece goes through here. */

/* May the client be read? */
bool kept_has_room(const struct session *s);
/* A piece of a message; opcode 0: it goes on the one before. */
void kept_put(struct session *s, unsigned opcode, bool more, uint16_t wire,
              const uint8_t *p, size_t n);
/* Give the backend what it may have now; CLOSED when the session is over and
 * all is given. */
void kept_send(struct session *s);
/* Messages up to seq are processed.  0, or -PROTOCOL for one that was never
 * sent. */
int kept_acked(struct session *s, uint32_t seq);
/* The backend that had some of it is gone: the next gets them again. */
void kept_lost(struct session *s);
/* Bytes, and what RESUME_INFO says of them. */
size_t kept_bytes(const struct session *s);
uint32_t kept_first_seq(const struct session *s);
uint32_t kept_count(const struct session *s);
void kept_free(struct session *s);

#endif

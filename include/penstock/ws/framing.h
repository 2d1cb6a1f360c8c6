/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/framing.h - how messages stand on the wire, one row for each version of
 * the protocol.
 *
 * A session reads with next and writes with head and tail, and asks the row
 * what its client can be told; no other place needs to know the versions.
 *   13     RFC 6455
 *   8, 7   drafts hybi-07 to -12: the same frames, longer lengths than needed
 *          are legal, and code 1004 of a Close is today's 1009
 *   76     draft hixie-76 (hybi-00): text between 00 and FF, and FF 00 to close
 *   75     draft hixie-75: the same text, closed by the end of the connection
 */
#ifndef PENSTOCK_WS_FRAMING_H
#define PENSTOCK_WS_FRAMING_H

#include "ws/reader.h"

enum {
    WS_TAIL_MAX = 1 /* bytes behind a frame's payload */
};

/* Versions with one alphabet write the same bytes for the same message, so
 * that what goes to many is encoded once for each alphabet. */
enum ws_alphabet { WS_ALPHABET_HYBI = 0, WS_ALPHABET_HIXIE, WS_ALPHABETS };

struct ws_framing {
    unsigned version; /* as websocket_versions and OPEN call it */
    enum ws_alphabet alphabet;
    bool extensions;           /* they may be negotiated */
    bool binary;               /* there are binary messages, ... */
    bool pings;                /* pings and pongs, ... */
    bool codes;                /* close frames that say why, ... */
    bool closes;               /* close frames at all */
    struct str origin_field;   /* where the handshake says what page asks, */
    struct str protocol_field; /* and offers and chooses subprotocols */

    void (*init)(struct ws_reader *r, const struct ws_limits *limits);
    /* As ws_reader_next() describes; of versions without codes -1009 and the
     * like only say what was wrong. */
    int (*next)(struct ws_reader *r, struct span *in, struct ws_event *ev);
    /* What stands before the payload of a frame, and behind it (NULL: nothing
     * does).  Return the number of bytes.  Of frames that the version does not
     * have nothing is written, and a Close without codes takes no payload. */
    size_t (*head)(uint8_t out[WS_HEADER_MAX], const struct ws_header *h);
    size_t (*tail)(uint8_t out[WS_TAIL_MAX], const struct ws_header *h);
};

extern const struct ws_framing ws_framing_13, ws_framing_8, ws_framing_7,
    ws_framing_76, ws_framing_75;

/* NULL when there is none of that version. */
const struct ws_framing *ws_framing_find(unsigned version);

/* The i-th of the list, or NULL behind its end; the newest is the first.  A
 * set of versions has bit i for it. */
const struct ws_framing *ws_framing_at(unsigned i);
unsigned ws_framing_bit(const struct ws_framing *f);

/* The list itself, and which place one has. */
extern const struct ws_framing *const ws_framings[];
uint8_t ws_framing_index(const struct ws_framing *f);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/handshake.h - is this upgrade request a WebSocket handshake?
 *
 * RFC 6455 sections 4.2.1, 4.2.2 and 4.4.  Knows header values, not HTTP: the
 * caller fills the request struct from wherever it has the fields, so the
 * same check serves HTTP/1.1 and extended CONNECT.
 */
#ifndef PENSTOCK_WS_HANDSHAKE_H
#define PENSTOCK_WS_HANDSHAKE_H

#include "base/str.h"

enum {
    WS_KEY_SIZE = 24,      /* characters of Sec-WebSocket-Key, of 16 bytes */
    WS_ACCEPT_SIZE = 28,   /* characters of Sec-WebSocket-Accept */
    WS_PROTOCOLS_MAX = 64, /* elements of Sec-WebSocket-Protocol that are
                            * looked through, empty ones too */
};

/* Values joined when a field came several times; p NULL when absent. */
struct ws_handshake_request {
    bool method_is_get;
    bool version_is_11;
    struct str upgrade;    /* Upgrade */
    struct str connection; /* Connection */
    struct str key;        /* Sec-WebSocket-Key */
    size_t key_count;      /* how many such fields there were */
    struct str version;    /* Sec-WebSocket-Version */
    size_t version_count;
    struct str protocols; /* Sec-WebSocket-Protocol */
    struct str origin;    /* Origin */
    bool has_body;
};

struct ws_handshake {
    unsigned version; /* 13; 8, 7, 76, 75 once their drafts are built */
    char accept[WS_ACCEPT_SIZE + 1];
};

/* True when the request means a WebSocket at all: it asks to upgrade to
 * "websocket" (any case, possibly among others). */
bool ws_handshake_is_wanted(const struct ws_handshake_request *q);

/*
 * Check everything.  Returns 0 and fills hs, or the negated HTTP status:
 * -400 malformed, -405 not GET, -426 a version that is not offered (the
 * answer carries Sec-WebSocket-Version: 13).  *why is a static sentence.
 */
int ws_handshake_check(const struct ws_handshake_request *q,
                       struct ws_handshake *hs, const char **why);

/* base64(SHA-1(key + GUID)), NUL-terminated; section 4.2.2 item 5.4.  The
 * key is one that ws_handshake_check() let through: WS_KEY_SIZE characters. */
void ws_accept_of(struct str key, char out[WS_ACCEPT_SIZE + 1]);

/*
 * Take the next name off a Sec-WebSocket-Protocol list; empty elements are
 * skipped (RFC 9110 section 5.6.1).  0 at the end, 1 with a token, -400 when
 * the list is malformed, repeats a name or has more than WS_PROTOCOLS_MAX
 * elements.
 */
int ws_protocol_next(struct str *rest, struct str *token);

#endif

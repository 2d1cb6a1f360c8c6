/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/handshake.h - is this upgrade request a WebSocket handshake?
 *
 * RFC 6455 sections 4.2.1, 4.2.2 and 4.4, and the same of the drafts before
 * it: hybi-07 to -12 differ in their number only, hixie-76 proves itself with
 * two keys and eight bytes behind the head, hixie-75 not at all.  Knows header
 * values, not HTTP: the caller fills the request struct from wherever it has
 * the fields, so the same check serves HTTP/1.1 and extended CONNECT.
 */
#ifndef PENSTOCK_WS_HANDSHAKE_H
#define PENSTOCK_WS_HANDSHAKE_H

#include "ws/framing.h"

enum {
    WS_KEY_SIZE = 24,      /* characters of Sec-WebSocket-Key, of 16 bytes */
    WS_KEY_MAX = 64,       /* versions 8 and 7: some clients sent others */
    WS_ACCEPT_SIZE = 28,   /* characters of Sec-WebSocket-Accept */
    WS_SECRET_SIZE = 8,    /* bytes behind a head with Key1 and Key2 */
    WS_ANSWER_SIZE = 16,   /* bytes behind the 101 to it */
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
    struct str key1, key2; /* Sec-WebSocket-Key1, -Key2 */
    size_t key1_count, key2_count;
    unsigned versions;    /* that are offered: ws_framing_bit()s */
    struct str protocols; /* Sec-WebSocket-Protocol */
    struct str origin;    /* Origin */
    bool has_body;
};

struct ws_handshake {
    const struct ws_framing *framing;
    char accept[WS_ACCEPT_SIZE + 1]; /* versions 13, 8 and 7 */
    uint32_t numbers[2];             /* 76: what the keys hide */
    uint8_t secret[WS_SECRET_SIZE];  /* 76: the caller's to fill */
    uint8_t answer[WS_ANSWER_SIZE];  /* 76: see ws_answer() */
};

/* True when the request means a WebSocket at all: it asks to upgrade to
 * "websocket" (any case, possibly among others). */
bool ws_handshake_is_wanted(const struct ws_handshake_request *q);

/*
 * Check everything.  Returns 0 and fills hs, or the negated HTTP status:
 * -400 malformed, -405 not GET, -426 a version that is not offered (the
 * answer carries Sec-WebSocket-Version).  *why is a static sentence.
 */
int ws_handshake_check(const struct ws_handshake_request *q,
                       struct ws_handshake *hs, const char **why);

/* base64(SHA-1(key + GUID)), NUL-terminated; section 4.2.2 item 5.4.  The
 * key is one that ws_handshake_check() let through. */
void ws_accept_of(struct str key, char out[WS_ACCEPT_SIZE + 1]);

/*
 * The number a Sec-WebSocket-Key1 or -Key2 hides: its digits, divided by the
 * number of its blanks.  False when it hides none.
 */
bool ws_key_number(struct str key, uint32_t *number);

/* The answer to numbers and secret: their MD5, the numbers in network order.
 * False when this machine's OpenSSL does no MD5. */
bool ws_answer(struct ws_handshake *hs);

/* What a refusal says in Sec-WebSocket-Version ("13, 8"): those of the set
 * that have a number there.  Returns the text's length, 0 when none has. */
enum { WS_VERSIONS_TEXT_MAX = 32 };
size_t ws_versions_text(unsigned versions, char out[WS_VERSIONS_TEXT_MAX]);

/*
 * Take the next name off a Sec-WebSocket-Protocol list; empty elements are
 * skipped (RFC 9110 section 5.6.1).  0 at the end, 1 with a token, -400 when
 * the list is malformed, repeats a name or has more than WS_PROTOCOLS_MAX
 * elements.
 */
int ws_protocol_next(struct str *rest, struct str *token);

#endif

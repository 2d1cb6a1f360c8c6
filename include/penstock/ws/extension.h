/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ws/extension.h - which extensions a connection gets: permessage-deflate or
 * none.
 *
 * The field Sec-WebSocket-Extensions (RFC 6455 section 9.1) and the four
 * parameters of RFC 7692 section 7.1.  Text only; what the parameters mean
 * to bytes is in ws/deflate.h.
 */
#ifndef PENSTOCK_WS_EXTENSION_H
#define PENSTOCK_WS_EXTENSION_H

#include "base/str.h"

enum {
    WS_WINDOW_BITS_MIN = 8,
    WS_WINDOW_BITS_MAX = 15,
    WS_EXTENSION_TEXT_MAX = 144, /* of an answer, with its NUL */
};

/*
 * As a wish: what a server lets happen.  As a result: what holds on the
 * connection, "server" being who sends to the client.
 */
struct ws_deflate_params {
    bool server_takeover; /* the window goes on from message to message */
    bool client_takeover;
    uint8_t server_bits; /* base 2 logarithm of the window, 8..15 */
    uint8_t client_bits;
};

/*
 * Take the first offer in the field (several fields joined with commas) that
 * is permessage-deflate as the RFC allows it; one with a parameter that is
 * unknown, repeated or out of range is passed over (section 7: it MUST be
 * declined), and what follows a syntax error is not read.
 *
 * Returns false when nothing was agreed on: the handshake goes on without.
 * answer is the field's value for the response.
 */
bool ws_deflate_negotiate(struct str offers,
                          const struct ws_deflate_params *wish,
                          struct ws_deflate_params *agreed,
                          char answer[WS_EXTENSION_TEXT_MAX]);

#endif

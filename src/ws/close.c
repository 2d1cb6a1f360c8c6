/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/close.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/utf8.h"

/* RFC 6455 section 7.4: 1000-2999 are the protocol's, of which those that
 * are defined and may stand in a frame count; 3000-4999 are registered or
 * private.  1012-1014 were registered with IANA after the RFC. */
static bool code_is_legal(unsigned code)
{
    return (code >= WS_CLOSE_NORMAL && code <= WS_CLOSE_UNSUPPORTED) ||
           (code >= WS_CLOSE_BAD_DATA && code <= WS_CLOSE_BAD_GATEWAY) ||
           (code >= 3000 && code <= 4999);
}

bool ws_close_code_may_be_received(unsigned code)
{
    return code_is_legal(code);
}

bool ws_close_code_may_be_sent(unsigned code)
{
    return code_is_legal(code);
}

/* The longest front of s of whole characters, at most max bytes. */
static size_t whole_characters(struct str s, size_t max)
{
    struct utf8 u = {0};
    size_t whole = 0;

    for (size_t i = 0; i < s.n && i < max; i++) {
        if (!utf8_next(&u, (const uint8_t *)s.p + i, 1))
            break;
        if (utf8_is_complete(&u))
            whole = i + 1;
    }
    return whole;
}

size_t ws_close_payload(uint8_t out[WS_CONTROL_MAX], unsigned code,
                        struct str reason)
{
    if (code == WS_CLOSE_NONE)
        return 0;
    check(ws_close_code_may_be_sent(code));
    be16_put(out, (uint16_t)code);
    size_t n = whole_characters(reason, WS_REASON_MAX);
    if (n)
        memcpy(out + 2, reason.p, n);
    return 2 + n;
}

int ws_close_decode(struct span payload, uint16_t *code, struct span *reason)
{
    *code = WS_CLOSE_NONE;
    *reason = payload;
    if (payload.n == 0)
        return 0;
    /* Section 5.5.1: if there is a body, its first two bytes are a code. */
    if (payload.n < 2)
        return -WS_CLOSE_PROTOCOL_ERROR;
    *code = be16_get(payload.p);
    span_advance(reason, 2);
    if (!ws_close_code_may_be_received(*code))
        return -WS_CLOSE_PROTOCOL_ERROR;
    if (!utf8_is_valid(reason->p, reason->n))
        return -WS_CLOSE_BAD_DATA;
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/handshake.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"

enum {
    SHA1_SIZE = 20,
};

bool ws_handshake_is_wanted(const struct ws_handshake_request *q)
{
    return str_list_has(q->upgrade, STR("websocket"));
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           ascii_is_digit(c) || c == '+' || c == '/';
}

/* Base64 of 16 bytes is 22 characters and "==".  The four bits that the last
 * character has over are not looked at: RFC 4648 section 3.5 leaves it open,
 * and the key is a text here, nothing that is ever decoded. */
static bool key_is_legal(struct str key)
{
    if (key.n != WS_KEY_SIZE || key.p[WS_KEY_SIZE - 2] != '=' ||
        key.p[WS_KEY_SIZE - 1] != '=')
        return false;
    for (size_t i = 0; i < WS_KEY_SIZE - 2; i++)
        if (!is_base64(key.p[i]))
            return false;
    return true;
}

/* RFC 6455 section 4.3, "version": 0 to 255 without leading zeros. */
static bool version_is_legal(struct str s, unsigned *version)
{
    uint64_t value;
    if (s.n > 1 && s.p[0] == '0')
        return false;
    if (!str_to_u64(s, 255, &value))
        return false;
    *version = (unsigned)value;
    return true;
}

static int not_offered(const char **why)
{
    *why = "this version of the WebSocket protocol is not offered";
    return -426;
}

static bool is_offered(const struct ws_handshake_request *q,
                       const struct ws_framing *f)
{
    return f && q->versions & ws_framing_bit(f);
}

static int check_version(const struct ws_handshake_request *q,
                         struct ws_handshake *hs, const char **why)
{
    unsigned version;

    if (q->version_count != 1) {
        *why = q->version_count ? "Sec-WebSocket-Version came more than once"
                                : "Sec-WebSocket-Version is missing";
        return -400;
    }
    if (!version_is_legal(str_trim(q->version), &version)) {
        *why = "Sec-WebSocket-Version is not a number from 0 to 255";
        return -400;
    }
    /* 75 and 76 are our names; nobody may say them here. */
    hs->framing = ws_framing_find(version);
    if (!is_offered(q, hs->framing) || hs->framing->version > 13)
        return not_offered(why);
    return 0;
}

/* A server only hashes it: ws 0.4, for one, sent 15 bytes. */
static bool draft_key_is_legal(struct str key)
{
    if (!key.n || key.n > WS_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.n; i++)
        if (!is_base64(key.p[i]) && key.p[i] != '=')
            return false;
    return true;
}

static int check_key(const struct ws_handshake_request *q, bool draft,
                     const char **why)
{
    struct str key = str_trim(q->key);

    if (q->key_count == 1 &&
        (draft ? draft_key_is_legal(key) : key_is_legal(key)))
        return 0;
    *why = q->key_count > 1 ? "Sec-WebSocket-Key came more than once"
           : q->key_count   ? "Sec-WebSocket-Key is not base64 of 16 bytes"
                            : "Sec-WebSocket-Key is missing";
    return -400;
}

/* Section 4.2.1, items 1 to 4: what HTTP itself must say. */
static int check_request(const struct ws_handshake_request *q, const char **why)
{
    if (!q->method_is_get) {
        *why = "a WebSocket handshake is a GET request";
        return -405;
    }
    *why = NULL;
    if (!q->version_is_11)
        *why = "a WebSocket handshake needs HTTP/1.1";
    else if (q->has_body)
        /* It would have to be read before the first frame. */
        *why = "a WebSocket handshake has no body";
    else if (!ws_handshake_is_wanted(q))
        *why = "Upgrade does not name websocket";
    else if (!str_list_has(q->connection, STR("upgrade")))
        *why = "Connection does not name upgrade";
    return *why ? -400 : 0;
}

static int check_hybi(const struct ws_handshake_request *q,
                      struct ws_handshake *hs, const char **why)
{
    int status = check_version(q, hs, why);
    if (!status)
        status = check_key(q, hs->framing != &ws_framing_13, why);
    if (!status)
        ws_accept_of(str_trim(q->key), hs->accept);
    return status;
}

static int check_hixie_76(const struct ws_handshake_request *q,
                          struct ws_handshake *hs, const char **why)
{
    hs->framing = &ws_framing_76;
    if (!is_offered(q, hs->framing))
        return not_offered(why);
    if (q->key1_count == 1 && q->key2_count == 1 &&
        ws_key_number(q->key1, &hs->numbers[0]) &&
        ws_key_number(q->key2, &hs->numbers[1]))
        return 0;
    *why = "Sec-WebSocket-Key1 and -Key2 are not one key each that hides a "
           "number";
    return -400;
}

int ws_handshake_check(const struct ws_handshake_request *q,
                       struct ws_handshake *hs, const char **why)
{
    int status = check_request(q, why);
    if (status)
        return status;
    if (q->version_count || q->key_count)
        return check_hybi(q, hs, why);
    if (q->key1_count || q->key2_count)
        return check_hixie_76(q, hs, why);
    /* Nothing at all is hixie-75, or a mistake. */
    hs->framing = &ws_framing_75;
    return is_offered(q, hs->framing) ? 0 : check_hybi(q, hs, why);
}

bool ws_key_number(struct str key, uint32_t *number)
{
    uint64_t digits = 0, blanks = 0;

    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] == ' ')
            blanks++;
        if (!ascii_is_digit(key.p[i]))
            continue;
        digits = digits * 10 + (uint64_t)(key.p[i] - '0');
        if (digits > UINT32_MAX)
            return false;
    }
    if (!blanks || digits % blanks)
        return false;
    *number = (uint32_t)(digits / blanks);
    return true;
}

bool ws_answer(struct ws_handshake *hs)
{
    uint8_t text[8 + WS_SECRET_SIZE];

    be32_put(text, hs->numbers[0]);
    be32_put(text + 4, hs->numbers[1]);
    memcpy(text + 8, hs->secret, WS_SECRET_SIZE);
    return EVP_Digest(text, sizeof text, hs->answer, NULL, EVP_md5(), NULL) ==
           1;
}

size_t ws_versions_text(unsigned versions, char out[WS_VERSIONS_TEXT_MAX])
{
    const struct ws_framing *f;
    size_t n = 0;

    out[0] = '\0';
    for (unsigned i = 0; (f = ws_framing_at(i)); i++)
        if (versions & ws_framing_bit(f) && f->version <= 13)
            n += (size_t)snprintf(out + n, WS_VERSIONS_TEXT_MAX - n, "%s%u",
                                  n ? ", " : "", f->version);
    return n;
}

void ws_accept_of(struct str key, char out[WS_ACCEPT_SIZE + 1])
{
    static const struct str guid =
        STR_INIT("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* section 1.3 */
    char text[WS_KEY_MAX + 36];
    unsigned char digest[SHA1_SIZE];

    check(key.n && key.n <= WS_KEY_MAX && guid.n == 36);
    memcpy(text, key.p, key.n);
    memcpy(text + key.n, guid.p, guid.n);
    check(EVP_Digest(text, key.n + guid.n, digest, NULL, EVP_sha1(), NULL) ==
          1);
    check(EVP_EncodeBlock((unsigned char *)out, digest, SHA1_SIZE) ==
          WS_ACCEPT_SIZE);
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_token(s.p[i]))
            return false;
    return s.n > 0;
}

int ws_protocol_next(struct str *rest, struct str *token)
{
    if (!str_list_next(rest, token))
        return 0;
    if (!is_token(*token))
        return -400;

    /* Section 4.1 item 10: each once.  The list is searched anew for each of
     * its elements, so their number is bounded, empty ones too. */
    struct str later = *rest;
    for (size_t count = 1; later.p; count++)
        if (count == WS_PROTOCOLS_MAX ||
            str_eq(str_trim(str_cut(&later, ',')), *token))
            return -400;
    return 1;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of the input are the fields of a handshake; what is accepted and
 * what is refused is asked again in another way. */
#include <openssl/evp.h>

#include "base/check.h"
#include "ws/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The key as OpenSSL decodes it: 16 bytes and 2 of padding, which it would
 * let stand anywhere. */
static bool decodes_to_16(struct str key)
{
    unsigned char out[64];
    return key.n == 24 && str_find(key, '=', 0) == 22 && key.p[23] == '=' &&
           EVP_DecodeBlock(out, (const unsigned char *)key.p, 24) == 18;
}

static bool is_short_base64(struct str key)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
                                  "mnopqrstuvwxyz0123456789+/=";
    for (size_t i = 0; i < key.n; i++)
        if (!key.p[i] || !strchr(letters, key.p[i]))
            return false;
    return key.n && key.n <= 64;
}

/* The version that q asks for, or 0; what is offered is known by bits. */
static unsigned version_of(const struct ws_handshake_request *q)
{
    struct str s = str_trim(q->version);
    unsigned version = str_eq(s, STR("13"))  ? 13
                       : str_eq(s, STR("8")) ? 8
                       : str_eq(s, STR("7")) ? 7
                                             : 0;
    unsigned bit = version == 13 ? 1 : version == 8 ? 2 : 4;
    return version && q->versions & bit ? version : 0;
}

static bool hides_a_number(struct str key)
{
    double number = 0, blanks = 0;
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] == ' ')
            blanks++;
        if (key.p[i] < '0' || key.p[i] > '9')
            continue;
        number = number * 10 + (key.p[i] - '0');
        if (number > 4294967295.0)
            return false;
    }
    if (blanks == 0)
        return false;
    double quotient = number / blanks;
    return quotient == (double)(uint64_t)quotient;
}

static bool version_is_good(const struct ws_handshake_request *q)
{
    if (q->version_count || q->key_count)
        return q->version_count == 1 && version_of(q) && q->key_count == 1 &&
               (version_of(q) == 13 ? decodes_to_16(str_trim(q->key))
                                    : is_short_base64(str_trim(q->key)));
    if (q->key1_count || q->key2_count)
        return q->versions & 8 && q->key1_count == 1 && q->key2_count == 1 &&
               hides_a_number(q->key1) && hides_a_number(q->key2);
    return q->versions & 16;
}

static void check_handshake(const struct ws_handshake_request *q)
{
    struct ws_handshake hs = {0};
    const char *why = NULL;
    int got = ws_handshake_check(q, &hs, &why);
    bool good = q->method_is_get && q->version_is_11 && !q->has_body &&
                ws_handshake_is_wanted(q) &&
                str_list_has(q->connection, STR("Upgrade")) &&
                version_is_good(q);

    check((got == 0) == good);
    check(got == 0 || got == -400 || got == -405 || got == -426);
    check((got == -405) == !q->method_is_get);
    if (got == 0)
        check(hs.framing->version > 13 ||
              (hs.framing->version == version_of(q) &&
               strlen(hs.accept) == WS_ACCEPT_SIZE));
    else
        check(why && *why);
}

static void check_protocols(struct str list)
{
    struct str rest = list, token;
    struct str seen[WS_PROTOCOLS_MAX];
    size_t count = 0;
    int got;

    while ((got = ws_protocol_next(&rest, &token)) == 1) {
        check(count < WS_PROTOCOLS_MAX && token.n > 0);
        check(token.p >= list.p && token.p + token.n <= list.p + list.n);
        for (size_t i = 0; i < token.n; i++)
            check(ascii_is_token(token.p[i]));
        for (size_t i = 0; i < count; i++)
            check(!str_eq(seen[i], token) && seen[i].p < token.p);
        seen[count++] = token;
    }
    check(got == 0 || got == -400);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    unsigned flags = data[0];
    struct str rest = str_n(data + 2, n - 2);
    struct ws_handshake_request q = {
        .method_is_get = !(flags & 1),
        .version_is_11 = !(flags & 2),
        .has_body = flags & 4,
        .version_count = (flags & 8) ? 2 : 1,
        .key_count = (flags & 16) ? 2 : 1,
        .key1_count = flags >> 5 & 1,
        .key2_count = flags >> 6 & 1,
        .versions = data[1] & 31,
    };
    if (data[1] & 128)
        q.key_count = q.version_count = 0;
    q.upgrade = str_cut(&rest, '\n');
    q.connection = str_cut(&rest, '\n');
    q.key = str_cut(&rest, '\n');
    q.version = str_cut(&rest, '\n');
    q.key1 = str_cut(&rest, '\n');
    q.key2 = str_cut(&rest, '\n');
    q.protocols = rest;
    check_handshake(&q);
    check_protocols(q.protocols);
    return 0;
}

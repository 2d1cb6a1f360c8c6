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

static bool is_13(struct str version)
{
    return str_eq(str_trim(version), STR("13"));
}

static void check_handshake(const struct ws_handshake_request *q)
{
    struct ws_handshake hs;
    const char *why = NULL;
    int got = ws_handshake_check(q, &hs, &why);
    bool good = q->method_is_get && q->version_is_11 && !q->has_body &&
                ws_handshake_is_wanted(q) &&
                str_list_has(q->connection, STR("Upgrade")) &&
                q->version_count == 1 && is_13(q->version) &&
                q->key_count == 1 && decodes_to_16(str_trim(q->key));

    check((got == 0) == good);
    check(got == 0 || got == -400 || got == -405 || got == -426);
    check((got == -405) == !q->method_is_get);
    if (got == 0)
        check(hs.version == 13 && strlen(hs.accept) == WS_ACCEPT_SIZE);
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
    if (n < 1)
        return 0;
    unsigned flags = data[0];
    struct str rest = str_n(data + 1, n - 1);
    struct ws_handshake_request q = {
        .method_is_get = !(flags & 1),
        .version_is_11 = !(flags & 2),
        .has_body = flags & 4,
        .version_count = (flags & 8) ? 2 : 1,
        .key_count = (flags & 16) ? 2 : 1,
    };
    q.upgrade = str_cut(&rest, '\n');
    q.connection = str_cut(&rest, '\n');
    q.key = str_cut(&rest, '\n');
    q.version = str_cut(&rest, '\n');
    q.protocols = rest;
    check_handshake(&q);
    check_protocols(q.protocols);
    return 0;
}

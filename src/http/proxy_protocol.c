/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/proxy_protocol.h"

#include <stdio.h>

#include "base/bytes.h"

enum {
    V2_HEAD = 16,
    V2_COMMAND_LOCAL = 0x20, /* the high half is the version */
    V2_COMMAND_PROXY = 0x21,
    V2_FAMILY_INET = 0x1,
    V2_FAMILY_INET6 = 0x2,
    V2_FAMILY_UNIX = 0x3,
    V2_STREAM = 0x1,
};

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* ---- version 1 ---- */

static bool cut_word(struct str *rest, struct str *word)
{
    if (!rest->p)
        return false;
    *word = str_cut(rest, ' ');
    return word->n > 0;
}

static bool read_port(struct str text, uint16_t *port)
{
    uint64_t n;
    if (!str_to_u64(text, 65535, &n))
        return false;
    *port = (uint16_t)n;
    return true;
}

static bool read_v1_addresses(struct proxy_protocol *out, struct str rest,
                              sa_family_t family)
{
    struct str from, to, from_port, to_port;
    uint16_t port;

    if (!cut_word(&rest, &from) || !cut_word(&rest, &to) ||
        !cut_word(&rest, &from_port) || !cut_word(&rest, &to_port) || rest.p)
        return false;
    if (!read_port(from_port, &port) ||
        address_from_ip(&out->source, from, port) == -1 ||
        !read_port(to_port, &port) ||
        address_from_ip(&out->server, to, port) == -1)
        return false;
    out->known = true;
    return out->source.sa.any.sa_family == family &&
           out->server.sa.any.sa_family == family;
}

static int read_v1(struct proxy_protocol *out, struct str in)
{
    struct str line = str_slice(in, 0, PROXY_PROTOCOL_V1_MAX);
    size_t lf = str_find(line, '\n', 0);

    if (lf == line.n)
        return in.n < PROXY_PROTOCOL_V1_MAX ? 0 : -1;
    if (lf < 6 || line.p[lf - 1] != '\r')
        return -1;
    struct str rest = str_slice(line, 6, lf - 1), word;
    if (!cut_word(&rest, &word))
        return -1;
    if (str_eq(word, STR("UNKNOWN")))
        return (int)lf + 1;
    if (str_eq(word, STR("TCP4")))
        return read_v1_addresses(out, rest, AF_INET) ? (int)lf + 1 : -1;
    if (str_eq(word, STR("TCP6")))
        return read_v1_addresses(out, rest, AF_INET6) ? (int)lf + 1 : -1;
    return -1;
}

/* ---- version 2 ---- */

static void set_in(struct address *a, const uint8_t *ip, const uint8_t *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    memcpy(&in.sin_addr, ip, sizeof in.sin_addr);
    memcpy(&in.sin_port, port, sizeof in.sin_port);
    address_from_sockaddr(a, (struct sockaddr *)&in, sizeof in);
}

static void set_in6(struct address *a, const uint8_t *ip, const uint8_t *port)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    memcpy(&in6.sin6_addr, ip, sizeof in6.sin6_addr);
    memcpy(&in6.sin6_port, port, sizeof in6.sin6_port);
    address_from_sockaddr(a, (struct sockaddr *)&in6, sizeof in6);
}

/* Bytes of the addresses, or -1 when there is no room for them. */
static int read_v2_addresses(struct proxy_protocol *out, unsigned family,
                             const uint8_t *p, size_t n)
{
    switch (family >> 4) {
    case V2_FAMILY_INET:
        if (n < 12)
            return -1;
        set_in(&out->source, p, p + 8);
        set_in(&out->server, p + 4, p + 10);
        out->known = true;
        return 12;
    case V2_FAMILY_INET6:
        if (n < 36)
            return -1;
        set_in6(&out->source, p, p + 32);
        set_in6(&out->server, p + 16, p + 34);
        out->known = true;
        return 36;
    case V2_FAMILY_UNIX:
        return n < 216 ? -1 : 216;
    default:
        return (int)n; /* unspecified: what follows says nothing to us */
    }
}

static int read_v2(struct proxy_protocol *out, const uint8_t *p, size_t n)
{
    if (n < V2_HEAD)
        return 0;
    size_t length = be16_get(p + 14);
    if (p[12] >> 4 != 2 || length > PROXY_PROTOCOL_MAX - V2_HEAD)
        return -1;
    if (p[12] != V2_COMMAND_LOCAL && p[12] != V2_COMMAND_PROXY)
        return -1;
    if (n < V2_HEAD + length)
        return 0;
    int size = (int)(V2_HEAD + length);
    /* A health check of the balancer's own. */
    if (p[12] == V2_COMMAND_LOCAL)
        return size;
    if ((p[13] >> 4) != 0 && (p[13] & 15) != V2_STREAM)
        return -1;
    int used = read_v2_addresses(out, p[13], p + V2_HEAD, length);
    if (used < 0)
        return -1;
    out->tlvs = str_n(p + V2_HEAD + used, length - (size_t)used);
    return size;
}

int proxy_protocol_read(struct proxy_protocol *out, const uint8_t *p, size_t n)
{
    size_t common = n < sizeof signature ? n : sizeof signature;

    *out = (struct proxy_protocol){0};
    if (memcmp(p, signature, common) == 0)
        return n < sizeof signature ? 0 : read_v2(out, p, n);
    common = n < 6 ? n : 6;
    if (memcmp(p, "PROXY ", common) != 0)
        return -1;
    return n < 6 ? 0 : read_v1(out, str_n(p, n));
}

/* ---- fields ---- */

bool proxy_protocol_find(struct str tlvs, unsigned type, struct str *value)
{
    while (tlvs.n >= 3) {
        size_t n = be16_get(tlvs.p + 1);
        if (n > tlvs.n - 3)
            return false;
        if ((uint8_t)tlvs.p[0] == type) {
            *value = str_slice(tlvs, 3, 3 + n);
            return true;
        }
        tlvs = str_slice(tlvs, 3 + n, tlvs.n);
    }
    return false;
}

bool proxy_protocol_ssl(struct str ssl, uint32_t *verify, struct str *tlvs)
{
    if (ssl.n < 5)
        return false;
    *verify = be32_get(ssl.p + 1);
    *tlvs = str_slice(ssl, 5, ssl.n);
    return true;
}

/* ---- writing ---- */

static size_t write_v1(char *out, const struct address *source,
                       const struct address *server)
{
    char from[ADDRESS_TEXT_MAX], to[ADDRESS_TEXT_MAX];
    sa_family_t family = source->sa.any.sa_family;
    int n;

    if ((family != AF_INET && family != AF_INET6) ||
        server->sa.any.sa_family != family)
        n = snprintf(out, PROXY_PROTOCOL_OUT_MAX, "PROXY UNKNOWN\r\n");
    else
        n = snprintf(out, PROXY_PROTOCOL_OUT_MAX,
                     "PROXY TCP%c %.*s %.*s %u %u\r\n",
                     family == AF_INET ? '4' : '6',
                     STR_ARG(address_ip_text(source, from)),
                     STR_ARG(address_ip_text(server, to)), address_port(source),
                     address_port(server));
    return (size_t)n;
}

static size_t write_v2(uint8_t *out, const struct address *source,
                       const struct address *server)
{
    sa_family_t family = source->sa.any.sa_family;
    uint8_t *p = out + V2_HEAD;

    memcpy(out, signature, sizeof signature);
    out[12] = V2_COMMAND_PROXY;
    if (family == AF_INET && server->sa.any.sa_family == family) {
        out[13] = V2_FAMILY_INET << 4 | V2_STREAM;
        memcpy(p, &source->sa.in.sin_addr, 4);
        memcpy(p + 4, &server->sa.in.sin_addr, 4);
        memcpy(p + 8, &source->sa.in.sin_port, 2);
        memcpy(p + 10, &server->sa.in.sin_port, 2);
        p += 12;
    } else if (family == AF_INET6 && server->sa.any.sa_family == family) {
        out[13] = V2_FAMILY_INET6 << 4 | V2_STREAM;
        memcpy(p, &source->sa.in6.sin6_addr, 16);
        memcpy(p + 16, &server->sa.in6.sin6_addr, 16);
        memcpy(p + 32, &source->sa.in6.sin6_port, 2);
        memcpy(p + 34, &server->sa.in6.sin6_port, 2);
        p += 36;
    } else {
        out[13] = 0;
    }
    be16_put(out + 14, (uint16_t)(p - out - V2_HEAD));
    return (size_t)(p - out);
}

size_t proxy_protocol_write(char out[PROXY_PROTOCOL_OUT_MAX], unsigned version,
                            const struct address *source,
                            const struct address *server)
{
    return version == 1 ? write_v1(out, source, server)
                        : write_v2((uint8_t *)out, source, server);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http/proxy_protocol.h - what a load balancer says before a connection's
 * first byte: who connected to it.
 *
 * The PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt has
 * it.  Pure; the addresses of Unix sockets are read as none.
 */
#ifndef PENSTOCK_HTTP_PROXY_PROTOCOL_H
#define PENSTOCK_HTTP_PROXY_PROTOCOL_H

#include "base/address.h"

enum {
    PROXY_PROTOCOL_MAX = 4096,    /* bytes of a header that is taken */
    PROXY_PROTOCOL_V1_MAX = 107,  /* bytes of a line with its CR LF */
    PROXY_PROTOCOL_OUT_MAX = 108, /* bytes that are written, with a NUL */
};

/* Types of version 2's additional fields, section 2.2. */
enum proxy_protocol_tlv {
    PROXY_TLV_ALPN = 0x01,
    PROXY_TLV_AUTHORITY = 0x02,
    PROXY_TLV_UNIQUE_ID = 0x05,
    PROXY_TLV_SSL = 0x20,
    PROXY_TLV_SSL_VERSION = 0x21,
    PROXY_TLV_SSL_CN = 0x22,
    PROXY_TLV_SSL_CIPHER = 0x23,
    PROXY_TLV_SSL_SIG_ALG = 0x24,
    PROXY_TLV_SSL_KEY_ALG = 0x25,
    PROXY_TLV_NETNS = 0x30,
};

struct proxy_protocol {
    bool known;                    /* the addresses were said */
    struct address source, server; /* who connected, and to what */
    struct str tlvs;               /* inside the input; n 0: none */
};

/*
 * Read one header from the front of the n bytes at p.  Returns its size, 0
 * when more is needed, or -1 when it is none or too long.
 */
int proxy_protocol_read(struct proxy_protocol *out, const uint8_t *p, size_t n);

/* The value of the first field of that type.  False: there is none. */
bool proxy_protocol_find(struct str tlvs, unsigned type, struct str *value);

/* Within the value of PROXY_TLV_SSL: what it says itself, its own fields
 * behind that.  False when it is too short. */
bool proxy_protocol_ssl(struct str ssl, uint32_t *verify, struct str *tlvs);

/* Write a header of that version (1 or 2).  Returns its size. */
size_t proxy_protocol_write(char out[PROXY_PROTOCOL_OUT_MAX], unsigned version,
                            const struct address *source,
                            const struct address *server);

#endif

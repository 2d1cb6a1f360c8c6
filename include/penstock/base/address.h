/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/address.h - socket addresses and their text.
 *
 * "1.2.3.4:80", "[::1]:80", "unix:/path".  No name is looked up here.
 */
#ifndef PENSTOCK_BASE_ADDRESS_H
#define PENSTOCK_BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } sa;
    socklen_t length;
};

enum {
    ADDRESS_TEXT_MAX = 128 /* bytes of any address as text, with the NUL */
};

/* A literal IPv4, [IPv6] or IPv6 address, or -1 (quietly, for trying). */
int address_from_ip(struct address *a, struct str ip, uint16_t port);

/* A socket path (without "unix:"); -1 with err when it is too long. */
int address_from_path(struct address *a, struct str path, struct err *err);

/* From getsockname(), accept(), ... */
void address_from_sockaddr(struct address *a, const struct sockaddr *sa,
                           socklen_t length);

/* "203.0.113.9", "2001:db8::1", "unix:" (as nginx shows a unix client). */
struct str address_ip_text(const struct address *a, char out[ADDRESS_TEXT_MAX]);

/* With the port ("[::1]:80"), or "unix:/path". */
struct str address_text(const struct address *a, char out[ADDRESS_TEXT_MAX]);

void address_set_port(struct address *a, uint16_t port); /* unix: nothing */
uint16_t address_port(const struct address *a);          /* 0 for unix */
bool address_is_unix(const struct address *a);
bool address_eq(const struct address *a, const struct address *b);

#endif

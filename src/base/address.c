/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/check.h"

enum {
    IP_TEXT_MAX = INET6_ADDRSTRLEN + 2, /* with brackets and the NUL */
    PATH_AT = offsetof(struct sockaddr_un, sun_path),
};

int address_from_ip(struct address *a, struct str ip, uint16_t port)
{
    char text[IP_TEXT_MAX];
    bool bracketed = ip.n >= 2 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']';

    if (bracketed)
        ip = str_slice(ip, 1, ip.n - 1);
    if (ip.n == 0 || ip.n >= sizeof text || memchr(ip.p, 0, ip.n))
        return -1;
    memcpy(text, ip.p, ip.n);
    text[ip.n] = '\0';

    struct address made = {0};
    if (!bracketed && inet_pton(AF_INET, text, &made.sa.in.sin_addr) == 1) {
        made.sa.in.sin_family = AF_INET;
        made.sa.in.sin_port = htons(port);
        made.length = sizeof made.sa.in;
    } else if (inet_pton(AF_INET6, text, &made.sa.in6.sin6_addr) == 1) {
        made.sa.in6.sin6_family = AF_INET6;
        made.sa.in6.sin6_port = htons(port);
        made.length = sizeof made.sa.in6;
    } else {
        return -1;
    }
    *a = made;
    return 0;
}

int address_from_path(struct address *a, struct str path, struct err *err)
{
    if (path.n == 0)
        return err_set(err, "no path in the unix domain socket");
    if (memchr(path.p, 0, path.n))
        return err_set(err, "invalid path in the unix domain socket");
    if (path.n >= sizeof a->sa.un.sun_path)
        return err_set(err,
                       "too long path in the unix domain socket \"%.*s\", at "
                       "most %zu bytes are possible",
                       STR_ARG(path), sizeof a->sa.un.sun_path - 1);
    *a = (struct address){0};
    a->sa.un.sun_family = AF_UNIX;
    memcpy(a->sa.un.sun_path, path.p, path.n);
    a->length = (socklen_t)(PATH_AT + path.n + 1);
    return 0;
}

void address_from_sockaddr(struct address *a, const struct sockaddr *sa,
                           socklen_t length)
{
    *a = (struct address){0};
    /* The kernel reports the true length of what it had to cut. */
    if (length > sizeof a->sa.un)
        length = sizeof a->sa.un;
    if (length)
        memcpy(&a->sa, sa, length);
    a->length = length;
}

bool address_is_unix(const struct address *a)
{
    return a->sa.any.sa_family == AF_UNIX;
}

/* The path: empty for a socket without name, and neither a leading NUL (an
 * abstract name) nor a missing one at the end is trusted. */
static struct str path_of(const struct address *a)
{
    size_t room = a->length > PATH_AT ? a->length - PATH_AT : 0;
    if (room > sizeof a->sa.un.sun_path)
        room = sizeof a->sa.un.sun_path;
    if (room && a->sa.un.sun_path[0] == '\0')
        return str_n(a->sa.un.sun_path, room);
    return str_n(a->sa.un.sun_path, strnlen(a->sa.un.sun_path, room));
}

struct str address_ip_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    switch (a->sa.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &a->sa.in.sin_addr, out, ADDRESS_TEXT_MAX);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &a->sa.in6.sin6_addr, out, ADDRESS_TEXT_MAX);
        break;
    case AF_UNIX:
        memcpy(out, "unix:", sizeof "unix:");
        break;
    default:
        out[0] = '\0';
    }
    return str_c(out);
}

struct str address_text(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    char ip[ADDRESS_TEXT_MAX];
    unsigned port = address_port(a);
    int n = 0;

    switch (a->sa.any.sa_family) {
    case AF_INET:
        address_ip_text(a, ip);
        n = snprintf(out, ADDRESS_TEXT_MAX, "%.*s:%u", IP_TEXT_MAX, ip, port);
        break;
    case AF_INET6:
        address_ip_text(a, ip);
        n = snprintf(out, ADDRESS_TEXT_MAX, "[%.*s]:%u", IP_TEXT_MAX, ip, port);
        break;
    case AF_UNIX: {
        struct str path = path_of(a);
        bool abstract = path.n && path.p[0] == '\0';
        if (abstract)
            path = str_slice(path, 1, path.n);
        n = snprintf(out, ADDRESS_TEXT_MAX, "unix:%s%.*s", abstract ? "@" : "",
                     STR_ARG(path));
        break;
    }
    default:
        out[0] = '\0';
    }
    check(n >= 0 && n < ADDRESS_TEXT_MAX);
    return str_n(out, (size_t)n);
}

void address_set_port(struct address *a, uint16_t port)
{
    if (a->sa.any.sa_family == AF_INET)
        a->sa.in.sin_port = htons(port);
    else if (a->sa.any.sa_family == AF_INET6)
        a->sa.in6.sin6_port = htons(port);
}

uint16_t address_port(const struct address *a)
{
    switch (a->sa.any.sa_family) {
    case AF_INET:
        return ntohs(a->sa.in.sin_port);
    case AF_INET6:
        return ntohs(a->sa.in6.sin6_port);
    default:
        return 0;
    }
}

bool address_eq(const struct address *a, const struct address *b)
{
    if (a->sa.any.sa_family != b->sa.any.sa_family ||
        address_port(a) != address_port(b))
        return false;
    switch (a->sa.any.sa_family) {
    case AF_INET:
        return a->sa.in.sin_addr.s_addr == b->sa.in.sin_addr.s_addr;
    case AF_INET6:
        return memcmp(&a->sa.in6.sin6_addr, &b->sa.in6.sin6_addr,
                      sizeof a->sa.in6.sin6_addr) == 0 &&
               a->sa.in6.sin6_scope_id == b->sa.in6.sin6_scope_id;
    case AF_UNIX:
        return str_eq(path_of(a), path_of(b));
    default:
        return true;
    }
}

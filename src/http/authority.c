/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/authority.h"

#include <arpa/inet.h>

enum { BAD_AUTHORITY = -400 };

/* RFC 3986: unreserved and sub-delims; "%" is looked at by the caller. */
static bool is_reg_name(char c)
{
    char lower = ascii_lower(c);
    if ((lower >= 'a' && lower <= 'z') || ascii_is_digit(c))
        return true;
    return c && strchr("-._~!$&'()*+,;=", c);
}

static bool host_is_valid(struct str host)
{
    if (!host.n || (host.n == 1 && host.p[0] == '.'))
        return false;
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] == '%') {
            if (host.n - i < 3 || ascii_hex(host.p[i + 1]) < 0 ||
                ascii_hex(host.p[i + 2]) < 0)
                return false;
            i += 2;
        } else if (!is_reg_name(host.p[i]) ||
                   (host.p[i] == '.' && i && host.p[i - 1] == '.')) {
            return false;
        }
    }
    return true;
}

/* What stands between the brackets; a zone has no meaning on the wire. */
static bool ipv6_is_valid(struct str ip)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (ip.n >= sizeof text)
        return false;
    memcpy(text, ip.p, ip.n);
    text[ip.n] = '\0';
    return strlen(text) == ip.n && inet_pton(AF_INET6, text, &address) == 1;
}

int http_authority_split(struct str s, struct str *host, struct str *port)
{
    bool literal = s.n && s.p[0] == '[';
    size_t end = literal ? str_find(s, ']', 0) + 1 : str_find(s, ':', 0);

    if (end > s.n)
        return BAD_AUTHORITY;
    struct str name = str_slice(s, 0, end);
    struct str rest = str_slice(s, end, s.n);
    if (literal ? !ipv6_is_valid(str_slice(name, 1, name.n - 1))
                : !host_is_valid(name))
        return BAD_AUTHORITY;

    struct str digits = {NULL, 0};
    if (rest.n) {
        uint64_t number;
        digits = str_slice(rest, 1, rest.n);
        if (rest.p[0] != ':' ||
            (digits.n && !str_to_u64(digits, UINT16_MAX, &number)))
            return BAD_AUTHORITY;
    }
    *host = name;
    *port = digits;
    return 1;
}

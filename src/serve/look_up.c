/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/look_up.h"

#include <netdb.h>

static int look_up_name(struct conf *conf, const char *what, struct str host,
                        uint16_t port, struct address *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;

    if (getaddrinfo(arena_cstr(conf->arena, host), NULL, &hints, &found) != 0)
        return conf_fail(conf, "host not found in %s \"%.*s\"", what,
                         STR_ARG(host));
    address_from_sockaddr(out, found->ai_addr, found->ai_addrlen);
    if (found->ai_family == AF_INET)
        out->sa.in.sin_port = htons(port);
    else
        out->sa.in6.sin6_port = htons(port);
    freeaddrinfo(found);
    return 0;
}

int look_up_address(struct conf *conf, const char *what, struct str text,
                    uint16_t default_port, struct address *out)
{
    uint64_t port = default_port;

    if (str_starts(text, STR("unix:"))) {
        struct str path = str_slice(text, 5, text.n);
        if (!path.n)
            return conf_fail(conf, "no path in %s \"%.*s\"", what,
                             STR_ARG(text));
        return address_from_path(out, path, conf->err);
    }
    size_t bracket = text.n && text.p[0] == '[' ? str_find(text, ']', 0) : 0;
    size_t colon = str_find(text, ':', bracket);
    struct str host = str_slice(text, 0, colon);
    if (colon < text.n &&
        (!str_to_u64(str_slice(text, colon + 1, text.n), 65535, &port) ||
         !port))
        return conf_fail(conf, "invalid port in %s \"%.*s\"", what,
                         STR_ARG(text));
    if (!host.n)
        return conf_fail(conf, "no host in %s \"%.*s\"", what, STR_ARG(text));
    if (address_from_ip(out, host, (uint16_t)port) == 0)
        return 0;
    return look_up_name(conf, what, host, (uint16_t)port, out);
}

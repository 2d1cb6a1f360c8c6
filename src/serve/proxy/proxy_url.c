/* SPDX-License-Identifier: BSD-2-Clause */
#include "proxy_parts.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

static bool read_port(struct str text, uint16_t *port)
{
    uint64_t n;
    if (!str_to_u64(text, 65535, &n) || !n)
        return false;
    *port = (uint16_t)n;
    return true;
}

/* "http://unix:/path/of/socket:/uri": the path ends at the next colon. */
static bool read_unix(struct str text, struct proxy_url *url)
{
    size_t colon = str_find(text, ':', strlen("unix:"));

    url->host = str_slice(text, 0, colon);
    url->port = 0;
    if (colon < text.n)
        url->uri = str_slice(text, colon + 1, text.n);
    return url->host.n > strlen("unix:");
}

bool proxy_url_read(struct str text, struct proxy_url *url)
{
    *url = (struct proxy_url){.port = HTTP_PORT};
    if (str_starts_nocase(text, STR("https://"))) {
        url->tls = true;
        url->port = HTTPS_PORT;
    } else if (!str_starts_nocase(text, STR("http://"))) {
        return false;
    }
    text = str_slice(text, strlen("http://") + url->tls, text.n);
    if (str_starts(text, STR("unix:")))
        return read_unix(text, url);

    size_t end = 0;
    while (end < text.n && !strchr("/?", text.p[end]))
        end++;
    url->host = str_slice(text, 0, end);
    if (end < text.n)
        url->uri = str_slice(text, end, text.n);
    if (!url->host.n)
        return false;
    size_t colon = url->host.p[0] == '[' ? str_find(url->host, ']', 0) : 0;
    colon = str_find(url->host, ':', colon);
    return colon == url->host.n ||
           read_port(str_slice(url->host, colon + 1, url->host.n), &url->port);
}

struct str proxy_url_key(struct arena *arena, const struct generation *g,
                         const struct proxy_url *url)
{
    const struct upstream *u = upstream_find(g, url->host);
    size_t from = url->host.p[0] == '[' ? str_find(url->host, ']', 0) : 0;

    if (!url->tls || (u && u->is_block) ||
        str_starts(url->host, STR("unix:")) ||
        str_find(url->host, ':', from) < url->host.n)
        return url->host;
    return arena_printf(arena, "%.*s:%d", STR_ARG(url->host), HTTPS_PORT);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "greeting.h"

#include <stdlib.h>

#include "base/check.h"
#include "io/peek.h"

struct greeting {
    struct peek peek;
    struct client *client;
    void (*go_on)(struct client *c, int fd);
    struct proxy_protocol said;
    char *tlvs; /* said.tlvs' bytes */
};

enum { SHOWN_MAX = 107 /* bytes of a broken header in the log */ };

static void log_broken(const struct client *c, const uint8_t *p, size_t n)
{
    struct log_ctx log = log_process;
    char shown[SHOWN_MAX], ip[ADDRESS_TEXT_MAX];
    size_t kept = 0;

    while (kept < n && kept < sizeof shown && p[kept] >= ' ' && p[kept] < 127) {
        shown[kept] = (char)p[kept];
        kept++;
    }
    if (c->slot->listen)
        log.target = c->slot->listen->log;
    log.connection = c->number;
    log.describe = NULL;
    log_err(&log,
            "broken header: \"%.*s\" while reading PROXY protocol, client: "
            "%.*s",
            (int)kept, shown, STR_ARG(address_ip_text(&c->remote, ip)));
}

static void keep(struct greeting *g, const struct proxy_protocol *said)
{
    g->said = *said;
    if (!said->tlvs.n)
        return;
    g->tlvs = xmalloc(said->tlvs.n);
    memcpy(g->tlvs, said->tlvs.p, said->tlvs.n);
    g->said.tlvs = str_n(g->tlvs, said->tlvs.n);
}

static void on_bytes(struct peek *peek, const uint8_t *p, size_t n)
{
    struct greeting *g = CONTAINER(peek, struct greeting, peek);
    struct client *c = g->client;
    struct proxy_protocol said;
    int size = n ? proxy_protocol_read(&said, p, n) : -1;

    if (size == 0 && n < PEEK_MAX)
        return;
    if (size <= 0) {
        if (n)
            log_broken(c, p, n);
        peek_close(peek);
        g->go_on(c, -1);
        return;
    }
    keep(g, &said);
    g->go_on(c, peek_take(peek, (size_t)size));
}

void greeting_await(struct client *c, int fd,
                    void (*go_on)(struct client *c, int fd))
{
    struct greeting *g = xcalloc(1, sizeof *g);
    g->client = c;
    g->go_on = go_on;
    c->greeting = g;
    peek_open(&g->peek, c->listeners->loop, fd, on_bytes);
}

void greeting_forget(struct client *c)
{
    struct greeting *g = c->greeting;
    if (!g)
        return;
    peek_close(&g->peek);
}

void greeting_free(struct client *c)
{
    struct greeting *g = c->greeting;
    if (!g)
        return;
    free(g->tlvs);
    free(g);
    c->greeting = NULL;
}

const struct proxy_protocol *greeting_of(const struct client *c)
{
    return c->greeting && c->greeting->said.known ? &c->greeting->said : NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Variables about the connection that a request came by. */
#include <netinet/tcp.h>

#include "base/clock.h"
#include "serve/client.h"
#include "serve/variables.h"

#define GETTER(name)                                                           \
    static bool name(struct evaluation *e, const struct variable *v,           \
                     struct str *out)

static bool give_u64(struct evaluation *e, uint64_t value, struct str *out)
{
    *out = arena_printf(e->arena, "%llu", (unsigned long long)value);
    return true;
}

GETTER(get_connection_time)
{
    const struct client *c = e->request->client;
    (void)v;
    uint64_t now_ms = clock_now_ms();
    uint64_t ms = now_ms > c->started_ms ? now_ms - c->started_ms : 0;
    *out = arena_printf(e->arena, "%llu.%03u", (unsigned long long)(ms / 1000),
                        (unsigned)(ms % 1000));
    return true;
}

/* "p" for a request that was pipelined: it had begun to arrive before the
 * one in front of it was answered. */
GETTER(get_pipe)
{
    (void)v;
    *out = e->request->pipelined ? STR("p") : STR(".");
    return true;
}

/* ---- what the kernel knows of it ---- */

enum tcpinfo {
    TCPINFO_RTT = 1,
    TCPINFO_RTTVAR,
    TCPINFO_SND_CWND,
    TCPINFO_RCV_SPACE,
};

GETTER(get_tcpinfo)
{
    const struct client *c = e->request->client;
    struct tcp_info info = {0};
    socklen_t n = sizeof info;

    if (!c->stream || c->stream->fd == -1 || address_is_unix(&c->remote) ||
        getsockopt(c->stream->fd, IPPROTO_TCP, TCP_INFO, &info, &n) == -1)
        return false;
    switch ((enum tcpinfo)v->arg) {
    case TCPINFO_RTT:
        return give_u64(e, info.tcpi_rtt, out);
    case TCPINFO_RTTVAR:
        return give_u64(e, info.tcpi_rttvar, out);
    case TCPINFO_SND_CWND:
        return give_u64(e, info.tcpi_snd_cwnd, out);
    case TCPINFO_RCV_SPACE:
        return give_u64(e, info.tcpi_rcv_space, out);
    }
    return false;
}

/* ---- the port that was asked for ---- */

/* Of the request target or Host: "a:81" and "[::1]:81", or empty. */
static struct str port_of(struct str authority)
{
    size_t from =
        authority.n && authority.p[0] == '[' ? str_find(authority, ']', 0) : 0;
    return str_slice(authority, str_find(authority, ':', from) + 1,
                     authority.n);
}

GETTER(get_request_port)
{
    (void)v;
    *out = port_of(e->request->head.authority);
    if (!out->p)
        *out = STR("");
    return true;
}

GETTER(get_is_request_port)
{
    (void)v;
    *out = port_of(e->request->head.authority).n ? STR(":") : STR("");
    return true;
}

const struct variable connection_variables[] = {
    {.name = "connection_time",
     .get = get_connection_time,
     .flags = VARIABLE_LATE},
    {.name = "pipe", .get = get_pipe},
    {.name = "tcpinfo_rtt",
     .get = get_tcpinfo,
     .arg = TCPINFO_RTT,
     .flags = VARIABLE_LATE},
    {.name = "tcpinfo_rttvar",
     .get = get_tcpinfo,
     .arg = TCPINFO_RTTVAR,
     .flags = VARIABLE_LATE},
    {.name = "tcpinfo_snd_cwnd",
     .get = get_tcpinfo,
     .arg = TCPINFO_SND_CWND,
     .flags = VARIABLE_LATE},
    {.name = "tcpinfo_rcv_space",
     .get = get_tcpinfo,
     .arg = TCPINFO_RCV_SPACE,
     .flags = VARIABLE_LATE},
    {.name = "request_port", .get = get_request_port},
    {.name = "is_request_port", .get = get_is_request_port},
    {.name = NULL},
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/exchange.h"
#include "bridge/session.h"

#define GETTER(name)                                                           \
    static bool name(struct evaluation *e, const struct variable *v,           \
                     struct str *out)

/* NULL: the request did not become one, or not yet. */
static const struct session *session_of(const struct evaluation *e)
{
    const struct request *r = e->request;
    return r->handler == &websocket_handler ? r->handler_state : NULL;
}

static bool give(struct evaluation *e, uint64_t n, struct str *out)
{
    *out = arena_printf(e->arena, "%llu", (unsigned long long)n);
    return true;
}

enum number {
    NUMBER_ID,
    NUMBER_VERSION,
    NUMBER_MESSAGES_IN,
    NUMBER_MESSAGES_OUT,
    NUMBER_BYTES_IN,
    NUMBER_BYTES_OUT,
};

GETTER(get_number)
{
    const struct session *s = session_of(e);

    if (!s || (v->arg >= NUMBER_MESSAGES_IN && !s->stream))
        return false;
    switch ((enum number)v->arg) {
    case NUMBER_ID:
        return give(e, s->cid, out);
    case NUMBER_VERSION:
        return give(e, session_framing(s)->version, out);
    case NUMBER_MESSAGES_IN:
        return give(e, s->seq_in, out);
    case NUMBER_MESSAGES_OUT:
        return give(e, (uint64_t)s->seq_out + s->shared_out, out);
    case NUMBER_BYTES_IN:
        return give(e, s->reader.wire_bytes, out);
    case NUMBER_BYTES_OUT:
        return give(e, session_bytes_out(s), out);
    }
    return false;
}

/* The subprotocol that was chosen; the same as the 101 said. */
GETTER(get_protocol)
{
    const struct session *s = session_of(e);
    (void)v;
    if (!s || !s->stream)
        return false;
    *out = response_find(e->request, session_framing(s)->protocol_field);
    return out->p != NULL;
}

GETTER(get_close_code)
{
    const struct session *s = session_of(e);
    (void)v;
    return s && s->ending && give(e, s->close_code, out);
}

static struct str who(enum sluice_cause cause)
{
    switch (cause) {
    case SLUICE_CAUSE_CLIENT_CLOSE:
    case SLUICE_CAUSE_EOF:
    case SLUICE_CAUSE_SOCKET_ERROR:
    case SLUICE_CAUSE_LEFT_EARLY:
        return STR("client");
    case SLUICE_CAUSE_BACKEND_CLOSE:
    case SLUICE_CAUSE_TERMINATE:
    case SLUICE_CAUSE_BACKEND_LOST:
    case SLUICE_CAUSE_REJECTED:
        return STR("backend");
    case SLUICE_CAUSE_IDLE:
    case SLUICE_CAUSE_PING_TIMEOUT:
    case SLUICE_CAUSE_PROTOCOL_ERROR:
    case SLUICE_CAUSE_TOO_BIG:
    case SLUICE_CAUSE_BAD_UTF8:
    case SLUICE_CAUSE_SLOW_CLIENT:
    case SLUICE_CAUSE_SHUTDOWN:
    case SLUICE_CAUSE_ACCEPT_TIMEOUT:
    case SLUICE_CAUSE_LIMIT:
    case SLUICE_CAUSE_MOVED:
        break;
    }
    return STR("gateway");
}

GETTER(get_close_by)
{
    const struct session *s = session_of(e);
    (void)v;
    if (!s || !s->ending)
        return false;
    *out = who(ending_row(s->ending)->cause);
    return true;
}

GETTER(get_rtt)
{
    const struct session *s = session_of(e);
    (void)v;
    if (!s || !s->rtt_us)
        return false;
    *out = arena_printf(e->arena, "%u.%06u", s->rtt_us / 1000000u,
                        s->rtt_us % 1000000u);
    return true;
}

/* ---- backends: of sessions, and of requests with backend_pass ---- */

static const struct exchange *exchange_of(const struct evaluation *e)
{
    const struct request *r = e->request;
    return r->handler == &backend_handler ? r->handler_state : NULL;
}

GETTER(get_backend_name)
{
    const struct session *s = session_of(e);
    const struct exchange *x = exchange_of(e);
    (void)v;
    if (!s && !x)
        return false;
    if (s)
        *out = s->pool ? s->pool->name : s->conf->pool->name;
    else
        *out = x->conf->pool->name;
    return true;
}

GETTER(get_backend_addr)
{
    const struct session *s = session_of(e);
    const struct exchange *x = exchange_of(e);
    struct str path = {0};
    (void)v;
    if (s && s->link)
        path = str_c(s->link->backend->path);
    else if (x)
        path = x->backend_path;
    if (!path.p)
        return false;
    *out = arena_printf(e->arena, "unix:%.*s", STR_ARG(path));
    return true;
}

enum figure {
    FIGURE_CLIENTS = 0,
    FIGURE_READY,
    FIGURE_SESSIONS,
    FIGURE_REFUSED,
};

static uint64_t ready_links(const struct pool *p)
{
    uint64_t n = 0;
    LIST_EACH(item, after, &p->backends)
    {
        const struct link *l = CONTAINER(item, struct backend, in_pool)->link;
        n += l && l->state == LINK_READY;
    }
    return n;
}

/* Of the location's pool, in this worker. */
GETTER(get_figure)
{
    const struct request *r = e->request;
    const struct websocket_conf *ws = request_conf(r, &websocket_module);
    const struct backend_pass_conf *pass =
        request_conf(r, &backend_pass_module);
    const struct pool_conf *conf = ws->pool ? ws->pool : pass->pool;
    const struct pool *p = conf ? pool_find(conf->name) : NULL;

    if (!p)
        return false;
    switch ((enum figure)v->arg) {
    case FIGURE_CLIENTS:
        return give(e, p->clients, out);
    case FIGURE_READY:
        return give(e, ready_links(p), out);
    case FIGURE_SESSIONS:
        return give(e, p->counters.sessions, out);
    case FIGURE_REFUSED:
        return give(e, p->counters.refused, out);
    }
    return false;
}

#define FIGURE(which) .get = get_figure, .arg = FIGURE_##which
#define NUMBER(which) .get = get_number, .arg = NUMBER_##which
#define LIVE .flags = VARIABLE_LIVE

const struct variable websocket_variables[] = {
    {.name = "websocket_id", NUMBER(ID)},
    {.name = "websocket_version", NUMBER(VERSION)},
    {.name = "websocket_protocol", .get = get_protocol},
    {.name = "websocket_close_code", .get = get_close_code, LIVE},
    {.name = "websocket_close_by", .get = get_close_by, LIVE},
    {.name = "websocket_messages_in", NUMBER(MESSAGES_IN), LIVE},
    {.name = "websocket_messages_out", NUMBER(MESSAGES_OUT), LIVE},
    {.name = "websocket_bytes_in", NUMBER(BYTES_IN), LIVE},
    {.name = "websocket_bytes_out", NUMBER(BYTES_OUT), LIVE},
    {.name = "websocket_rtt", .get = get_rtt, LIVE},
    {.name = "backend_name", .get = get_backend_name},
    {.name = "backend_addr", .get = get_backend_addr, LIVE},
    {.name = "backend_clients", FIGURE(CLIENTS), LIVE},
    {.name = "backend_ready", FIGURE(READY), LIVE},
    {.name = "backend_sessions_total", FIGURE(SESSIONS), LIVE},
    {.name = "backend_refused", FIGURE(REFUSED), LIVE},
    {.name = NULL},
};

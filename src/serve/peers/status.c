/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"
#include "peers/peers.h"
#include "serve/core.h"
#include "serve/escape.h"
#include "serve/request.h"
#include "serve/zone.h"

static void put_text(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "\"%s\":\"", name);
    escape_log_json(out, value);
    buf_put_u8(out, '"');
}

static void put_number(struct buf *out, const char *name, uint64_t n)
{
    buf_printf(out, ",\"%s\":%llu", name, (unsigned long long)n);
}

static void put_flag(struct buf *out, const char *name, bool on)
{
    buf_printf(out, ",\"%s\":%s", name, on ? "true" : "false");
}

static const char *state_of(const struct peer *p, const struct peer_state *s,
                            uint64_t now_ms)
{
    struct peer copy = *p;

    copy.own = *s;
    copy.state = &copy.own;
    copy.max_conns = 0;
    if (p->down)
        return "down";
    if (s->health == PEER_UNHEALTHY)
        return "unhealthy";
    if (s->health == PEER_CHECKING)
        return "checking";
    if (!peer_is_usable(&copy, now_ms))
        return "unavail";
    return p->drain ? "draining" : "up";
}

static void put_responses(struct buf *out, const struct peer_state *s)
{
    uint64_t total = 0;

    buf_put_str(out, STR(",\"responses\":{"));
    for (unsigned i = 0; i < 5; i++) {
        buf_printf(out, "\"%uxx\":%llu,", i + 1,
                   (unsigned long long)s->responses[i]);
        total += s->responses[i];
    }
    buf_printf(out, "\"total\":%llu}", (unsigned long long)total);
}

static void put_checks(struct buf *out, const struct peer_state *s)
{
    if (!s->checks)
        return;
    buf_printf(out, ",\"health_checks\":{\"checks\":%llu",
               (unsigned long long)s->checks);
    put_number(out, "fails", s->checks_failed);
    put_number(out, "unhealthy", s->times_unhealthy);
    put_flag(out, "last_passed", s->last_passed);
    buf_put_u8(out, '}');
}

static void put_peer(struct buf *out, struct upstream *u, size_t i)
{
    const struct peer *p = &u->balance.peers[i];
    struct peer_state s = balance_look(&u->balance, p);
    uint64_t now_ms = clock_now_ms();

    buf_printf(out, "{\"id\":%zu,", i);
    put_text(out, "server", p->name);
    buf_put_u8(out, ',');
    put_text(out, "name", p->server);
    buf_printf(out, ",\"state\":\"%s\"", state_of(p, &s, now_ms));
    put_flag(out, "backup", p->backup);
    put_number(out, "weight", p->weight);
    put_number(out, "active", s.active);
    if (p->max_conns)
        put_number(out, "max_conns", p->max_conns);
    put_number(out, "requests", s.requests);
    put_responses(out, &s);
    put_number(out, "sent", s.sent);
    put_number(out, "received", s.received);
    put_number(out, "fails", s.failures);
    put_number(out, "unavail", s.unavailable);
    put_checks(out, &s);
    put_number(out, "header_time", s.header_us / 1000);
    put_number(out, "response_time", s.response_us / 1000);
    if (s.requests)
        put_number(out, "idle", now_ms - s.selected_ms);
    buf_put_u8(out, '}');
}

static void put_upstream(struct buf *out, struct upstream *u)
{
    bool first = true;

    buf_put_u8(out, '"');
    escape_log_json(out, u->name);
    buf_put_str(out, STR("\":{\"peers\":["));
    for (size_t i = 0; i < u->balance.peers_n; i++) {
        if (u->balance.peers[i].vacant)
            continue;
        if (!first)
            buf_put_str(out, STR(",\n"));
        first = false;
        put_peer(out, u, i);
    }
    buf_put_u8(out, ']');
    put_number(out, "keepalive", u->idle_n);
    if (u->zone) {
        buf_put_u8(out, ',');
        put_text(out, "zone", u->zone->name);
    }
    buf_put_u8(out, '}');
}

static int start(struct request *r)
{
    const struct map_entry *entry;
    struct buf out = {0};
    size_t it = 0;
    bool first = true;

    if (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD)
        return 405;
    buf_put_str(&out, STR("{\"upstreams\":{"));
    while ((entry = map_next(&r->generation->upstreams, &it))) {
        struct upstream *u = entry->value;
        if (!u->is_block)
            continue;
        if (!first)
            buf_put_str(&out, STR(",\n"));
        first = false;
        put_upstream(&out, u);
    }
    buf_put_str(&out, STR("}}\n"));
    struct str body = arena_str(r->arena, buf_str(&out));
    buf_fini(&out);
    return request_respond(r, 200, STR("application/json"), body);
}

static const struct handler status_handler = {
    .name = "upstream_status",
    .start = start,
};

static int set_status(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    (void)conf, (void)row, (void)node, (void)field;
    location_of_scope(scope)->handler = &status_handler;
    return 0;
}

static const struct directive status_directives[] = {
    {.name = "upstream_status",
     .contexts = CONF_LOCATION,
     .arity = ARGS_0,
     .set = set_status,
     .help = "Answers with what is known of each server of each upstream, as "
             "JSON."},
    {.name = NULL},
};

struct conf_module upstream_status_module = {
    .name = "upstream_status",
    .directives = status_directives,
};

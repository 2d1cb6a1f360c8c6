/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/random.h"
#include "peers/peers.h"
#include "proxy_parts.h"
#include "serve/resolving.h"
#include "serve/sticky.h"

/* ---- making one ---- */

static void on_death(void *arg)
{
    struct upstream *u = arg;
    timer_clear(&u->trim);
    while (!list_is_empty(&u->idle))
        upstream_conn_close(
            CONTAINER(u->idle.next, struct upstream_conn, link));
}

static struct upstream *create(struct conf *conf, struct str name)
{
    struct upstream *u = arena_calloc(conf->arena, sizeof *u);

    *u = (struct upstream){
        .name = name,
        .balance = {.method = &balance_round_robin},
        .keepalive = 32, /* nginx's, on by default since 1.29.7 */
        .keepalive_requests = 1000,
        .keepalive_time_ms = 3600000,
        .keepalive_timeout_ms = 60000,
    };
    list_init(&u->idle);
    timer_init(&u->trim, upstream_trim);
    arena_on_destroy(conf->arena, on_death, u);
    return u;
}

static void use_peers(struct conf *conf, struct upstream *u,
                      const struct peer_list *list)
{
    u->balance.peers = list->items;
    u->balance.peers_n = list->n;
    balance_init(&u->balance, conf->arena);
}

struct upstream *upstream_find(const struct generation *g, struct str name)
{
    return map_find(&g->upstreams, name);
}

struct upstream *upstream_of_host(struct conf *conf, struct str host,
                                  uint16_t default_port)
{
    struct generation *g = generation_of(conf);
    struct upstream *u = upstream_find(g, host);
    struct peer_list list = {0};

    if (u)
        return u;
    u = create(conf, host);
    if (peers_add(conf, host, default_port, &list, &peer_model) == -1)
        return NULL;
    use_peers(conf, u, &list);
    map_add(&g->upstreams, u->name, u);
    return u;
}

struct upstream *upstream_of_address(struct arena *arena, struct str host,
                                     uint16_t port)
{
    struct err ignored;
    struct conf conf = {.arena = arena, .err = &ignored};
    struct peer_list list = {0};
    size_t colon = host.n && host.p[0] == '[' ? str_find(host, ']', 0) : 0;
    struct str name = str_slice(host, 0, str_find(host, ':', colon));
    struct address address;

    if (!str_starts(host, STR("unix:")) &&
        address_from_ip(&address, name, port) == -1)
        return NULL;
    if (peers_add(&conf, host, port, &list, &peer_model) == -1)
        return NULL;
    struct upstream *u = create(&conf, host);
    u->keepalive = 0; /* it lives as long as its request */
    use_peers(&conf, u, &list);
    return u;
}

struct upstream *upstream_of_addresses(struct arena *arena, struct str name,
                                       const struct address *addresses,
                                       size_t n, uint16_t port)
{
    struct err ignored;
    struct conf conf = {.arena = arena, .err = &ignored};
    struct upstream *u = create(&conf, name);
    struct peer_list list = {0};
    size_t first = random_below((uint32_t)n); /* share the load of a name */

    for (size_t i = 0; i < n; i++) {
        struct address a = addresses[(first + i) % n];
        address_set_port(&a, port);
        peers_add_address(&conf, &list, &peer_model, &a);
    }
    u->keepalive = 0;
    use_peers(&conf, u, &list);
    return u;
}

/* ---- upstream{} ---- */

static int block_upstream(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct generation *g = generation_of(conf);
    struct upstream_block b = {.upstream = create(conf, conf_arg(node, 1))};
    struct conf_scope *made;
    (void)row, (void)field;

    b.upstream->is_block = true;
    if (!map_add(&g->upstreams, b.upstream->name, b.upstream))
        return conf_fail(conf, "duplicate upstream \"%.*s\"",
                         STR_ARG(b.upstream->name));
    if (conf_block(conf, scope, CONF_UPSTREAM, node, &b, &made) == -1)
        return -1;
    if (!b.peers.n)
        return conf_fail_at(conf, node, "no servers are inside upstream");
    b.upstream->resolving = conf_get(made, &resolver_module);
    if (resolved_check(conf, &b) == -1 || methods_check(conf, &b) == -1)
        return -1;
    for (size_t i = 0; b.upstream->sticky && i < b.peers.n; i++)
        if (!b.peers.items[i].route.p)
            sticky_identify(&b.peers.items[i],
                            arena_alloc(conf->arena, STICKY_ID_SIZE));
    use_peers(conf, b.upstream, &b.peers);
    return 0;
}

static int set_keepalive(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    struct upstream *u = upstream_of_scope(scope);
    (void)row, (void)field;

    if (!str_to_u64(conf_arg(node, 1), UINT16_MAX, &u->keepalive))
        return conf_fail(conf,
                         "invalid value \"%.*s\" in \"keepalive\" "
                         "directive",
                         STR_ARG(conf_arg(node, 1)));
    if (node->words_n == 3 && !str_eq(conf_arg(node, 2), STR("local")))
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected "
                         "\"local\"",
                         STR_ARG(conf_arg(node, 2)));
    return 0;
}

/* The generic setters write to the upstream rather than to a module's
 * struct. */
static int set_number(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    (void)field;
    return conf_set_number(conf, scope, row, node,
                           (char *)upstream_of_scope(scope) + row->offset);
}

static int set_ms(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    (void)field;
    return conf_set_ms(conf, scope, row, node,
                       (char *)upstream_of_scope(scope) + row->offset);
}

static const struct directive upstream_directives[] = {
    {.name = "upstream",
     .syntax = "NAME",
     .contexts = CONF_HTTP,
     .arity = ARGS_1,
     .flags = CONF_BLOCK | CONF_REPEATABLE | CONF_DEFINES,
     .set = block_upstream,
     .help = "A group of HTTP servers for proxy_pass."},
    {.name = "keepalive",
     .syntax = "NUMBER [local]",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1 | ARGS_2,
     .set = set_keepalive,
     .default_text = "32 local",
     .help = "Idle connections that each worker keeps; 0 is none."},
    {.name = "keepalive_requests",
     .syntax = "NUMBER",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1,
     .set = set_number,
     .offset = offsetof(struct upstream, keepalive_requests),
     .default_text = "1000",
     .help = "Requests on one connection before it is closed."},
    {.name = "keepalive_time",
     .syntax = "TIME",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1,
     .set = set_ms,
     .offset = offsetof(struct upstream, keepalive_time_ms),
     .default_text = "1h",
     .help = "Age at which a connection is closed after its request."},
    {.name = "keepalive_timeout",
     .syntax = "TIME",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1,
     .set = set_ms,
     .offset = offsetof(struct upstream, keepalive_timeout_ms),
     .default_text = "60s",
     .help = "How long an idle connection is kept."},
    {.name = NULL},
};

struct conf_module upstream_module = {
    .name = "upstream",
    .directives = upstream_directives,
};

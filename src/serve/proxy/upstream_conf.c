/* SPDX-License-Identifier: BSD-2-Clause */
#include <netdb.h>

#include "base/check.h"
#include "proxy_parts.h"

/* An upstream{} while it is read; the object of its scope. */
struct upstream_block {
    struct upstream *upstream;
    struct peer_list {
        struct peer *items;
        size_t n, capacity;
    } peers;
};

/* ---- addresses ---- */

static struct peer *add_peer(struct conf *conf, struct peer_list *list,
                             const struct peer *model,
                             const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];

    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct peer *bigger =
            arena_alloc(conf->arena, capacity * sizeof *bigger);
        if (list->n)
            memcpy(bigger, list->items, list->n * sizeof *bigger);
        list->items = bigger;
        list->capacity = capacity;
    }
    struct peer *p = &list->items[list->n++];
    *p = *model;
    p->object = arena_copy(conf->arena, address, sizeof *address);
    p->name = arena_str(conf->arena, address_text(address, text));
    return p;
}

/* "host", "host:port", "[v6]:port"; -1 with nginx's words. */
static int split_host(struct conf *conf, struct str text, uint16_t *port,
                      struct str *host)
{
    size_t colon = text.n && text.p[0] == '[' ? str_find(text, ']', 0) : 0;
    uint64_t number;

    colon = str_find(text, ':', colon);
    *host = str_slice(text, 0, colon);
    if (!host->n)
        return conf_fail(conf, "no host in upstream \"%.*s\"", STR_ARG(text));
    if (colon == text.n)
        return 0;
    if (!str_to_u64(str_slice(text, colon + 1, text.n), 65535, &number) ||
        !number)
        return conf_fail(conf, "invalid port in upstream \"%.*s\"",
                         STR_ARG(text));
    *port = (uint16_t)number;
    return 0;
}

/* A name with several addresses is several peers, as in nginx. */
static int look_up(struct conf *conf, struct str host, uint16_t port,
                   struct peer_list *list, const struct peer *model)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;

    if (getaddrinfo(arena_cstr(conf->arena, host), NULL, &hints, &found) != 0)
        return conf_fail(conf, "host not found in upstream \"%.*s\"",
                         STR_ARG(host));
    for (const struct addrinfo *ai = found; ai; ai = ai->ai_next) {
        struct address address;
        address_from_sockaddr(&address, ai->ai_addr, ai->ai_addrlen);
        if (ai->ai_family == AF_INET)
            address.sa.in.sin_port = htons(port);
        else
            address.sa.in6.sin6_port = htons(port);
        add_peer(conf, list, model, &address);
    }
    freeaddrinfo(found);
    return 0;
}

static int add_server(struct conf *conf, struct str text, uint16_t port,
                      struct peer_list *list, const struct peer *model)
{
    struct address address;
    struct str host;

    if (str_starts(text, STR("unix:"))) {
        struct str path = str_slice(text, strlen("unix:"), text.n);
        if (!path.n)
            return conf_fail(conf, "no path in upstream \"%.*s\"",
                             STR_ARG(text));
        if (address_from_path(&address, path, conf->err) == -1)
            return -1;
        add_peer(conf, list, model, &address);
        return 0;
    }
    if (split_host(conf, text, &port, &host) == -1)
        return -1;
    if (address_from_ip(&address, host, port) == 0) {
        add_peer(conf, list, model, &address);
        return 0;
    }
    return look_up(conf, host, port, list, model);
}

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

struct upstream *upstream_find(const struct generation *g, struct str name)
{
    return map_find(&g->upstreams, name);
}

struct upstream *upstream_of_host(struct conf *conf, struct str host,
                                  uint16_t default_port)
{
    struct generation *g = generation_of(conf);
    struct upstream *u = upstream_find(g, host);
    struct peer model = {.weight = 1, .max_fails = 1, .fail_timeout_ms = 10000};
    struct peer_list list = {0};

    if (u)
        return u;
    u = create(conf, host);
    if (add_server(conf, host, default_port, &list, &model) == -1)
        return NULL;
    u->balance.peers = list.items;
    u->balance.peers_n = list.n;
    map_add(&g->upstreams, u->name, u);
    return u;
}

struct upstream *upstream_of_address(struct arena *arena, struct str host,
                                     uint16_t port)
{
    struct err ignored;
    struct conf conf = {.arena = arena, .err = &ignored};
    struct peer model = {.weight = 1};
    struct peer_list list = {0};
    size_t colon = host.n && host.p[0] == '[' ? str_find(host, ']', 0) : 0;
    struct str name = str_slice(host, 0, str_find(host, ':', colon));
    struct address address;

    if (str_starts(host, STR("unix:"))) {
        if (add_server(&conf, host, 0, &list, &model) == -1)
            return NULL;
    } else if (address_from_ip(&address, name, port) == 0) {
        add_peer(&conf, &list, &model, &address);
    } else {
        return NULL;
    }
    struct upstream *u = create(&conf, host);
    u->keepalive = 0; /* it lives as long as its request */
    u->balance.peers = list.items;
    u->balance.peers_n = list.n;
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
    b.upstream->balance.peers = b.peers.items;
    b.upstream->balance.peers_n = b.peers.n;
    return 0;
}

static int server_parameter(struct conf *conf, struct str word,
                            struct peer *peer)
{
    struct str value = word;
    struct str name = str_cut(&value, '=');
    uint64_t n;

    if (str_eq(word, STR("backup"))) {
        peer->backup = true;
        return 0;
    }
    if (str_eq(word, STR("down"))) {
        peer->down = true;
        return 0;
    }
    if (str_eq(name, STR("weight")) && str_to_u64(value, 65535, &n) && n) {
        peer->weight = (uint32_t)n;
        return 0;
    }
    if (str_eq(name, STR("max_conns")) && str_to_u64(value, UINT32_MAX, &n)) {
        peer->max_conns = (uint32_t)n;
        return 0;
    }
    if (str_eq(name, STR("max_fails")) && str_to_u64(value, UINT32_MAX, &n)) {
        peer->max_fails = (uint32_t)n;
        return 0;
    }
    if (str_eq(name, STR("fail_timeout")) &&
        conf_parse_ms(value, &peer->fail_timeout_ms))
        return 0;
    if (str_eq(word, STR("resolve")) || str_eq(name, STR("slow_start")) ||
        str_eq(name, STR("service")) || str_eq(name, STR("route")))
        return conf_fail(conf,
                         "the \"%.*s\" parameter of \"server\" is not "
                         "supported",
                         STR_ARG(word));
    return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
}

static int set_server(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct upstream_block *b = scope->object;
    struct peer model = {.weight = 1, .max_fails = 1, .fail_timeout_ms = 10000};
    (void)row, (void)field;

    for (size_t i = 2; i < node->words_n; i++)
        if (server_parameter(conf, conf_arg(node, i), &model) == -1)
            return -1;
    return add_server(conf, conf_arg(node, 1), 80, &b->peers, &model);
}

static struct upstream *upstream_of(struct conf_scope *scope)
{
    return ((struct upstream_block *)scope->object)->upstream;
}

static int set_keepalive(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    struct upstream *u = upstream_of(scope);
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
                           (char *)upstream_of(scope) + row->offset);
}

static int set_ms(struct conf *conf, struct conf_scope *scope,
                  const struct directive *row, const struct conf_node *node,
                  void *field)
{
    (void)field;
    return conf_set_ms(conf, scope, row, node,
                       (char *)upstream_of(scope) + row->offset);
}

static int set_method(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct upstream *u = upstream_of(scope);
    (void)node, (void)field;
    if (u->balance.method != &balance_round_robin)
        conf_warn(conf, "load balancing method redefined");
    u->balance.method = row->data;
    return 0;
}

static const struct directive upstream_directives[] = {
    {.name = "upstream",
     .syntax = "NAME",
     .contexts = CONF_HTTP,
     .arity = ARGS_1,
     .flags = CONF_BLOCK | CONF_REPEATABLE | CONF_DEFINES,
     .set = block_upstream,
     .help = "A group of HTTP servers for proxy_pass."},
    {.name = "server",
     .syntax = "ADDRESS [weight=N] [max_conns=N] [max_fails=N] "
               "[fail_timeout=TIME] [backup] [down]",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_server,
     .help = "ADDRESS [weight=] [max_conns=] [max_fails=] [fail_timeout=] "
             "[backup] [down]: one server of the group."},
    {.name = "least_conn",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_0,
     .set = set_method,
     .data = &balance_least_conn,
     .help = "Choose the server with the fewest active requests."},
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

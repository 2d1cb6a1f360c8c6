/* SPDX-License-Identifier: BSD-2-Clause */
#include <netdb.h>

#include "base/check.h"
#include "peers/peers.h"

enum { HTTP_PORT = 80 };

const struct peer peer_model = {
    .weight = 1, .max_fails = 1, .fail_timeout_ms = 10000};

/* ---- addresses ---- */

struct peer *peers_add_address(struct conf *conf, struct peer_list *list,
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
        address_set_port(&address, port);
        peers_add_address(conf, list, model, &address);
    }
    freeaddrinfo(found);
    return 0;
}

int peers_add(struct conf *conf, struct str text, uint16_t port,
              struct peer_list *list, const struct peer *given)
{
    struct address address;
    struct peer named = *given;
    const struct peer *model = &named;
    struct str host;

    named.server = text;
    if (str_starts(text, STR("unix:"))) {
        struct str path = str_slice(text, strlen("unix:"), text.n);
        if (!path.n)
            return conf_fail(conf, "no path in upstream \"%.*s\"",
                             STR_ARG(text));
        if (address_from_path(&address, path, conf->err) == -1)
            return -1;
        peers_add_address(conf, list, model, &address);
        return 0;
    }
    if (split_host(conf, text, &port, &host) == -1)
        return -1;
    if (address_from_ip(&address, host, port) == 0) {
        peers_add_address(conf, list, model, &address);
        return 0;
    }
    return look_up(conf, host, port, list, model);
}

/* ---- server ---- */

static int server_parameter(struct conf *conf, struct str word,
                            struct peer *peer, bool *resolve)
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
    if (str_eq(word, STR("drain"))) {
        peer->drain = true;
        return 0;
    }
    if (str_eq(name, STR("slow_start")) &&
        conf_parse_ms(value, &peer->slow_start_ms))
        return 0;
    if (str_eq(word, STR("resolve"))) {
        *resolve = true;
        return 0;
    }
    if (str_eq(name, STR("route")) && value.n) {
        peer->route = value;
        return 0;
    }
    if (str_eq(name, STR("service")))
        return conf_fail(conf,
                         "the \"%.*s\" parameter of \"server\" is not "
                         "supported",
                         STR_ARG(word));
    return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
}

/* `resolve`: an address is what it is, a name is looked up later. */
static int add_name(struct conf *conf, struct str text,
                    struct upstream_block *b, const struct peer *model)
{
    struct address address;
    uint16_t port = HTTP_PORT;
    struct str host;

    if (str_starts(text, STR("unix:")))
        return peers_add(conf, text, port, &b->peers, model);
    if (split_host(conf, text, &port, &host) == -1)
        return -1;
    if (address_from_ip(&address, host, port) == 0)
        return peers_add(conf, text, port, &b->peers, model);
    if (!resolver_name_is_valid(host))
        return conf_fail(conf, "invalid host in upstream \"%.*s\"",
                         STR_ARG(text));
    resolved_add(conf, b, text, host, port, model);
    return 0;
}

static int set_server(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct upstream_block *b = upstream_block_of(scope);
    struct peer model = peer_model;
    bool resolve = false;
    (void)row, (void)field;

    for (size_t i = 2; i < node->words_n; i++)
        if (server_parameter(conf, conf_arg(node, i), &model, &resolve) == -1)
            return -1;
    if (model.backup)
        b->backup_node = node;
    if (model.slow_start_ms)
        b->slow_node = node;
    if (resolve)
        return add_name(conf, conf_arg(node, 1), b, &model);
    return peers_add(conf, conf_arg(node, 1), HTTP_PORT, &b->peers, &model);
}

static const struct directive server_directives[] = {
    {.name = "server",
     .syntax = "ADDRESS [weight=N] [max_conns=N] [max_fails=N] "
               "[fail_timeout=TIME] [slow_start=TIME] [backup] [down] "
               "[drain] [resolve] [route=TEXT]",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_server,
     .help = "One server of the group, or as many as the name has addresses. "
             "drain: only requests that sticky binds to it.  resolve: the "
             "name's addresses are looked up again and again."},
    {.name = NULL},
};

struct conf_module upstream_server_module = {
    .name = "upstream_server",
    .directives = server_directives,
};

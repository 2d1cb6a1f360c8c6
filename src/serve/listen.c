/* SPDX-License-Identifier: BSD-2-Clause */
#include <netdb.h>
#include <unistd.h>

#include "base/check.h"
#include "blocks.h"
#include "serve/core.h"

enum {
    DEFAULT_BACKLOG = 511, /* nginx's on Linux */
    PORT_MAX = 65535,
};

/* Where a server without listen listens: nginx's choice for both cases. */
static uint16_t default_port(void)
{
    return getuid() == 0 ? 80 : 8000;
}

/* ---- the address ---- */

struct host_port {
    struct str host; /* empty or "*": any */
    uint16_t first, last;
};

static int read_ports(struct conf *conf, struct str text, struct host_port *hp)
{
    uint64_t first, last;
    struct str rest = text;
    struct str head = str_cut(&rest, '-');

    if (!str_to_u64(head, PORT_MAX, &first) || first == 0)
        return conf_fail(conf,
                         "invalid port in \"%.*s\" of the \"listen\" "
                         "directive",
                         STR_ARG(text));
    last = first;
    if (rest.p && (!str_to_u64(rest, PORT_MAX, &last) || last < first))
        return conf_fail(conf,
                         "invalid port range in \"%.*s\" of the "
                         "\"listen\" directive",
                         STR_ARG(text));
    hp->first = (uint16_t)first;
    hp->last = (uint16_t)last;
    return 0;
}

/* "80", "8000-8010", "host", "host:80", "[::]:80", "*:80". */
static int split_address(struct conf *conf, struct str text,
                         struct host_port *hp)
{
    size_t at = text.n;
    bool all_digits = text.n > 0;

    *hp = (struct host_port){.first = default_port(), .last = default_port()};
    for (size_t i = 0; i < text.n; i++)
        all_digits &= ascii_is_digit(text.p[i]) || (i && text.p[i] == '-');
    if (all_digits)
        return read_ports(conf, text, hp);
    if (text.n && text.p[0] == '[') {
        size_t end = str_find(text, ']', 0);
        if (end == text.n)
            return conf_fail(conf,
                             "invalid address in \"%.*s\" of the "
                             "\"listen\" directive",
                             STR_ARG(text));
        hp->host = str_slice(text, 0, end + 1);
        at = end + 1;
    } else {
        at = str_find(text, ':', 0);
        hp->host = str_slice(text, 0, at);
    }
    if (at == text.n)
        return 0;
    if (text.p[at] != ':')
        return conf_fail(conf,
                         "invalid port in \"%.*s\" of the \"listen\" "
                         "directive",
                         STR_ARG(text));
    return read_ports(conf, str_slice(text, at + 1, text.n), hp);
}

/* A name is looked up once, at load; "localhost" is the usual one. */
static int look_up(struct conf *conf, struct str host, uint16_t port,
                   struct address *out)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;

    int rc = getaddrinfo(arena_cstr(conf->arena, host), NULL, &hints, &list);
    if (rc != 0 || !list)
        return conf_fail(conf,
                         "host not found in \"%.*s\" of the \"listen\" "
                         "directive",
                         STR_ARG(host));
    /* IPv4 first, as nginx prefers it. */
    const struct addrinfo *best = list;
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
        if (ai->ai_family == AF_INET) {
            best = ai;
            break;
        }
    address_from_sockaddr(out, best->ai_addr, best->ai_addrlen);
    freeaddrinfo(list);
    if (out->sa.any.sa_family == AF_INET)
        out->sa.in.sin_port = htons(port);
    else
        out->sa.in6.sin6_port = htons(port);
    return 0;
}

static int make_address(struct conf *conf, struct str host, uint16_t port,
                        struct address *out)
{
    if (host.n == 0 || str_eq(host, STR("*")))
        return address_from_ip(out, STR("0.0.0.0"), port);
    if (address_from_ip(out, host, port) == 0)
        return 0;
    if (host.p[0] == '[')
        return conf_fail(conf,
                         "invalid IPv6 address in \"%.*s\" of the "
                         "\"listen\" directive",
                         STR_ARG(host));
    return look_up(conf, host, port, out);
}

/* ---- the parameters ---- */

static int read_keepalive(struct conf *conf, struct str value, struct listen *l)
{
    l->keepalive_set = true;
    l->keepalive_on = !str_eq(value, STR("off"));
    if (str_eq(value, STR("on")) || str_eq(value, STR("off")))
        return 0;

    struct str rest = value;
    struct str idle = str_cut(&rest, ':');
    struct str interval = str_cut(&rest, ':');
    uint64_t idle_ms = 0, interval_ms = 0, count = 0;
    if ((idle.n && !conf_parse_ms(idle, &idle_ms)) ||
        (interval.n && !conf_parse_ms(interval, &interval_ms)) ||
        (rest.n && !str_to_u64(rest, 127, &count)) || idle_ms > INT32_MAX ||
        interval_ms > INT32_MAX || idle_ms + interval_ms + count == 0)
        return conf_fail(conf, "invalid so_keepalive value: \"%.*s\"",
                         STR_ARG(value));
    l->keepalive_idle = (int)(idle_ms / 1000);
    l->keepalive_interval = (int)(interval_ms / 1000);
    l->keepalive_count = (int)count;
    return 0;
}

static int read_number(struct conf *conf, const char *what, struct str value,
                       bool is_size, int *out)
{
    uint64_t n;
    bool good =
        is_size ? conf_parse_size(value, &n) : str_to_u64(value, INT32_MAX, &n);
    if (!good || n > INT32_MAX)
        return conf_fail(conf, "invalid %s \"%.*s\"", what, STR_ARG(value));
    *out = (int)n;
    return 0;
}

static int unsupported(struct conf *conf, struct str word)
{
    return conf_fail(conf,
                     "the \"%.*s\" parameter of \"listen\" is not "
                     "supported",
                     STR_ARG(word));
}

/* One parameter.  Returns 0, or -1 with the sentence. */
static int read_parameter(struct conf *conf, struct str word,
                          struct server_listen *sl)
{
    struct listen *l = &sl->options;
    struct str value = word;
    struct str name = str_cut(&value, '=');

    if (str_eq(word, STR("default_server")) || str_eq(word, STR("default"))) {
        l->is_default_set = true;
        return 0;
    }
    if (str_eq(word, STR("ssl"))) {
        l->ssl = true;
        return 0;
    }
    if (str_eq(word, STR("proxy_protocol"))) {
        l->proxy_protocol = true;
        return 0;
    }
    sl->has_options = true;
    if (str_eq(word, STR("bind")))
        return 0;
    if (str_eq(word, STR("reuseport"))) {
        l->reuseport = true;
        return 0;
    }
    if (str_eq(word, STR("deferred"))) {
        l->deferred = true;
        return 0;
    }
    if (str_eq(name, STR("backlog")))
        return read_number(conf, "backlog", value, false, &l->backlog);
    if (str_eq(name, STR("rcvbuf")))
        return read_number(conf, "rcvbuf", value, true, &l->rcvbuf);
    if (str_eq(name, STR("sndbuf")))
        return read_number(conf, "sndbuf", value, true, &l->sndbuf);
    if (str_eq(name, STR("fastopen")))
        return read_number(conf, "fastopen", value, false, &l->fastopen);
    if (str_eq(name, STR("so_keepalive")))
        return read_keepalive(conf, value, l);
    if (str_eq(name, STR("ipv6only"))) {
        if (!str_eq(value, STR("on")) && !str_eq(value, STR("off")))
            return conf_fail(conf, "invalid ipv6only flags \"%.*s\"",
                             STR_ARG(value));
        l->ipv6only = str_eq(value, STR("on"));
        return 0;
    }
    static const char *const later[] = {"http2", "quic", "multipath"};
    for (size_t i = 0; i < COUNT(later); i++)
        if (str_eq(word, str_c(later[i])))
            return unsupported(conf, word);
    return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
}

static int add_listen(struct conf *conf, struct server_block *b,
                      const struct server_listen *model,
                      const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];
    struct server_listen *sl = arena_copy(conf->arena, model, sizeof *model);

    sl->options.address = *address;
    sl->options.text = arena_str(conf->arena, address_text(address, text));
    for (struct server_listen *o = b->listens; o; o = o->next)
        if (address_eq(&o->options.address, address))
            return conf_fail(conf, "a duplicate listen %.*s",
                             STR_ARG(sl->options.text));
    *b->listens_end = sl;
    b->listens_end = &sl->next;
    return 0;
}

int listen_set(struct conf *conf, struct conf_scope *scope,
               const struct directive *row, const struct conf_node *node,
               void *field)
{
    (void)row, (void)field;
    struct server_block *b = scope->object;
    struct server_listen model = {.options = {.backlog = DEFAULT_BACKLOG,
                                              .ipv6only = true,
                                              .node = node}};
    struct str text = conf_arg(node, 1);
    struct address address = {0};

    for (size_t i = 2; i < node->words_n; i++)
        if (read_parameter(conf, conf_arg(node, i), &model) == -1)
            return -1;
    if (str_starts(text, STR("unix:"))) {
        const char *path = conf_full_path(
            conf, str_slice(text, strlen("unix:"), text.n), false);
        if (address_from_path(&address, str_c(path), conf->err) == -1)
            return -1;
        return add_listen(conf, b, &model, &address);
    }
    struct host_port hp;
    if (split_address(conf, text, &hp) == -1)
        return -1;
    for (unsigned port = hp.first; port <= hp.last; port++)
        if (make_address(conf, hp.host, (uint16_t)port, &address) == -1 ||
            add_listen(conf, b, &model, &address) == -1)
            return -1;
    return 0;
}

/* ---- joining the servers of an address ---- */

static struct listen *find_listen(struct generation *g,
                                  const struct address *address)
{
    for (struct listen *l = g->listens; l; l = l->next)
        if (address_eq(&l->address, address))
            return l;
    return NULL;
}

static struct listen *new_listen(struct conf *conf, struct generation *g,
                                 const struct listen *options)
{
    struct listen **end = &g->listens;
    struct listen *l = arena_copy(conf->arena, options, sizeof *options);

    while (*end)
        end = &(*end)->next;
    *end = l;
    l->names = names_create(conf->arena);
    return l;
}

static int add_names(struct conf *conf, struct listen *l,
                     struct server_block *b)
{
    for (struct server_name *n = b->names; n; n = n->next) {
        int rc = names_add(l->names, conf->variables, n->text, &b->server,
                           conf->err);
        if (rc == -1) {
            struct err why = *conf->err;
            return conf_fail_at(conf, n->node, "%s", why.text);
        }
        if (rc == 1)
            conf_warn(conf,
                      "conflicting server name \"%.*s\" on %.*s, "
                      "ignored",
                      STR_ARG(n->text), STR_ARG(l->text));
    }
    return 0;
}

/* The options of an address may be written in one of its servers. */
static int join_options(struct conf *conf, struct listen *l,
                        const struct server_listen *sl, bool *had_options)
{
    if (!sl->has_options)
        return 0;
    if (*had_options)
        return conf_fail_at(conf, sl->options.node,
                            "duplicate listen options for %.*s",
                            STR_ARG(l->text));
    struct listen kept = *l;
    *l = sl->options;
    l->next = kept.next;
    l->names = kept.names;
    l->default_server = kept.default_server;
    l->is_default_set = kept.is_default_set;
    l->log = kept.log;
    l->ssl |= kept.ssl;
    l->proxy_protocol |= kept.proxy_protocol;
    *had_options = true;
    return 0;
}

static int join(struct conf *conf, struct generation *g, struct server_block *b,
                struct server_listen *sl)
{
    struct listen *l = find_listen(g, &sl->options.address);
    bool is_default = sl->options.is_default_set;

    if (!l) {
        l = new_listen(conf, g, &sl->options);
        l->options_said = sl->has_options;
        l->default_server = &b->server;
    } else {
        if (is_default && l->is_default_set)
            return conf_fail_at(conf, sl->options.node,
                                "a duplicate default server for %.*s",
                                STR_ARG(l->text));
        bool said = l->options_said;
        l->ssl |= sl->options.ssl;
        l->proxy_protocol |= sl->options.proxy_protocol;
        if (join_options(conf, l, sl, &said) == -1)
            return -1;
        l->options_said = said;
        if (is_default) {
            l->is_default_set = true;
            l->default_server = &b->server;
        }
    }
    return add_names(conf, l, b);
}

int listens_on_end(struct conf *conf, struct server_block *servers)
{
    struct generation *g = generation_of(conf);

    for (struct server_block *b = servers; b; b = b->next) {
        b->server.name = b->names ? b->names->text : STR("");
        if (!b->names) {
            /* A server without a name answers to "no Host" only. */
            static const struct server_name none = {.text = STR_INIT("")};
            b->names = arena_copy(conf->arena, &none, sizeof none);
            b->names->node = b->node;
        }
        if (!b->listens) {
            struct server_listen model = {
                .options = {.backlog = DEFAULT_BACKLOG,
                            .ipv6only = true,
                            .node = b->node}};
            struct address any;
            address_from_ip(&any, STR("0.0.0.0"), default_port());
            if (add_listen(conf, b, &model, &any) == -1)
                return -1;
        }
        for (struct server_listen *sl = b->listens; sl; sl = sl->next)
            if (join(conf, g, b, sl) == -1)
                return -1;
    }
    for (struct listen *l = g->listens; l; l = l->next)
        l->log = core_conf_of(l->default_server->root)->log;
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* How an upstream's socket is made: proxy_bind and its options. */
#include "base/check.h"
#include "http/proxy_protocol.h"
#include "proxy_parts.h"

struct proxy_socket_conf {
    struct value *bind; /* NULL: the kernel chooses */
    bool keepalive;
    unsigned protocol;       /* version of the PROXY protocol; 0: none */
    uint64_t sndbuf, rcvbuf; /* bytes; 0: the kernel's */
};

/* "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80". */
static int read_local(struct str text, struct address *out)
{
    uint64_t port;

    if (address_from_ip(out, text, 0) == 0)
        return 0;
    size_t from = text.n && text.p[0] == '[' ? str_find(text, ']', 0) : 0;
    size_t colon = str_find(text, ':', from);
    if (!str_to_u64(str_slice(text, colon + 1, text.n), 65535, &port))
        return -1;
    return address_from_ip(out, str_slice(text, 0, colon), (uint16_t)port);
}

int proxy_socket_choose(struct proxy *p)
{
    struct request *r = p->request;
    const struct proxy_socket_conf *c = request_conf(r, &proxy_socket_module);

    p->dial = (struct connect_options){
        .keepalive = c->keepalive,
        .sndbuf = (int)c->sndbuf,
        .rcvbuf = (int)c->rcvbuf,
    };
    p->protocol = c->protocol;
    if (p->protocol && r->upstream_tls) {
        /* It would have to go before the handshake. */
        log_err(&r->log, "proxy_protocol can not be used with https://");
        return 500;
    }
    if (!c->bind)
        return VERDICT_DECLINED;
    struct str text = value_eval(c->bind, &r->eval);
    struct address *local = arena_alloc(r->arena, sizeof *local);
    if (!text.n)
        return VERDICT_DECLINED;
    if (read_local(text, local) == -1)
        log_err(&r->log, "invalid local address \"%.*s\"", STR_ARG(text));
    else
        p->dial.local = local;
    return VERDICT_DECLINED;
}

void proxy_socket_announce(struct proxy *p)
{
    const struct request *r = p->request;
    char header[PROXY_PROTOCOL_OUT_MAX];

    if (p->protocol)
        stream_put(p->conn->stream, header,
                   proxy_protocol_write(header, p->protocol, request_remote(r),
                                        request_local(r)));
}

static int set_bind(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct value **bind = field;
    struct str text = conf_arg(node, 1);
    struct address address;
    (void)scope, (void)row;

    *bind = NULL;
    if (node->words_n == 3)
        return str_eq(conf_arg(node, 2), STR("transparent"))
                   ? conf_fail(conf, "the \"transparent\" parameter of "
                                     "\"proxy_bind\" is not supported")
                   : conf_fail(conf, "invalid parameter \"%.*s\"",
                               STR_ARG(conf_arg(node, 2)));
    if (str_eq(text, STR("off")))
        return 0;
    struct value *value = value_compile(conf, conf->variables, text);
    if (!value)
        return -1;
    if (value_is_constant(value) && read_local(text, &address) == -1)
        return conf_fail(conf, "invalid address \"%.*s\"", STR_ARG(text));
    *bind = value;
    return 0;
}

static const struct conf_enum protocols[] = {
    {"off", 0}, {"on", 1}, {"v1", 1}, {"v2", 2}, {NULL, 0}};

enum { EVERYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION };

#define FIELD(name) offsetof(struct proxy_socket_conf, name)

static const struct directive socket_directives[] = {
    {.name = "proxy_bind",
     .syntax = "off | ADDRESS",
     .contexts = EVERYWHERE,
     .arity = ARGS_1 | ARGS_2,
     .set = set_bind,
     .offset = FIELD(bind),
     .default_text = "off",
     .help = "The local address that upstreams are dialled from."},
    {.name = "proxy_protocol",
     .syntax = "off | on | v1 | v2",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = FIELD(protocol),
     .data = protocols,
     .default_text = "off",
     .help = "Tell upstreams who the client is with a PROXY protocol header "
             "(on: version 1) before the request; every request then has a "
             "connection of its own, without TLS."},
    {.name = "proxy_socket_keepalive",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(keepalive),
     .default_text = "off",
     .help = "TCP keep-alive on upstream connections."},
    {.name = "proxy_socket_sndbuf",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(sndbuf),
     .default_text = "0",
     .max = 1 << 30,
     .help = "SO_SNDBUF of upstream connections; 0 is the system's."},
    {.name = "proxy_socket_rcvbuf",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(rcvbuf),
     .default_text = "0",
     .max = 1 << 30,
     .help = "SO_RCVBUF of upstream connections; 0 is the system's."},
    {.name = NULL},
};

struct conf_module proxy_socket_module = {
    .name = "proxy_socket",
    .size = sizeof(struct proxy_socket_conf),
    .directives = socket_directives,
};

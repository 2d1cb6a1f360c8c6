/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/real_ip.h"

#include <netdb.h>

#include "base/check.h"
#include "greeting.h"
#include "serve/access.h"
#include "serve/client.h"

enum real_ip_source {
    SOURCE_FIELD = 0, /* the last of the field's values */
    SOURCE_FORWARDED, /* X-Forwarded-For: all of its values */
    SOURCE_GREETING,  /* the PROXY protocol */
};

struct real_ip_conf {
    struct conf_list from; /* struct access_rule */
    struct str header;     /* n 0: X-Real-IP */
    enum real_ip_source source;
    bool recursive;
};

/* ---- at run time ---- */

static bool is_trusted(const struct address *a, const struct conf_list *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (access_rule_fits(from->items[i], a))
            return true;
    return false;
}

bool real_ip_trusts_peer(const struct request *r)
{
    const struct real_ip_conf *c = request_conf(r, &real_ip_module);
    return c->from.n && is_trusted(&r->client->remote, &c->from);
}

/* "1.2.3.4", "1.2.3.4:80", "::1", "[::1]:80". */
static bool read_address(struct str text, struct address *a)
{
    if (address_from_ip(a, text, 0) == 0)
        return true;
    size_t at = text.n;
    while (at > 0 && text.p[at - 1] != ':')
        at--;
    uint64_t port;
    return at > 1 && str_to_u64(str_slice(text, at, text.n), 65535, &port) &&
           address_from_ip(a, str_slice(text, 0, at - 1), (uint16_t)port) == 0;
}

/* Cut the last element off. */
static struct str last_of(struct str *list)
{
    size_t end = list->n;
    while (end > 0 && (list->p[end - 1] == ' ' || list->p[end - 1] == ',' ||
                       list->p[end - 1] == '\t'))
        end--;
    size_t begin = end;
    while (begin > 0 && list->p[begin - 1] != ' ' &&
           list->p[begin - 1] != ',' && list->p[begin - 1] != '\t')
        begin--;
    struct str last = str_slice(*list, begin, end);
    *list = str_slice(*list, 0, begin);
    return last;
}

bool real_ip_from_list(struct address *addr, struct str list,
                       const struct conf_list *trusted, bool recursive)
{
    struct address next;
    bool found = false;

    do {
        if (!is_trusted(addr, trusted))
            break;
        struct str last = last_of(&list);
        if (!last.n || !read_address(last, &next))
            break;
        *addr = next;
        found = true;
    } while (recursive);
    return found;
}

static struct str value_for(const struct request *r,
                            const struct real_ip_conf *c)
{
    if (c->source == SOURCE_FORWARDED)
        return http_head_join(&r->head, STR("X-Forwarded-For"), r->arena);
    return http_head_find(&r->head, c->header.n ? c->header : STR("X-Real-IP"));
}

int real_ip_run(struct request *r)
{
    const struct real_ip_conf *c = request_conf(r, &real_ip_module);

    if (!c->from.n || r->remote)
        return VERDICT_DECLINED;
    struct address a = r->client->remote;
    if (c->source == SOURCE_GREETING) {
        const struct proxy_protocol *said = greeting_of(r->client);
        if (!said || !is_trusted(&a, &c->from))
            return VERDICT_DECLINED;
        a = said->source;
    } else {
        struct str list = value_for(r, c);
        if (!list.p || !real_ip_from_list(&a, list, &c->from, c->recursive))
            return VERDICT_DECLINED;
    }
    r->remote = arena_copy(r->arena, &a, sizeof a);
    return VERDICT_DECLINED;
}

/* ---- configuration ---- */

static void add_rule(struct conf *conf, struct conf_scope *scope,
                     struct real_ip_conf *c, const struct access_rule *rule)
{
    conf_list_add(conf, scope, &c->from,
                  arena_copy(conf->arena, rule, sizeof *rule));
}

/* A name is looked up once, when the configuration is loaded. */
static int add_host(struct conf *conf, struct conf_scope *scope,
                    struct real_ip_conf *c, struct str host)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *at;
    if (memchr(host.p, '/', host.n) ||
        getaddrinfo(arena_cstr(conf->arena, host), NULL, &hints, &found) != 0)
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected an address, a "
                         "network, \"unix:\" or the name of a host",
                         STR_ARG(host));
    for (at = found; at; at = at->ai_next) {
        struct address a;
        char text[ADDRESS_TEXT_MAX];
        struct access_rule rule = {0};
        address_from_sockaddr(&a, at->ai_addr, at->ai_addrlen);
        if (access_rule_read(&rule, address_ip_text(&a, text)) == 0)
            add_rule(conf, scope, c, &rule);
    }
    freeaddrinfo(found);
    return 0;
}

static int set_from(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct real_ip_conf *c = field;
    struct access_rule rule = {0};
    struct str text = conf_arg(node, 1);
    (void)row;

    int got = access_rule_read(&rule, text);
    if (got == -1 || rule.family == ACCESS_ALL)
        return add_host(conf, scope, c, text);
    if (got == 1)
        conf_warn(conf, "low address bits of %.*s are meaningless",
                  STR_ARG(text));
    add_rule(conf, scope, c, &rule);
    return 0;
}

static int set_header(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct real_ip_conf *c = field;
    struct str name = conf_arg(node, 1);
    (void)conf, (void)scope, (void)row;

    c->header = name;
    c->source = str_eq(name, STR("proxy_protocol"))    ? SOURCE_GREETING
                : str_eq(name, STR("X-Forwarded-For")) ? SOURCE_FORWARDED
                                                       : SOURCE_FIELD;
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive directives[] = {
    {.name = "set_real_ip_from",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = set_from,
     .syntax = "ADDRESS | NETWORK | HOST | unix:",
     .help = "A proxy that may say who asks."},
    {.name = "real_ip_header",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_header,
     .syntax = "FIELD | X-Real-IP | X-Forwarded-For | proxy_protocol",
     .default_text = "X-Real-IP",
     .help = "Where it says so."},
    {.name = "real_ip_recursive",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct real_ip_conf, recursive),
     .default_text = "off",
     .help = "Go back in a list of addresses while they are trusted, too."},
    {.name = NULL},
};

struct conf_module real_ip_module = {
    .name = "real_ip",
    .size = sizeof(struct real_ip_conf),
    .directives = directives,
};

/* ---- variables ---- */

static bool give_ip(struct evaluation *e, const struct address *a,
                    struct str *out)
{
    char text[ADDRESS_TEXT_MAX];
    *out = arena_str(e->arena, address_ip_text(a, text));
    return true;
}

static bool give_port(struct evaluation *e, const struct address *a,
                      struct str *out)
{
    uint16_t port = address_port(a);
    *out = port ? arena_printf(e->arena, "%u", port) : STR("");
    return true;
}

static bool get_own_addr(struct evaluation *e, const struct variable *v,
                         struct str *out)
{
    (void)v;
    return give_ip(e, &e->request->client->remote, out);
}

static bool get_own_port(struct evaluation *e, const struct variable *v,
                         struct str *out)
{
    (void)v;
    return give_port(e, &e->request->client->remote, out);
}

enum said { SAID_ADDR = 0, SAID_PORT, SAID_SERVER_ADDR, SAID_SERVER_PORT };

static bool get_said(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    const struct proxy_protocol *said = greeting_of(e->request->client);
    if (!said)
        return false;
    switch ((enum said)v->arg) {
    case SAID_ADDR:
        return give_ip(e, &said->source, out);
    case SAID_PORT:
        return give_port(e, &said->source, out);
    case SAID_SERVER_ADDR:
        return give_ip(e, &said->server, out);
    case SAID_SERVER_PORT:
        return give_port(e, &said->server, out);
    }
    return false;
}

static const struct {
    struct str name;
    unsigned type;
    bool in_ssl;
} tlv_names[] = {
    {STR_INIT("alpn"), PROXY_TLV_ALPN, false},
    {STR_INIT("authority"), PROXY_TLV_AUTHORITY, false},
    {STR_INIT("unique_id"), PROXY_TLV_UNIQUE_ID, false},
    {STR_INIT("ssl"), PROXY_TLV_SSL, false},
    {STR_INIT("netns"), PROXY_TLV_NETNS, false},
    {STR_INIT("ssl_version"), PROXY_TLV_SSL_VERSION, true},
    {STR_INIT("ssl_cn"), PROXY_TLV_SSL_CN, true},
    {STR_INIT("ssl_cipher"), PROXY_TLV_SSL_CIPHER, true},
    {STR_INIT("ssl_sig_alg"), PROXY_TLV_SSL_SIG_ALG, true},
    {STR_INIT("ssl_key_alg"), PROXY_TLV_SSL_KEY_ALG, true},
};

/* "0x05", or "ssl_0x21" for what is inside of SSL. */
static bool type_of(struct str name, unsigned *type)
{
    *type = 0;
    if (!str_starts(name, STR("0x")) || name.n < 3 || name.n > 4)
        return false;
    for (size_t i = 2; i < name.n; i++) {
        int digit = ascii_hex(name.p[i]);
        if (digit < 0)
            return false;
        *type = *type << 4 | (unsigned)digit;
    }
    return true;
}

static bool find_name(struct str name, unsigned *type, bool *in_ssl)
{
    for (size_t i = 0; i < COUNT(tlv_names); i++)
        if (str_eq(tlv_names[i].name, name)) {
            *type = tlv_names[i].type;
            *in_ssl = tlv_names[i].in_ssl;
            return true;
        }
    *in_ssl = str_starts(name, STR("ssl_"));
    return type_of(*in_ssl ? str_slice(name, 4, name.n) : name, type);
}

static bool get_tlv(struct evaluation *e, const struct variable *v,
                    struct str *out)
{
    const struct proxy_protocol *said = greeting_of(e->request->client);
    bool wants_verify = str_eq(v->rest, STR("ssl_verify")), in_ssl = true;
    unsigned type = 0;
    struct str ssl, inner;
    uint32_t verify;

    if (!said || (!wants_verify && !find_name(v->rest, &type, &in_ssl)))
        return false;
    if (!in_ssl)
        return proxy_protocol_find(said->tlvs, type, out);
    if (!proxy_protocol_find(said->tlvs, PROXY_TLV_SSL, &ssl) ||
        !proxy_protocol_ssl(ssl, &verify, &inner))
        return false;
    if (!wants_verify)
        return proxy_protocol_find(inner, type, out);
    *out = arena_printf(e->arena, "%u", verify);
    return true;
}

const struct variable real_ip_variables[] = {
    {.name = "realip_remote_addr", .get = get_own_addr},
    {.name = "realip_remote_port", .get = get_own_port},
    {.name = "proxy_protocol_addr", .get = get_said, .arg = SAID_ADDR},
    {.name = "proxy_protocol_port", .get = get_said, .arg = SAID_PORT},
    {.name = "proxy_protocol_server_addr",
     .get = get_said,
     .arg = SAID_SERVER_ADDR},
    {.name = "proxy_protocol_server_port",
     .get = get_said,
     .arg = SAID_SERVER_PORT},
    {.name = "proxy_protocol_tlv_", .get = get_tlv},
    {.name = NULL},
};

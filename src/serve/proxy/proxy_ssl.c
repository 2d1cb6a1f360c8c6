/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy_pass https://: how an upstream is dialled, and whom we believe. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "peers/health.h"
#include "proxy_parts.h"
#include "serve/core.h"
#include "serve/ssl.h"

struct proxy_ssl_conf {
    struct ssl_text certificate, key;
    struct ssl_certificate_cache *certificate_cache;
    struct tls_text passwords, trusted, crl;
    struct conf_list commands;
    unsigned protocols;
    struct str ciphers;
    bool verify, server_name, session_reuse;
    uint64_t verify_depth;
    struct value *name;          /* NULL: the host of proxy_pass */
    struct tls_context *context; /* NULL: no https can be asked for here */
};

static bool is_said(const struct ssl_text *t)
{
    return t->value || t->file.text.p;
}

/* Which certificate is shown, only a request says. */
static bool is_dynamic(const struct proxy_ssl_conf *c)
{
    return is_said(&c->certificate) && (c->certificate.value || c->key.value);
}

/* ---- a request's wishes ---- */

/* The host alone: "a:443" -> "a", "[::1]:443" -> "[::1]". */
static struct str without_port(struct str host)
{
    size_t from =
        host.n && host.p[0] == '[' ? str_find(host, ']', 0) : (size_t)0;
    if (str_starts(host, STR("unix:")))
        return STR("localhost");
    return str_slice(host, 0, str_find(host, ':', from));
}

static void let_go(void *arg)
{
    tls_credential_unref(arg);
}

/* An empty name means none. */
static int choose_certificate(struct proxy *p, const struct proxy_ssl_conf *c)
{
    struct request *r = p->request;
    struct str label;
    struct err why;

    if (c->certificate.value &&
        value_eval(c->certificate.value, &r->eval).n == 0)
        return VERDICT_DECLINED;
    p->ssl.credential =
        ssl_credential(&c->certificate, &c->key, c->passwords.text,
                       c->certificate_cache, &r->eval, &label, &why);
    if (!p->ssl.credential) {
        log_err(&r->log, "%s", why.text);
        return 500;
    }
    arena_on_destroy(r->arena, let_go, p->ssl.credential);
    p->ssl.label = arena_printf(r->arena, "%.*s %.*s", STR_ARG(p->ssl.name),
                                STR_ARG(label));
    return VERDICT_DECLINED;
}

int proxy_ssl_choose(struct proxy *p)
{
    struct request *r = p->request;
    const struct proxy_ssl_conf *c = request_conf(r, &proxy_ssl_module);

    if (!r->upstream_tls)
        return VERDICT_DECLINED;
    struct str name = c->name ? value_eval(c->name, &r->eval) : p->trace->host;
    p->ssl = (struct proxy_ssl){
        .context = c->context,
        .name = without_port(name),
        .send_name = c->server_name,
        .remember = c->session_reuse,
    };
    p->ssl.label = p->ssl.name;
    if (!p->ssl.context)
        return 500;
    return is_dynamic(c) ? choose_certificate(p, c) : VERDICT_DECLINED;
}

void proxy_ssl_of_scope(const struct conf_scope *scope, struct str host,
                        struct proxy_ssl *ssl)
{
    const struct proxy_ssl_conf *c = conf_get(scope, &proxy_ssl_module);
    bool fixed = c->name && value_is_constant(c->name);

    *ssl = (struct proxy_ssl){
        .context = c->context,
        .name = without_port(fixed ? value_text(c->name) : host),
        .send_name = c->server_name,
    };
}

bool proxy_ssl_fits(const struct proxy_ssl *want, const struct upstream_conn *c)
{
    if (!want->context || !c->tls)
        return !want->context && !c->tls;
    return c->tls_context == want->context &&
           str_eq(str_c(c->tls_name), want->label);
}

int proxy_ssl_dial(struct proxy *p, struct upstream_conn *c)
{
    const struct proxy_ssl *want = &p->ssl;
    struct arena *arena = p->request->arena;

    if (!want->context)
        return 0;
    struct str session = want->remember ? arena_printf(arena, "%.*s %.*s",
                                                       STR_ARG(c->peer->name),
                                                       STR_ARG(want->label))
                                        : STR("");
    c->tls = stream_tls_connect(c->stream, want->context, want->name,
                                want->send_name, session);
    if (!c->tls)
        return -1;
    c->tls_context = want->context;
    c->tls_name = xmalloc(want->label.n + 1);
    snprintf(c->tls_name, want->label.n + 1, "%.*s", STR_ARG(want->label));
    return want->credential ? tls_credential_use(c->tls, want->credential) : 0;
}

bool proxy_ssl_log_error(const struct proxy *p, const struct upstream_conn *c)
{
    if (!c->tls || !tls_error(c->tls)[0])
        return false;
    if (!tls_is_established(c->tls))
        request_doing(p->request, "SSL handshaking to upstream");
    log_err(&p->request->log, "%s", tls_error(c->tls));
    return true;
}

void proxy_ssl_forget(struct upstream_conn *c)
{
    tls_unref(c->tls);
    free(c->tls_name);
}

/* ---- the context of a location ---- */

static void destroy_context(void *arg)
{
    tls_context_destroy(arg);
}

static int make_context(struct conf *conf, struct conf_scope *scope,
                        struct proxy_ssl_conf *c)
{
    struct err why;
    struct tls_identity identity = {c->certificate.file, c->key.file};
    bool is_there = is_said(&c->certificate);
    struct tls_settings s = {
        .is_client = true,
        .identities = &identity,
        .identities_n = is_there && !is_dynamic(c) ? 1 : 0,
        .passwords = c->passwords,
        .protocols = c->protocols,
        .ciphers = arena_cstr(conf->arena, c->ciphers),
        .commands = ssl_command_words(conf, &c->commands),
        .commands_n = c->commands.n,
        .verify = c->verify ? TLS_VERIFY_ON : TLS_VERIFY_OFF,
        .verify_depth = (unsigned)c->verify_depth,
        .trusted = c->trusted,
        .crl = c->crl,
    };
    if (is_there && !is_said(&c->key))
        return conf_fail_at(conf, scope->node,
                            "no \"proxy_ssl_certificate_key\" is defined for "
                            "certificate \"%s\"",
                            c->certificate.file.path);
    if (c->verify && !c->trusted.text.p)
        return conf_fail_at(conf, scope->node,
                            "no proxy_ssl_trusted_certificate for "
                            "proxy_ssl_verify");
    if (c->crl.text.p && !c->trusted.text.p)
        return conf_fail_at(conf, scope->node,
                            "no proxy_ssl_trusted_certificate for "
                            "proxy_ssl_crl");
    c->context = tls_context_create(&s, &why);
    if (!c->context)
        return conf_fail_at(conf, scope->node, "%s", why.text);
    arena_on_destroy(conf->arena, destroy_context, c->context);
    return 0;
}

/* Only where https may be asked for, and afresh only where something was said
 * since: connections are shared by who shares a context. */
static int proxy_ssl_on_scope(struct conf *conf, struct conf_scope *scope,
                              void *module_conf)
{
    struct proxy_ssl_conf *c = module_conf;
    const struct proxy_conf *proxy = conf_get(scope, &proxy_module);
    bool constant_http = proxy->upstream && !proxy->tls;

    if (!location_of_scope(scope) || !proxy->owner || constant_http)
        return 0;
    if (c->context &&
        memcmp(c, conf_get(scope->parent, &proxy_ssl_module), sizeof *c) == 0)
        return 0;
    return make_context(conf, scope, c);
}

/* ---- the table ---- */

static int set_certificate(struct conf *conf, struct conf_scope *scope,
                           const struct directive *row,
                           const struct conf_node *node, void *field)
{
    (void)scope, (void)row;
    return ssl_read_certificate(conf, conf_arg(node, 1), field);
}

enum { EVERYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION };

#define FIELD(name) offsetof(struct proxy_ssl_conf, name)

static const struct directive proxy_ssl_directives[] = {
    {.name = "proxy_ssl_certificate",
     .syntax = "FILE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = set_certificate,
     .offset = FIELD(certificate),
     .help = "A PEM file: what we show to upstreams that ask.  With variables "
             "in the name a worker reads it for each request."},
    {.name = "proxy_ssl_certificate_key",
     .syntax = "FILE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = set_certificate,
     .offset = FIELD(key),
     .help = "A PEM file: its key."},
    {.name = "proxy_ssl_certificate_cache",
     .contexts = EVERYWHERE,
     .arity = ARGS_1 | ARGS_2 | ARGS_3,
     .set = ssl_set_certificate_cache,
     .offset = FIELD(certificate_cache),
     .default_text = "off",
     .syntax = "max=N [inactive=TIME] [valid=TIME] | off",
     .help = "Keep certificates and keys whose names hold variables."},
    {.name = "proxy_ssl_password_file",
     .syntax = "FILE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = ssl_set_text,
     .offset = FIELD(passwords),
     .help = "Passwords of the key, one a line, tried in turn."},
    {.name = "proxy_ssl_trusted_certificate",
     .syntax = "FILE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = ssl_set_text,
     .offset = FIELD(trusted),
     .help = "A PEM file of authorities that upstreams' certificates may be "
             "from."},
    {.name = "proxy_ssl_crl",
     .syntax = "FILE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = ssl_set_text,
     .offset = FIELD(crl),
     .help = "A PEM file with the revocation lists of all authorities."},
    {.name = "proxy_ssl_verify",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(verify),
     .default_text = "off",
     .help = "Refuse upstreams whose certificate is not good."},
    {.name = "proxy_ssl_verify_depth",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(verify_depth),
     .default_text = "1",
     .max = 100,
     .help = "How long an upstream's certificate chain may be."},
    {.name = "proxy_ssl_name",
     .syntax = "NAME",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = value_set,
     .offset = FIELD(name),
     .default_text = "$proxy_host",
     .help = "The name that the certificate must be for, and that is sent."},
    {.name = "proxy_ssl_server_name",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(server_name),
     .default_text = "off",
     .help = "Send the name in the handshake (SNI)."},
    {.name = "proxy_ssl_protocols",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .set = conf_set_bits,
     .offset = FIELD(protocols),
     .data = ssl_protocol_names,
     .default_text = "TLSv1.2 TLSv1.3",
     .help = "The versions of TLS that are spoken."},
    {.name = "proxy_ssl_ciphers",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_str,
     .offset = FIELD(ciphers),
     .default_text = "DEFAULT",
     .help = "The ciphers up to TLS 1.2, in OpenSSL's syntax."},
    {.name = "proxy_ssl_session_reuse",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(session_reuse),
     .default_text = "on",
     .help = "Resume sessions that an upstream gave."},
    {.name = "proxy_ssl_conf_command",
     .syntax = "NAME VALUE",
     .contexts = EVERYWHERE,
     .arity = ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = ssl_set_command,
     .offset = FIELD(commands),
     .help = "A command of OpenSSL's configuration."},
    {.name = NULL},
};

struct conf_module proxy_ssl_module = {
    .name = "proxy_ssl",
    .size = sizeof(struct proxy_ssl_conf),
    .directives = proxy_ssl_directives,
    .on_scope = proxy_ssl_on_scope,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/ssl.h"

#include "base/check.h"
#include "serve/client.h"
#include "serve/core.h"
#include "tls_parts.h"

static const struct ssl_conf *ssl_conf_of(const struct server *s)
{
    return conf_get(s->scope, &ssl_module);
}

/* ---- what log lines say about a handshake ---- */

struct handshake_log {
    struct log_ctx log;
    const struct client *client;
};

static void describe(const struct log_ctx *ctx, struct buf *line)
{
    const struct handshake_log *h =
        CONTAINER((struct log_ctx *)(uintptr_t)ctx, struct handshake_log, log);
    char text[ADDRESS_TEXT_MAX];
    buf_printf(line, ", client: %.*s",
               STR_ARG(address_ip_text(&h->client->remote, text)));
    buf_printf(line, ", server: %.*s",
               STR_ARG(address_text(&h->client->slot->address, text)));
}

static struct handshake_log log_of(const struct client *c)
{
    struct handshake_log h = {.log = log_process, .client = c};
    if (c->slot->listen)
        h.log.target = c->slot->listen->log;
    h.log.connection = c->number;
    h.log.describe = describe;
    h.log.doing = "SSL handshaking";
    h.log.debug = c->debug;
    return h;
}

/* ---- the handshake ---- */

/* The server of that name on this address, as a request's Host would choose
 * it; captures of a regex are found again by the request. */
const struct server *ssl_server_named(const struct listen *l, struct str name)
{
    char host[256];
    size_t n = name.n < sizeof host ? name.n : 0;

    for (size_t i = 0; i < n; i++)
        host[i] = ascii_lower(name.p[i]);
    if (n && host[n - 1] == '.')
        n--;
    const struct server *s =
        n ? names_find(l->names, str_n(host, n), NULL) : NULL;
    return s ? s : l->default_server;
}

static struct tls_context *choose(void *owner, struct str name)
{
    const struct client *c = owner;
    const struct listen *l = c->slot->listen;

    if (!l || !l->ssl) /* a reload has taken the address away */
        return NULL;
    const struct ssl_conf *conf = ssl_conf_of(ssl_server_named(l, name));
    if (log_debug_is_on) {
        struct handshake_log h = log_of(c);
        log_debug(&h.log, "SSL server name: \"%.*s\"", STR_ARG(name));
    }
    if (conf->reject_handshake)
        return NULL;
    return conf->context ? conf->context
                         : ssl_conf_of(l->default_server)->context;
}

static const struct tls_accept_events accept_events = {
    .choose = choose,
    .certify = ssl_certify,
    .staple = ssl_stapling_fetch,
};

int ssl_accept(struct client *c)
{
    const struct listen *l = c->slot->listen;
    c->tls = stream_tls_accept(
        c->stream, ssl_conf_of(l->default_server)->context, &accept_events, c);
    return c->tls ? 0 : -1;
}

void ssl_log_error(const struct client *c)
{
    if (!c->tls || c->request || !tls_error(c->tls)[0])
        return;
    struct handshake_log h = log_of(c);
    log_info(&h.log, "%s", tls_error(c->tls));
}

/* ---- the request ---- */

static int check_certificate(struct request *r, const struct ssl_conf *conf)
{
    const struct tls *t = r->client->tls;

    if (conf->verify == TLS_VERIFY_OFF)
        return VERDICT_DECLINED;
    if (!tls_has_peer_certificate(t)) {
        if (conf->verify != TLS_VERIFY_ON)
            return VERDICT_DECLINED;
        log_info(&r->log, "client sent no required SSL certificate");
        return 496;
    }
    const char *wrong =
        tls_verify_error(t, conf->verify == TLS_VERIFY_OPTIONAL_NO_CA);
    if (!wrong)
        return VERDICT_DECLINED;
    log_info(&r->log, "client SSL certificate verify error: (%s)", wrong);
    return 495;
}

int ssl_check(struct request *r)
{
    if (!r->listen->ssl && !request_is_tls(r))
        return VERDICT_DECLINED;
    if (!request_is_tls(r)) {
        if (!r->client->tls) /* kept over a reload that brought the ssl */
            return VERDICT_DECLINED;
        log_info(&r->log, "client sent plain HTTP request to HTTPS port");
        return 497;
    }
    const struct ssl_conf *conf = ssl_conf_of(r->server);
    if (conf->verify != TLS_VERIFY_OFF &&
        ssl_server_named(r->listen, tls_server_name(r->client->tls)) !=
            r->server) {
        log_info(&r->log, "client attempted to request the server name "
                          "different from the one that was negotiated");
        return 421;
    }
    return check_certificate(r, conf);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "http/uri.h"
#include "serve/client.h"
#include "serve/ssl.h"

#define GETTER(name)                                                           \
    static bool name(struct evaluation *e, const struct variable *v,           \
                     struct str *out)

static const struct tls *tls_of_request(const struct evaluation *e)
{
    return request_is_tls(e->request) ? e->request->client->tls : NULL;
}

static bool give(struct evaluation *e, const char *text, struct str *out)
{
    if (!text)
        return false;
    *out = arena_str(e->arena, str_c(text));
    return true;
}

GETTER(get_protocol)
{
    const struct tls *t = tls_of_request(e);
    (void)v;
    return t && give(e, tls_protocol(t), out);
}

GETTER(get_cipher)
{
    const struct tls *t = tls_of_request(e);
    (void)v;
    return t && give(e, tls_cipher(t), out);
}

GETTER(get_curve)
{
    const struct tls *t = tls_of_request(e);
    (void)v;
    return t && give(e, tls_curve(t), out);
}

GETTER(get_server_name)
{
    const struct tls *t = tls_of_request(e);
    (void)v;
    if (!t || !tls_server_name(t).n)
        return false;
    *out = arena_str(e->arena, tls_server_name(t));
    return true;
}

GETTER(get_alpn)
{
    const struct tls *t = tls_of_request(e);
    (void)v;
    if (!t || !tls_alpn(t).n)
        return false;
    *out = arena_str(e->arena, tls_alpn(t));
    return true;
}

GETTER(get_reused)
{
    const struct tls *t = tls_of_request(e);
    (void)v;
    if (!t)
        return false;
    *out = tls_is_resumed(t) ? STR("r") : STR(".");
    return true;
}

/* As long as it may be a replay: nothing proves yet that the client is there
 * (RFC 8446 section 8). */
GETTER(get_early_data)
{
    const struct tls *t = tls_of_request(e);
    (void)v;
    *out = STR("1");
    return t && tls_is_early(t);
}

GETTER(get_verify)
{
    const struct tls *t = tls_of_request(e);
    (void)v;
    if (!t)
        return false;
    const char *wrong = tls_verify_error(t, false);
    if (!tls_has_peer_certificate(t))
        *out = STR("NONE");
    else if (!wrong)
        *out = STR("SUCCESS");
    else
        *out = arena_printf(e->arena, "FAILED:%s", wrong);
    return true;
}

static bool get_text(struct evaluation *e, enum tls_peer_part part,
                     struct str *out)
{
    const struct tls *t = tls_of_request(e);
    struct buf text = {0};
    bool there = t && tls_put(t, part, &text);

    if (there)
        *out = arena_str(e->arena, buf_str(&text));
    buf_fini(&text);
    return there;
}

GETTER(get_part)
{
    return get_text(e, (enum tls_peer_part)v->arg, out);
}

/* With a tab before each line but the first: nginx's older way of putting a
 * certificate into a header field. */
GETTER(get_cert)
{
    struct str pem, line;
    struct buf text = {0};
    (void)v;
    if (!get_text(e, TLS_PEER_PEM, &pem))
        return false;
    while ((line = str_cut(&pem, '\n')).n) {
        buf_put_str(&text, text.n ? STR("\n\t") : STR(""));
        buf_put_str(&text, line);
    }
    *out = arena_str(e->arena, buf_str(&text));
    buf_fini(&text);
    return true;
}

/* As a header field's value can hold it. */
GETTER(get_escaped_cert)
{
    struct str pem;
    (void)v;
    if (!get_text(e, TLS_PEER_PEM, &pem))
        return false;
    *out = http_uri_escape_in(e->arena, pem, ESCAPE_COMPONENT);
    return true;
}

const struct variable ssl_variables[] = {
    {.name = "ssl_protocol", .get = get_protocol},
    {.name = "ssl_cipher", .get = get_cipher},
    {.name = "ssl_curve", .get = get_curve},
    {.name = "ssl_server_name", .get = get_server_name},
    {.name = "ssl_alpn_protocol", .get = get_alpn},
    {.name = "ssl_early_data", .get = get_early_data},
    {.name = "ssl_session_reused", .get = get_reused},
    {.name = "ssl_session_id", .get = get_part, .arg = TLS_SESSION_ID},
    {.name = "ssl_client_verify", .get = get_verify},
    {.name = "ssl_client_s_dn", .get = get_part, .arg = TLS_PEER_SUBJECT},
    {.name = "ssl_client_i_dn", .get = get_part, .arg = TLS_PEER_ISSUER},
    {.name = "ssl_client_s_dn_legacy",
     .get = get_part,
     .arg = TLS_PEER_SUBJECT_LEGACY},
    {.name = "ssl_client_i_dn_legacy",
     .get = get_part,
     .arg = TLS_PEER_ISSUER_LEGACY},
    {.name = "ssl_client_v_remain", .get = get_part, .arg = TLS_PEER_DAYS_LEFT},
    {.name = "ssl_client_sigalg", .get = get_part, .arg = TLS_PEER_SIGNATURE},
    {.name = "ssl_sigalg", .get = get_part, .arg = TLS_OWN_SIGNATURE},
    {.name = "ssl_ciphers", .get = get_part, .arg = TLS_CLIENT_CIPHERS},
    {.name = "ssl_curves", .get = get_part, .arg = TLS_CLIENT_CURVES},
    {.name = "ssl_client_cert", .get = get_cert},
    {.name = "ssl_client_serial", .get = get_part, .arg = TLS_PEER_SERIAL},
    {.name = "ssl_client_fingerprint",
     .get = get_part,
     .arg = TLS_PEER_FINGERPRINT},
    {.name = "ssl_client_v_start", .get = get_part, .arg = TLS_PEER_NOT_BEFORE},
    {.name = "ssl_client_v_end", .get = get_part, .arg = TLS_PEER_NOT_AFTER},
    {.name = "ssl_client_raw_cert", .get = get_part, .arg = TLS_PEER_PEM},
    {.name = "ssl_client_escaped_cert", .get = get_escaped_cert},
    {.name = NULL},
};

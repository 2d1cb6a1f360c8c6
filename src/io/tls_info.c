/* SPDX-License-Identifier: BSD-2-Clause */
/* What a handshake asks us, and what it came to. */
#include <openssl/err.h>

#include "tls_parts.h"

/* ---- the hello ---- */

/* RFC 6066 section 3: a list of one host_name, all with lengths in front. */
static struct str name_in(const unsigned char *p, size_t n)
{
    if (n < 5 || (size_t)(p[0] << 8 | p[1]) != n - 2 || p[2] != 0)
        return STR("");
    size_t name_n = (size_t)(p[3] << 8 | p[4]);
    if (name_n != n - 5 || name_n > 255)
        return STR("");
    return str_n((const char *)p + 5, name_n);
}

/* As nginx switches: what SSL_new() copied from the first context is copied
 * again.  Here and not in the servername callback, because a resumed session
 * is checked against the context before that one is called. */
static void switch_to(SSL *ssl, const struct tls_context *ctx)
{
    uint64_t versions = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 |
                        SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;

    if (SSL_get_SSL_CTX(ssl) == ctx->ssl)
        return;
    SSL_set_SSL_CTX(ssl, ctx->ssl);
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx->ssl),
                   SSL_CTX_get_verify_callback(ctx->ssl));
    SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(ctx->ssl));
    /* The version is chosen after this, so another server's protocols hold. */
    SSL_clear_options(ssl,
                      (SSL_get_options(ssl) & ~SSL_CTX_get_options(ctx->ssl)) |
                          versions);
    SSL_set_options(ssl, SSL_CTX_get_options(ctx->ssl));
    SSL_set_min_proto_version(ssl,
                              (int)SSL_CTX_get_min_proto_version(ctx->ssl));
    SSL_set_max_proto_version(ssl,
                              (int)SSL_CTX_get_max_proto_version(ctx->ssl));
    SSL_set_max_early_data(ssl, SSL_CTX_get_max_early_data(ctx->ssl));
}

int tls_certify(SSL *ssl, void *arg)
{
    struct tls *t = tls_of(ssl);
    (void)arg;
    SSL_certs_clear(ssl);
    return t->events && t->events->certify &&
           t->events->certify(t->owner, t) == 0;
}

int tls_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls *t = tls_of(ssl);
    const unsigned char *p;
    size_t n;
    struct str name = STR("");
    (void)arg;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) == 1)
        name = name_in(p, n);
    if (!t->events)
        return SSL_CLIENT_HELLO_SUCCESS;
    struct tls_context *ctx = t->events->choose(t->owner, name);
    if (!ctx) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    t->record_max = ctx->record_max;
    switch_to(ssl, ctx);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* RFC 7301: who offers a list without what we speak is told so. */
int tls_choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                    const unsigned char *in, unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";
    unsigned char *found;
    (void)ssl, (void)arg;

    if (SSL_select_next_proto(&found, out_n, ours, sizeof ours - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- questions ---- */

bool tls_is_plain(const struct tls *t)
{
    return t->plain;
}

bool tls_is_established(const struct tls *t)
{
    return !t->plain && SSL_is_init_finished(t->ssl);
}

bool tls_is_early(const struct tls *t)
{
    return t->early_came && !SSL_is_init_finished(t->ssl);
}

const char *tls_error(const struct tls *t)
{
    return t->text;
}

struct str tls_server_name(const struct tls *t)
{
    const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    return str_c(name ? name : "");
}

const char *tls_protocol(const struct tls *t)
{
    return SSL_get_version(t->ssl);
}

const char *tls_cipher(const struct tls *t)
{
    return SSL_get_cipher_name(t->ssl);
}

uint16_t tls_protocol_code(const struct tls *t)
{
    return (uint16_t)SSL_version(t->ssl);
}

uint16_t tls_cipher_code(const struct tls *t)
{
    const SSL_CIPHER *c = SSL_get_current_cipher(t->ssl);
    return c ? SSL_CIPHER_get_protocol_id(c) : 0;
}

const char *tls_curve(const struct tls *t)
{
    long nid = SSL_get_negotiated_group(t->ssl);
    if (nid <= 0)
        return NULL;
    return OBJ_nid2sn((int)nid & 0xffff);
}

struct str tls_alpn(const struct tls *t)
{
    const unsigned char *p = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(t->ssl, &p, &n);
    return str_n(p ? (const char *)p : "", n);
}

bool tls_is_resumed(const struct tls *t)
{
    return SSL_session_reused(t->ssl) == 1;
}

static X509 *peer_of(const struct tls *t)
{
    return SSL_get0_peer_certificate(t->ssl);
}

bool tls_has_peer_certificate(const struct tls *t)
{
    return peer_of(t) != NULL;
}

static bool is_about_issuer(long verdict)
{
    return verdict == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
           verdict == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
           verdict == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
           verdict == X509_V_ERR_CERT_UNTRUSTED ||
           verdict == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

const char *tls_verify_error(const struct tls *t, bool no_ca)
{
    long verdict = SSL_get_verify_result(t->ssl);
    if (verdict == X509_V_OK || (no_ca && is_about_issuer(verdict)))
        return NULL;
    return X509_verify_cert_error_string(verdict);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* OCSP responses that a server sends with its certificate (RFC 6066 section
 * 8, RFC 6960).  How one is fetched is not known here. */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "tls_parts.h"

enum {
    SKEW_S = 300,         /* that clocks may differ by */
    RETRY_S = 300,        /* after a failure */
    REFRESH_MAX_S = 3600, /* a fresh one is asked for that often */
};

struct tls_staple {
    struct tls_staple *next;
    X509 *certificate, *issuer;
    STACK_OF(X509) * chain;
    X509_STORE *store;
    char *url; /* NULL: from a file, never fetched */
    void *data;
    unsigned char *response; /* DER, or NULL */
    size_t response_n;
    time_t valid_until; /* 0: for ever */
    time_t refresh_at;
    bool verify, busy;
};

/* ---- in the handshake ---- */

static int on_status(SSL *ssl, void *arg)
{
    const struct tls *t = tls_of(ssl);
    struct tls_context *ctx = tls_context_of(SSL_get_SSL_CTX(ssl));
    const X509 *certificate = SSL_get_certificate(ssl);
    time_t now = time(NULL);
    (void)arg;

    struct tls_staple *s = ctx->staples;
    while (s && s->certificate != certificate)
        s = s->next;
    if (!s)
        return SSL_TLSEXT_ERR_NOACK;
    if (s->url && s->data && !s->busy && now >= s->refresh_at && t->events &&
        t->events->staple) {
        s->busy = true;
        t->events->staple(t->owner, s);
    }
    if (!s->response || (s->valid_until && now >= s->valid_until))
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *copy = OPENSSL_memdup(s->response, s->response_n);
    if (!copy ||
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)s->response_n) != 1) {
        OPENSSL_free(copy);
        return SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_OK;
}

/* ---- making them ---- */

static void warn(const struct tls_settings *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void warn(const struct tls_settings *s, const char *format, ...)
{
    char sentence[ERR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (s->warn)
        s->warn(s->warn_arg, sentence);
}

static void keep(struct tls_staple *s, const void *der, size_t n)
{
    OPENSSL_free(s->response);
    s->response = OPENSSL_memdup(der, n);
    s->response_n = n;
}

static int read_file(struct tls_staple *s, const struct tls_text *file,
                     struct err *err)
{
    const unsigned char *p = (const unsigned char *)file->text.p;
    OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)file->text.n);

    if (!r)
        return tls_fail(err, "d2i_OCSP_RESPONSE_bio()", file->path);
    OCSP_RESPONSE_free(r);
    keep(s, file->text.p, file->text.n);
    return 0;
}

/* Next in the chain, as it should be, or among those that are trusted. */
static X509 *find_issuer(const struct tls_staple *s)
{
    for (int i = 0; i < sk_X509_num(s->chain); i++) {
        X509 *candidate = sk_X509_value(s->chain, i);
        if (X509_check_issued(candidate, s->certificate) == X509_V_OK) {
            X509_up_ref(candidate);
            return candidate;
        }
    }
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509 *issuer = NULL;
    if (ctx && X509_STORE_CTX_init(ctx, s->store, NULL, NULL) == 1 &&
        X509_STORE_CTX_get1_issuer(&issuer, ctx, s->certificate) != 1)
        issuer = NULL;
    X509_STORE_CTX_free(ctx);
    return issuer;
}

static char *url_of(X509 *certificate)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(certificate);
    char *url = urls && sk_OPENSSL_STRING_num(urls) > 0
                    ? xstrdup(sk_OPENSSL_STRING_value(urls, 0))
                    : NULL;
    X509_email_free(urls);
    return url;
}

/* A certificate that can not be asked about goes without. */
static void prepare(struct tls_staple *s, const struct tls_settings *settings,
                    const char *path)
{
    s->issuer = find_issuer(s);
    if (!s->issuer) {
        warn(settings,
             "\"ssl_stapling\" ignored, issuer certificate not found for "
             "certificate \"%s\"",
             path);
        return;
    }
    s->url = settings->staple_responder ? xstrdup(settings->staple_responder)
                                        : url_of(s->certificate);
    if (!s->url)
        warn(settings,
             "\"ssl_stapling\" ignored, no OCSP responder URL in the "
             "certificate \"%s\"",
             path);
}

static struct tls_staple *add(struct tls_context *ctx)
{
    struct tls_staple *s = xcalloc(1, sizeof *s);
    STACK_OF(X509) *chain = NULL;

    s->certificate = SSL_CTX_get0_certificate(ctx->ssl);
    X509_up_ref(s->certificate);
    SSL_CTX_get0_chain_certs(ctx->ssl, &chain);
    s->chain = chain ? X509_chain_up_ref(chain) : sk_X509_new_null();
    s->store = SSL_CTX_get_cert_store(ctx->ssl);
    X509_STORE_up_ref(s->store);
    s->next = ctx->staples;
    ctx->staples = s;
    return s;
}

int tls_staples_create(struct tls_context *ctx, const struct tls_settings *s,
                       struct err *err)
{
    long which = SSL_CERT_SET_FIRST;

    for (size_t i = 0; i < s->identities_n; i++, which = SSL_CERT_SET_NEXT) {
        if (SSL_CTX_set_current_cert(ctx->ssl, which) != 1)
            break;
        struct tls_staple *staple = add(ctx);
        staple->verify = s->staple_verify;
        if (s->staple_file.text.p) {
            if (read_file(staple, &s->staple_file, err) == -1)
                return -1;
        } else {
            prepare(staple, s, s->identities[i].certificate.path);
        }
    }
    ERR_clear_error();
    SSL_CTX_set_tlsext_status_cb(ctx->ssl, on_status);
    return 0;
}

void tls_staples_orphan(struct tls_context *ctx)
{
    for (struct tls_staple *s = ctx->staples; s; s = s->next)
        s->data = NULL;
}

void tls_staples_destroy(struct tls_context *ctx)
{
    while (ctx->staples) {
        struct tls_staple *s = ctx->staples;
        ctx->staples = s->next;
        X509_free(s->certificate);
        X509_free(s->issuer);
        sk_X509_pop_free(s->chain, X509_free);
        X509_STORE_free(s->store);
        OPENSSL_free(s->response);
        free(s->url);
        free(s);
    }
}

/* ---- fetching ---- */

struct tls_staple *tls_context_staple(struct tls_context *ctx, size_t i)
{
    struct tls_staple *s = ctx->staples;
    for (; s; s = s->next)
        if (s->url && i-- == 0)
            return s;
    return NULL;
}

const char *tls_staple_url(const struct tls_staple *s)
{
    return s->url;
}

void tls_staple_set_data(struct tls_staple *s, void *data)
{
    s->data = data;
}

void *tls_staple_data(const struct tls_staple *s)
{
    return s->data;
}

static OCSP_CERTID *id_of(const struct tls_staple *s)
{
    return OCSP_cert_to_id(NULL, s->certificate, s->issuer);
}

void tls_staple_put_request(const struct tls_staple *s, struct buf *out)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = id_of(s);
    unsigned char *der = NULL;

    if (request && id && OCSP_request_add0_id(request, id)) {
        id = NULL; /* the request's now */
        int n = i2d_OCSP_REQUEST(request, &der);
        if (n > 0)
            buf_put(out, der, (size_t)n);
        OPENSSL_free(der);
    }
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    ERR_clear_error();
}

static time_t time_of(const ASN1_GENERALIZEDTIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static int check_status(struct tls_staple *s, OCSP_BASICRESP *basic,
                        time_t *valid_until, struct err *err)
{
    ASN1_GENERALIZEDTIME *this_update, *next_update;
    OCSP_CERTID *id = id_of(s);
    int status;

    int found = id ? OCSP_resp_find_status(basic, id, &status, NULL, NULL,
                                           &this_update, &next_update)
                   : 0;
    OCSP_CERTID_free(id);
    if (found != 1)
        return err_set(err, "certificate status not found in the OCSP "
                            "response");
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return err_set(err, "certificate status \"%s\" in the OCSP response",
                       OCSP_cert_status_str(status));
    if (OCSP_check_validity(this_update, next_update, SKEW_S, -1) != 1)
        return err_set(err, "OCSP_check_validity() failed");
    *valid_until = time_of(next_update);
    return 0;
}

static int check_response(struct tls_staple *s, OCSP_RESPONSE *response,
                          time_t *valid_until, struct err *err)
{
    int status = OCSP_response_status(response);
    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return err_set(err, "OCSP response not successful (%d: %s)", status,
                       OCSP_response_status_str(status));
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
    if (!basic)
        return tls_fail(err, "OCSP_response_get1_basic()", "");
    int rc;
    if (OCSP_basic_verify(basic, s->chain, s->store,
                          s->verify ? OCSP_TRUSTOTHER : OCSP_NOVERIFY) != 1)
        rc = tls_fail(err, "OCSP_basic_verify()", "");
    else
        rc = check_status(s, basic, valid_until, err);
    OCSP_BASICRESP_free(basic);
    return rc;
}

int tls_staple_take(struct tls_staple *s, struct str der, struct err *err)
{
    const unsigned char *p = (const unsigned char *)der.p;
    time_t now = time(NULL), valid_until = 0;

    ERR_clear_error();
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);
    int rc = response ? check_response(s, response, &valid_until, err)
                      : tls_fail(err, "d2i_OCSP_RESPONSE()", "");
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    if (rc == -1) {
        tls_staple_failed(s);
        return -1;
    }
    keep(s, der.p, der.n);
    s->busy = false;
    s->valid_until = valid_until;
    s->refresh_at = now + REFRESH_MAX_S;
    if (valid_until && valid_until - SKEW_S < s->refresh_at)
        s->refresh_at = valid_until - SKEW_S;
    if (s->refresh_at < now + RETRY_S)
        s->refresh_at = now + RETRY_S;
    return 0;
}

void tls_staple_failed(struct tls_staple *s)
{
    s->busy = false;
    s->refresh_at = time(NULL) + RETRY_S;
}

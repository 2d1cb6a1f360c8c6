/* SPDX-License-Identifier: BSD-2-Clause */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/check.h"
#include "tls_parts.h"

void tls_reason(char *out, size_t n)
{
    unsigned long code = ERR_peek_last_error();

    if (code)
        ERR_error_string_n(code, out, n);
    else
        snprintf(out, n, "no reason given");
    ERR_clear_error();
}

int tls_fail(struct err *err, const char *what, const char *about)
{
    char reason[256];
    tls_reason(reason, sizeof reason);
    return err_set(err, "%s \"%s\" failed (SSL: %s)", what, about, reason);
}

/* ---- where things hang ---- */

static void free_context(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index,
                         long argl, void *argp)
{
    struct tls_context *ctx = ptr;
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    if (!ctx)
        return;
    tls_sessions_drop(ctx);
    tls_staples_destroy(ctx);
    OPENSSL_cleanse(ctx->tickets, sizeof ctx->tickets);
    free(ctx);
}

static int context_index(void)
{
    static int index = -1;
    if (index == -1)
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_context);
    return index;
}

int tls_index(void)
{
    static int index = -1;
    context_index();
    if (index == -1)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

struct tls_context *tls_context_of(const SSL_CTX *ssl)
{
    return SSL_CTX_get_ex_data(ssl, context_index());
}

struct tls *tls_of(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, tls_index());
}

static int use_identities(SSL_CTX *ssl, const struct tls_settings *s,
                          struct err *err)
{
    for (size_t i = 0; i < s->identities_n; i++) {
        const struct tls_identity *from = &s->identities[i];
        struct tls_credential *c =
            tls_credential_create(from, s->passwords.text, err);
        if (!c)
            return -1;
        int rc = tls_credential_install(c, ssl);
        tls_credential_unref(c);
        if (rc == -1)
            return tls_fail(err, "cannot load certificate",
                            from->certificate.path);
    }
    return 0;
}

/* ---- whom we trust ---- */

static int trust(SSL_CTX *ssl, const struct tls_text *file, bool announce,
                 struct err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    BIO *bio = tls_bio_of(file);
    size_t n = 0;
    X509 *ca;

    if (!bio)
        return tls_fail(err, "cannot load", file->path);
    while ((ca = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL))) {
        bool good = X509_STORE_add_cert(store, ca) == 1 &&
                    (!announce || SSL_CTX_add_client_CA(ssl, ca) == 1);
        X509_free(ca);
        if (!good)
            break;
        n++;
    }
    BIO_free(bio);
    if (!n || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return tls_fail(err, "SSL_CTX_load_verify_locations()", file->path);
    ERR_clear_error();
    return 0;
}

static int use_crl(SSL_CTX *ssl, const struct tls_text *file, struct err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    BIO *bio = tls_bio_of(file);
    size_t n = 0;
    X509_CRL *crl;

    while (bio && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
        bool good = X509_STORE_add_crl(store, crl) == 1;
        X509_CRL_free(crl);
        if (!good)
            break;
        n++;
    }
    BIO_free(bio);
    if (!n || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return tls_fail(err, "X509_STORE_add_crl()", file->path);
    ERR_clear_error();
    X509_STORE_set_flags(store,
                         X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return 0;
}

/* A server hears the whole story and lets HTTP answer it. */
static int accept_any(int good, X509_STORE_CTX *store)
{
    (void)good, (void)store;
    return 1;
}

static int set_trust(SSL_CTX *ssl, const struct tls_settings *s,
                     struct err *err)
{
    if ((s->authorities.text.p &&
         trust(ssl, &s->authorities, true, err) == -1) ||
        (s->trusted.text.p && trust(ssl, &s->trusted, false, err) == -1) ||
        (s->crl.text.p && use_crl(ssl, &s->crl, err) == -1))
        return -1;
    SSL_CTX_set_verify_depth(ssl, (int)s->verify_depth);
    if (s->verify != TLS_VERIFY_OFF)
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER,
                           s->is_client ? NULL : accept_any);
    return 0;
}

/* ---- the rest ---- */

static int set_protocols(SSL_CTX *ssl, unsigned wanted)
{
    static const struct {
        unsigned bit;
        int version;
        uint64_t no;
    } rows[] = {
        {TLS_V1_0, TLS1_VERSION, SSL_OP_NO_TLSv1},
        {TLS_V1_1, TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
        {TLS_V1_2, TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
        {TLS_V1_3, TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
    };
    int lowest = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!(wanted & rows[i].bit))
            SSL_CTX_set_options(ssl, rows[i].no);
        else if (!lowest)
            lowest = rows[i].version;
    }
    /* OpenSSL's own configuration may ask for more: what is said here is
     * what the operator wants. */
    return SSL_CTX_set_min_proto_version(ssl, lowest) == 1 &&
                   SSL_CTX_set_max_proto_version(ssl, 0) == 1
               ? 0
               : -1;
}

static int use_dhparam(SSL_CTX *ssl, const struct tls_text *file,
                       struct err *err)
{
    BIO *bio = tls_bio_of(file);
    EVP_PKEY *dh = bio ? PEM_read_bio_Parameters(bio, NULL) : NULL;

    BIO_free(bio);
    if (!dh || SSL_CTX_set0_tmp_dh_pkey(ssl, dh) != 1) {
        EVP_PKEY_free(dh);
        return tls_fail(err, "cannot load DH parameters", file->path);
    }
    return 0;
}

static int run_commands(SSL_CTX *ssl, const struct tls_settings *s,
                        struct err *err)
{
    SSL_CONF_CTX *conf = SSL_CONF_CTX_new();
    int rc = -1;

    if (!conf)
        return err_set(err, "SSL_CONF_CTX_new() failed");
    SSL_CONF_CTX_set_flags(
        conf, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SHOW_ERRORS |
                  (s->is_client ? SSL_CONF_FLAG_CLIENT : SSL_CONF_FLAG_SERVER));
    SSL_CONF_CTX_set_ssl_ctx(conf, ssl);
    for (size_t i = 0; i + 1 < s->commands_n; i += 2)
        if (SSL_CONF_cmd(conf, s->commands[i], s->commands[i + 1]) <= 0) {
            tls_fail(err, "SSL_CONF_cmd()", s->commands[i]);
            goto out;
        }
    if (SSL_CONF_CTX_finish(conf) != 1) {
        tls_fail(err, "SSL_CONF_finish()", "");
        goto out;
    }
    rc = 0;
out:
    SSL_CONF_CTX_free(conf);
    return rc;
}

static int set_algorithms(SSL_CTX *ssl, const struct tls_settings *s,
                          struct err *err)
{
    if (set_protocols(ssl, s->protocols) == -1)
        return tls_fail(err, "protocols", "");
    if (s->ciphers && SSL_CTX_set_cipher_list(ssl, s->ciphers) != 1)
        return tls_fail(err, "SSL_CTX_set_cipher_list()", s->ciphers);
    if (s->curves && strcmp(s->curves, "auto") != 0 &&
        SSL_CTX_set1_groups_list(ssl, s->curves) != 1)
        return tls_fail(err, "SSL_CTX_set1_curves_list()", s->curves);
    if (s->prefer_server_ciphers)
        SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return s->dhparam.text.p ? use_dhparam(ssl, &s->dhparam, err) : 0;
}

/*
 * A session belongs to those who would have let it begin: the same
 * certificates, the same demands on the client's.  Otherwise a session of one
 * server would pass the checks of another.
 */
static void set_session_context(SSL_CTX *ssl, const struct tls_settings *s)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    unsigned demands[] = {s->verify, s->verify_depth};
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    check(md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
    const struct str texts[] = {s->authorities.text, s->trusted.text,
                                s->crl.text};
    EVP_DigestUpdate(md, demands, sizeof demands);
    for (size_t i = 0; i < s->identities_n; i++) {
        struct str text = s->identities[i].certificate.text;
        EVP_DigestUpdate(md, &text.n, sizeof text.n);
        EVP_DigestUpdate(md, text.p, text.n);
    }
    if (s->certify) /* they are chosen by names: the same names, the same */
        EVP_DigestUpdate(md, s->certify, strlen(s->certify));
    for (size_t i = 0; i < COUNT(texts); i++) {
        EVP_DigestUpdate(md, &texts[i].n, sizeof texts[i].n);
        if (texts[i].n)
            EVP_DigestUpdate(md, texts[i].p, texts[i].n);
    }
    EVP_DigestFinal_ex(md, digest, &n);
    EVP_MD_CTX_free(md);
    SSL_CTX_set_session_id_context(ssl, digest, n);
}

static long cache_mode(const struct tls_settings *s)
{
    if (s->cache == TLS_CACHE_OFF)
        return SSL_SESS_CACHE_OFF;
    if (!(s->cache & (TLS_CACHE_BUILTIN | TLS_CACHE_STORE)))
        return SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR |
               SSL_SESS_CACHE_NO_INTERNAL_STORE;
    return s->cache & TLS_CACHE_BUILTIN
               ? SSL_SESS_CACHE_SERVER
               : SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL;
}

static int set_server_sessions(struct tls_context *ctx,
                               const struct tls_settings *s, struct err *err)
{
    set_session_context(ctx->ssl, s);
    SSL_CTX_set_session_cache_mode(ctx->ssl, cache_mode(s));
    SSL_CTX_sess_set_cache_size(
        ctx->ssl, s->cache & TLS_CACHE_BUILTIN ? (long)s->sessions_max : 1);
    if (s->cache & TLS_CACHE_STORE)
        tls_session_store_use(ctx, s->store);
    SSL_CTX_set_timeout(ctx->ssl, (long)s->timeout_s);
    if (tls_ticket_keys(ctx, s, err) == -1)
        return -1;
    if (!s->tickets) {
        SSL_CTX_set_options(ctx->ssl, SSL_OP_NO_TICKET);
        /* Without them a TLS 1.3 session is an entry in the cache or none. */
        if (!(s->cache & (TLS_CACHE_BUILTIN | TLS_CACHE_STORE)))
            SSL_CTX_set_num_tickets(ctx->ssl, 0);
    }
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx->ssl, tls_ticket);
    return 0;
}

static int set_server(struct tls_context *ctx, const struct tls_settings *s,
                      struct err *err)
{
    SSL_CTX_set_client_hello_cb(ctx->ssl, tls_client_hello, NULL);
    SSL_CTX_set_alpn_select_cb(ctx->ssl, tls_choose_alpn, NULL);
    /* A client may leave without a word: HTTP says what was whole. */
    SSL_CTX_set_options(ctx->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_cert_cb(ctx->ssl, s->certify ? tls_certify : NULL, NULL);
    if (s->early_data) {
        SSL_CTX_set_max_early_data(ctx->ssl, TLS_RECORD_MAX);
        tls_early_data_is_on = true;
    }
    if (s->stapling && tls_staples_create(ctx, s, err) == -1)
        return -1;
    return set_server_sessions(ctx, s, err);
}

static void set_client(struct tls_context *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_CLIENT |
                                                 SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx->ssl, tls_session_new);
}

static int build(struct tls_context *ctx, const struct tls_settings *s,
                 struct err *err)
{
    SSL_CTX *ssl = ctx->ssl;

    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_SINGLE_ECDH_USE |
                                 SSL_OP_NO_ANTI_REPLAY);
    SSL_CTX_set_mode(
        ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ssl, 1);
    if (set_algorithms(ssl, s, err) == -1 ||
        use_identities(ssl, s, err) == -1 || set_trust(ssl, s, err) == -1)
        return -1;
    if (s->is_client)
        set_client(ctx);
    else if (set_server(ctx, s, err) == -1)
        return -1;
    return run_commands(ssl, s, err);
}

struct tls_context *tls_context_create(const struct tls_settings *s,
                                       struct err *err)
{
    struct tls_context *ctx = xcalloc(1, sizeof *ctx);

    ERR_clear_error();
    tls_index();
    ctx->is_client = s->is_client;
    ctx->verify = s->verify != TLS_VERIFY_OFF;
    ctx->record_max = s->record_max && s->record_max < TLS_RECORD_MAX
                          ? s->record_max
                          : TLS_RECORD_MAX;
    ctx->ssl =
        SSL_CTX_new(s->is_client ? TLS_client_method() : TLS_server_method());
    if (!ctx->ssl) {
        tls_fail(err, "SSL_CTX_new()", "");
        free(ctx);
        return NULL;
    }
    check(SSL_CTX_set_ex_data(ctx->ssl, context_index(), ctx) == 1);
    if (build(ctx, s, err) == -1) {
        ERR_clear_error();
        SSL_CTX_free(ctx->ssl);
        return NULL;
    }
    ERR_clear_error();
    return ctx;
}

void tls_context_destroy(struct tls_context *ctx)
{
    if (!ctx)
        return;
    /* What belongs to the caller is not asked any more. */
    ctx->store = NULL;
    tls_staples_orphan(ctx);
    SSL_CTX_free(ctx->ssl);
}

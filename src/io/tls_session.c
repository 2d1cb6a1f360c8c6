/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions: the tickets that are issued (RFC 5077, RFC 8446 section 4.6.1),
 * and those that upstreams gave. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/random.h"
#include "tls_parts.h"

enum {
    LONG_KEY = 80, /* bytes in a file: name, HMAC key, AES-256 key */
    SHORT_KEY = 48,
};

static struct ticket_key process_key;

void tls_start(void)
{
    OPENSSL_init_ssl(0, NULL);
    tls_index();
    random_bytes(process_key.name, sizeof process_key.name);
    random_bytes(process_key.hmac, sizeof process_key.hmac);
    random_bytes(process_key.aes, sizeof process_key.aes);
}

/* ---- keys ---- */

static int read_key(struct ticket_key *key, const struct tls_text *file,
                    struct err *err)
{
    const char *p = file->text.p;

    if (file->text.n != LONG_KEY && file->text.n != SHORT_KEY)
        return err_set(err, "\"%s\" must be 48 or 80 bytes", file->path);
    key->short_key = file->text.n == SHORT_KEY;
    size_t half = key->short_key ? 16 : 32;
    memcpy(key->name, p, 16);
    memcpy(key->hmac, p + 16, half);
    memcpy(key->aes, p + 16 + half, half);
    return 0;
}

int tls_ticket_keys(struct tls_context *ctx, const struct tls_settings *s,
                    struct err *err)
{
    if (s->ticket_keys_n > TICKET_KEYS_MAX)
        return err_set(err, "more than %d ticket keys", TICKET_KEYS_MAX);
    for (size_t i = 0; i < s->ticket_keys_n; i++)
        if (read_key(&ctx->tickets[i], &s->ticket_keys[i], err) == -1)
            return -1;
    ctx->tickets_n = s->ticket_keys_n;
    if (!ctx->tickets_n)
        ctx->tickets[ctx->tickets_n++] = process_key;
    return 0;
}

static bool start_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    char digest[] = "SHA256";
    size_t n = key->short_key ? 16 : 32;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                          (void *)(uintptr_t)key->hmac, n),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static const EVP_CIPHER *cipher_of(const struct ticket_key *key)
{
    return key->short_key ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
}

/* 1: go on; 2: and issue a fresh one; 0: not ours; -1: trouble. */
int tls_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
               EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int issue)
{
    const struct tls_context *ctx = tls_context_of(SSL_get_SSL_CTX(ssl));
    const struct ticket_key *key = ctx->tickets;

    if (issue) {
        random_bytes(iv, 16);
        memcpy(name, key->name, 16);
        return EVP_EncryptInit_ex(cipher, cipher_of(key), NULL, key->aes, iv) ==
                           1 &&
                       start_mac(mac, key)
                   ? 1
                   : -1;
    }
    size_t i = 0;
    while (i < ctx->tickets_n && memcmp(name, ctx->tickets[i].name, 16) != 0)
        i++;
    if (i == ctx->tickets_n)
        return 0;
    key = &ctx->tickets[i];
    if (!start_mac(mac, key) ||
        EVP_DecryptInit_ex(cipher, cipher_of(key), NULL, key->aes, iv) != 1)
        return -1;
    /* TLS 1.3 clients are to use a ticket once (RFC 8446 appendix C.4). */
    return i > 0 || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

/* ---- what upstreams gave ---- */

SSL_SESSION *tls_session_find(struct tls_context *ctx, struct str key)
{
    for (struct tls_session *s = ctx->sessions; s; s = s->next)
        if (str_eq(str_n(s->key, s->n), key) &&
            SSL_SESSION_is_resumable(s->session))
            return SSL_SESSION_dup(s->session);
    return NULL;
}

static void drop(struct tls_session *s)
{
    SSL_SESSION_free(s->session);
    free(s);
}

/* What is remembered is a copy: OpenSSL spoils the session of a connection
 * that ends without close_notify, as those of many upstreams do, and that is
 * no reason not to resume it (RFC 5246 section 7.2.1). */
int tls_session_new(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = tls_of(ssl);
    struct tls_context *ctx = tls_context_of(SSL_get_SSL_CTX(ssl));
    size_t n = 0;

    if (!t->session_n || !(session = SSL_SESSION_dup(session)))
        return 0;
    struct tls_session *fresh = xmalloc(sizeof *fresh + t->session_n);
    *fresh = (struct tls_session){
        .session = session, .next = ctx->sessions, .n = t->session_n};
    memcpy(fresh->key, t->session, t->session_n);
    ctx->sessions = fresh;
    /* One a key, and a bounded number of them. */
    for (struct tls_session **at = &fresh->next; *at;) {
        struct tls_session *s = *at;
        bool same = str_eq(str_n(s->key, s->n), str_n(fresh->key, fresh->n));
        if (same || ++n >= TLS_SESSIONS_MAX) {
            *at = s->next;
            drop(s);
        } else {
            at = &s->next;
        }
    }
    return 0;
}

void tls_sessions_drop(struct tls_context *ctx)
{
    while (ctx->sessions) {
        struct tls_session *s = ctx->sessions;
        ctx->sessions = s->next;
        drop(s);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* A certificate with its chain and its key, from PEM. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "base/check.h"
#include "tls_parts.h"

struct tls_credential {
    unsigned references;
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

/* ---- reading ---- */

BIO *tls_bio_of(const struct tls_text *t)
{
    if (t->text.n > INT32_MAX)
        return NULL;
    return BIO_new_mem_buf(t->text.p ? t->text.p : "", (int)t->text.n);
}

static int read_chain(struct tls_credential *c, const struct tls_text *file,
                      struct err *err)
{
    BIO *bio = tls_bio_of(file);
    X509 *next;

    c->leaf = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    c->chain = sk_X509_new_null();
    if (!c->leaf || !c->chain) {
        BIO_free(bio);
        return tls_fail(err, "cannot load certificate", file->path);
    }
    while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (!sk_X509_push(c->chain, next)) {
            X509_free(next);
            break;
        }
    BIO_free(bio);
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return tls_fail(err, "cannot load certificate chain", file->path);
    ERR_clear_error();
    return 0;
}

static int give_password(char *out, int size, int writing, void *arg)
{
    const struct str *password = arg;
    (void)writing;
    if (!password || password->n > (size_t)size)
        return -1;
    memcpy(out, password->p, password->n);
    return (int)password->n;
}

static EVP_PKEY *try_key(const struct tls_text *file, struct str password)
{
    BIO *bio = tls_bio_of(file);
    EVP_PKEY *key =
        bio ? PEM_read_bio_PrivateKey(bio, NULL, give_password,
                                      password.p ? (void *)&password : NULL)
            : NULL;
    BIO_free(bio);
    return key;
}

static int read_key(struct tls_credential *c, const struct tls_text *file,
                    struct str passwords, struct err *err)
{
    c->key = try_key(file, (struct str){NULL, 0});
    while (!c->key && passwords.n) {
        struct str line = str_cut(&passwords, '\n');
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        c->key = try_key(file, line);
    }
    if (!c->key || X509_check_private_key(c->leaf, c->key) != 1)
        return tls_fail(err, "cannot load certificate key", file->path);
    ERR_clear_error(); /* of passwords that were not the right one */
    return 0;
}

/* ---- life ---- */

struct tls_credential *tls_credential_create(const struct tls_identity *from,
                                             struct str passwords,
                                             struct err *err)
{
    struct tls_credential *c = xcalloc(1, sizeof *c);

    ERR_clear_error();
    c->references = 1;
    if (read_chain(c, &from->certificate, err) == 0 &&
        read_key(c, &from->key, passwords, err) == 0)
        return c;
    tls_credential_unref(c);
    return NULL;
}

struct tls_credential *tls_credential_ref(struct tls_credential *c)
{
    c->references++;
    return c;
}

void tls_credential_unref(struct tls_credential *c)
{
    if (!c || --c->references)
        return;
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    free(c);
}

/* ---- use ---- */

int tls_credential_install(struct tls_credential *c, SSL_CTX *ssl)
{
    return SSL_CTX_use_certificate(ssl, c->leaf) == 1 &&
                   SSL_CTX_set1_chain(ssl, c->chain) == 1 &&
                   SSL_CTX_use_PrivateKey(ssl, c->key) == 1
               ? 0
               : -1;
}

int tls_credential_use(struct tls *t, struct tls_credential *c)
{
    bool good = SSL_use_certificate(t->ssl, c->leaf) == 1 &&
                SSL_set1_chain(t->ssl, c->chain) == 1 &&
                SSL_use_PrivateKey(t->ssl, c->key) == 1;
    ERR_clear_error();
    return good ? 0 : -1;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* io/tls_parts.h - what the files about TLS share and no one else needs. */
#ifndef PENSTOCK_IO_TLS_PARTS_H
#define PENSTOCK_IO_TLS_PARTS_H

#include <openssl/ssl.h>

#include "io/tls.h"

enum {
    TLS_RECORD_MAX = 16384, /* RFC 8446 section 5.1 */
    TLS_SESSIONS_MAX = 256, /* remembered for dialling out, per context */
    TICKET_KEYS_MAX = 16,
    TLS_ERROR_MAX = 256, /* bytes of a sentence for the log */
};

struct ticket_key {
    uint8_t name[16], hmac[32], aes[32];
    bool short_key; /* 48 bytes: AES-128, 16 bytes of HMAC key */
};

struct tls_session {
    SSL_SESSION *session;
    struct tls_session *next;
    size_t n;
    char key[];
};

/* Lives as long as the SSL_CTX, which connections hold on to. */
struct tls_context {
    SSL_CTX *ssl;
    const struct tls_session_store *store; /* NULL: none */
    struct tls_staple *staples;            /* of each certificate */
    bool is_client, verify;
    size_t record_max;
    struct ticket_key tickets[TICKET_KEYS_MAX];
    size_t tickets_n;
    struct tls_session *sessions; /* newest first */
};

struct tls {
    unsigned references;
    SSL *ssl;
    struct stream *stream; /* NULL: closed */
    const struct tls_accept_events *events;
    void *owner;
    const struct tls_context *first; /* that it was accepted with */
    size_t record_max;
    bool is_client;
    bool begun;       /* the first byte was looked at */
    bool early;       /* SSL_read_early_data() has not said its last word */
    bool early_came;  /* and there was some */
    bool plain;       /* and it was no handshake's */
    bool broken;      /* a fatal error: nothing may be sent any more */
    bool write_waits; /* for something to be read */
    bool taken_all;   /* the last read of the socket was short */
    bool eof;
    int error; /* errno of what read will say after what it gave */
    char text[TLS_ERROR_MAX];
    size_t session_n;
    char session[256]; /* the key; session_n 0: none */
};

struct tls_context *tls_context_of(const SSL_CTX *ssl);
struct tls *tls_of(const SSL *ssl);
int tls_index(void); /* of struct tls in an SSL */

/* Whether any context takes early data: the hello is not read yet when that
 * has to be known. */
extern bool tls_early_data_is_on;

BIO *tls_bio_of(const struct tls_text *t);
/* "WHAT "ABOUT" failed (SSL: WHY)" */
int tls_fail(struct err *err, const char *what, const char *about);
int tls_credential_install(struct tls_credential *c, SSL_CTX *ssl);
int tls_certify(SSL *ssl, void *arg);

int tls_staples_create(struct tls_context *ctx, const struct tls_settings *s,
                       struct err *err);
void tls_staples_orphan(struct tls_context *ctx);
void tls_staples_destroy(struct tls_context *ctx);

/* The newest OpenSSL error as "text (reason)"; empties its queue. */
void tls_reason(char *out, size_t n);

int tls_client_hello(SSL *ssl, int *alert, void *arg);
int tls_choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                    const unsigned char *in, unsigned in_n, void *arg);
int tls_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
               EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int issue);
int tls_ticket_keys(struct tls_context *ctx, const struct tls_settings *s,
                    struct err *err);

void tls_session_store_use(struct tls_context *ctx,
                           const struct tls_session_store *store);

/* A copy, which is the caller's. */
SSL_SESSION *tls_session_find(struct tls_context *ctx, struct str key);
int tls_session_new(SSL *ssl, SSL_SESSION *session);
void tls_sessions_drop(struct tls_context *ctx);

#endif

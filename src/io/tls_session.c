/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions: those that clients may resume, in a store of several processes,
 * and those that upstreams gave. */
#include <openssl/err.h>
#include <stdlib.h>

#include "base/check.h"
#include "tls_parts.h"

enum {
    SESSION_MAX = 16 * 1024 /* bytes of one as DER; a larger one (a client
                               with a long chain) is not stored */
};

/* ---- the store of a server ---- */

/* The context that the handshake began with: OpenSSL asks its callbacks, also
 * when the name in the hello has led to another. */
static const struct tls_session_store *store_of(const SSL *ssl)
{
    const struct tls *t = tls_of(ssl);
    return t && t->first ? t->first->store : NULL;
}

static struct str id_of(const SSL_SESSION *session)
{
    unsigned n;
    const unsigned char *id = SSL_SESSION_get_id(session, &n);
    return str_n(id, n);
}

static int on_new(SSL *ssl, SSL_SESSION *session)
{
    const struct tls_session_store *store = store_of(ssl);
    static unsigned char bytes[SESSION_MAX];
    unsigned char *p = bytes;

    /* Of a TLS 1.3 session the client has all in its ticket. */
    if (!store || (SSL_version(ssl) == TLS1_3_VERSION &&
                   !(SSL_get_options(ssl) & SSL_OP_NO_TICKET)))
        return 0;
    int n = i2d_SSL_SESSION(session, NULL);
    if (n <= 0 || n > SESSION_MAX)
        return 0;
    i2d_SSL_SESSION(session, &p);
    store->put(store->arg, id_of(session), str_n(bytes, (size_t)n));
    OPENSSL_cleanse(bytes, (size_t)n);
    return 0;
}

static SSL_SESSION *on_get(SSL *ssl, const unsigned char *id, int n, int *copy)
{
    const struct tls_session_store *store = store_of(ssl);
    struct buf found = {.max = SESSION_MAX};
    SSL_SESSION *session = NULL;

    *copy = 0;
    if (store && n > 0 &&
        store->find(store->arg, str_n(id, (size_t)n), &found)) {
        const unsigned char *p = found.p;
        ERR_set_mark(); /* what can not be read is not there: no error */
        session = d2i_SSL_SESSION(NULL, &p, (long)found.n);
        ERR_pop_to_mark();
        OPENSSL_cleanse(found.p, found.n);
    }
    buf_fini(&found);
    return session;
}

static void on_remove(SSL_CTX *ssl, SSL_SESSION *session)
{
    const struct tls_context *ctx = tls_context_of(ssl);
    if (ctx && ctx->store)
        ctx->store->drop(ctx->store->arg, id_of(session));
}

void tls_session_store_use(struct tls_context *ctx,
                           const struct tls_session_store *store)
{
    ctx->store = store;
    SSL_CTX_sess_set_new_cb(ctx->ssl, on_new);
    SSL_CTX_sess_set_get_cb(ctx->ssl, on_get);
    SSL_CTX_sess_set_remove_cb(ctx->ssl, on_remove);
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

/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "tls_parts.h"
#include "transport.h"

enum {
    SENDFILE_MAX = 16 * TLS_RECORD_MAX, /* bytes in one turn */
    FIRST_HANDSHAKE = 22, /* the first byte of a record that holds one */
    FIRST_SSL2 = 0x80,    /* or'ed into it by an SSL 2 hello */
};

bool tls_early_data_is_on;

/* What goes into one record is put together here: one writer at a time, and
 * OpenSSL keeps nothing of it but the encrypted copy. */
static uint8_t gathered[TLS_RECORD_MAX];

static struct tls *tls_on(const struct stream *s)
{
    return s->transport_data;
}

/* ---- what OpenSSL's answers mean ---- */

static void remember_reason(struct tls *t)
{
    long verdict = SSL_get_verify_result(t->ssl);
    if (t->text[0])
        return;
    if (t->is_client && !SSL_is_init_finished(t->ssl) && verdict != X509_V_OK) {
        snprintf(t->text, sizeof t->text,
                 "upstream SSL certificate verify error: (%ld:%s)", verdict,
                 X509_verify_cert_error_string(verdict));
        ERR_clear_error();
        return;
    }
    char reason[TLS_ERROR_MAX - 64];
    tls_reason(reason, sizeof reason);
    snprintf(t->text, sizeof t->text, "%s failed (SSL: %s)",
             SSL_is_init_finished(t->ssl) ? "SSL_read()" : "SSL_do_handshake()",
             reason);
}

/* The peer just went away.  A server's client may: what it sent is whole or
 * is not, and HTTP says which.  A response that ends with its connection
 * would be cut unseen (RFC 9112 section 9.8), so there it is an error. */
static int ended_without_notice(struct tls *t)
{
    t->broken = true;
    if (SSL_is_init_finished(t->ssl) && !t->is_client)
        return 0;
    snprintf(t->text, sizeof t->text, "peer closed connection in %s",
             SSL_is_init_finished(t->ssl) ? "the middle of TLS"
                                          : "SSL handshake");
    errno = ECONNRESET;
    return -1;
}

/* errno for what SSL_read, SSL_write or SSL_do_handshake said; 0 is the
 * orderly end of reading. */
static int meaning(struct tls *t, int rc, bool reading)
{
    int saved = errno;
    int kind = SSL_get_error(t->ssl, rc);

    switch (kind) {
    case SSL_ERROR_WANT_READ:
        if (!reading)
            t->write_waits = true;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        if (reading)
            t->stream->read_wants_write = true;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        if (saved == 0)
            return ended_without_notice(t);
        t->broken = true;
        snprintf(t->text, sizeof t->text, "%s", strerror(saved));
        errno = saved;
        return -1;
    default:
        if (ERR_GET_REASON(ERR_peek_error()) ==
            SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            ERR_clear_error();
            return ended_without_notice(t);
        }
        remember_reason(t);
        t->broken = true;
        errno = EPROTO;
        return -1;
    }
}

static void before_call(void)
{
    ERR_clear_error();
    errno = 0;
}

/* Something was read: output that waited for it may go on.  No edge would say
 * so, the socket was writable all the time. */
static void wake_writer(struct stream *s, struct tls *t)
{
    if (!t->write_waits)
        return;
    t->write_waits = false;
    s->writable = true;
    s->drained = true;
    loop_defer(s->loop, &s->flush);
}

/* ---- reading ---- */

/* 1: go on with TLS; 0: it is plain; -1 with errno. */
static int look_at_first_byte(struct stream *s, struct tls *t)
{
    uint8_t first;
    ssize_t n = recv(s->fd, &first, 1, MSG_PEEK);

    if (n == -1)
        return -1;
    t->begun = true;
    if (n == 1 && first != FIRST_HANDSHAKE && !(first & FIRST_SSL2)) {
        t->plain = true;
        return 0;
    }
    return 1;
}

static void become_plain(struct stream *s, struct tls *t)
{
    s->transport = &transport_plain;
    s->transport_data = NULL;
    t->stream = NULL;
    if (t->write_waits)
        wake_writer(s, t);
    tls_unref(t);
}

/* As SSL_read(); what comes before the handshake is done, comes first. */
static int read_some(struct tls *t, void *p, size_t n)
{
    size_t got = 0;

    if (!t->early)
        return SSL_read(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
    switch (SSL_read_early_data(t->ssl, p, n, &got)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
        t->early_came = true;
        return (int)got;
    case SSL_READ_EARLY_DATA_FINISH:
        t->early = false;
        return SSL_read(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
    default:
        return 0;
    }
}

/* OpenSSL reads ahead; how much the kernel had is seen here only. */
static long on_socket_read(BIO *bio, int operation, const char *p, size_t n,
                           int argi, long argl, int rc, size_t *got)
{
    (void)p, (void)argi, (void)argl;
    if (operation == (BIO_CB_READ | BIO_CB_RETURN)) {
        struct tls *t = (void *)BIO_get_callback_arg(bio);
        t->taken_all = rc > 0 && *got < n;
    }
    return rc;
}

/* As much as there is: one record after the other, until the kernel has no
 * more.  So a short answer means what it means on a plain socket. */
static ssize_t tls_recv(struct stream *s, void *p, size_t n)
{
    struct tls *t = tls_on(s);
    size_t total = 0;

    if (t->error) {
        errno = t->error;
        return -1;
    }
    if (t->eof)
        return 0;
    if (!t->begun && !t->is_client) {
        int rc = look_at_first_byte(s, t);
        if (rc == -1)
            return -1;
        if (rc == 0) {
            become_plain(s, t);
            return s->transport->recv(s, p, n);
        }
    }
    t->taken_all = false; /* the kernel may have got more since */
    while (total < n) {
        before_call();
        int got = read_some(t, (uint8_t *)p + total, n - total);
        if (got > 0) {
            total += (size_t)got;
            if (t->taken_all && !SSL_has_pending(t->ssl))
                break;
            continue;
        }
        int rc = meaning(t, got, true);
        int error = errno;
        if (rc == -1 && error == EAGAIN) {
            wake_writer(s, t);
            errno = EAGAIN;
            return total ? (ssize_t)total : -1;
        }
        if (rc == 0)
            t->eof = true;
        else
            t->error = error;
        s->hangup = true; /* the end is to be asked for, no edge tells */
        errno = error;
        return total ? (ssize_t)total : rc;
    }
    wake_writer(s, t);
    return (ssize_t)total;
}

/* ---- writing ---- */

/* One record; bytes taken, or -1 with errno. */
static ssize_t write_record(struct tls *t, const void *p, size_t n)
{
    if (t->broken) {
        errno = EPIPE;
        return -1;
    }
    size_t early_n;
    before_call();
    int rc = !tls_is_early(t) ? SSL_write(t->ssl, p, (int)n)
             : SSL_write_early_data(t->ssl, p, n, &early_n) == 1 ? (int)early_n
                                                                 : 0;
    if (rc > 0)
        return rc;
    if (meaning(t, rc, false) == 0) {
        errno = EPIPE;
        return -1;
    }
    return -1;
}

/* The bytes of iov behind the first skip ones, as one run of at most max:
 * where they lie if they lie together, else gathered. */
static const uint8_t *next_run(const struct iovec *iov, int n, size_t skip,
                               size_t max, size_t *run)
{
    int i = 0;
    while (i < n && skip >= iov[i].iov_len)
        skip -= iov[i++].iov_len;
    *run = 0;
    if (i == n)
        return NULL;
    const uint8_t *first = (const uint8_t *)iov[i].iov_base + skip;
    size_t first_n = iov[i].iov_len - skip;
    if (first_n >= max || i == n - 1) {
        *run = first_n < max ? first_n : max;
        return first;
    }
    for (; i < n && *run < max; i++, skip = 0) {
        size_t piece = iov[i].iov_len - skip;
        if (piece > max - *run)
            piece = max - *run;
        if (piece)
            memcpy(gathered + *run, (const uint8_t *)iov[i].iov_base + skip,
                   piece);
        *run += piece;
    }
    return gathered;
}

/*
 * A record that did not leave whole is encrypted already: OpenSSL wants the
 * same bytes again, at least as many.  It gets them, since what was not taken
 * stays first in the stream's queue.
 */
static ssize_t tls_writev(struct stream *s, const struct iovec *iov, int n)
{
    struct tls *t = tls_on(s);
    size_t total = 0;

    for (;;) {
        size_t run;
        const uint8_t *p = next_run(iov, n, total, t->record_max, &run);
        if (!run)
            return (ssize_t)total;
        ssize_t sent = write_record(t, p, run);
        if (sent == -1)
            return total ? (ssize_t)total : -1;
        total += (size_t)sent;
    }
}

static ssize_t tls_sendfile(struct stream *s, int fd, off_t *at, size_t n)
{
    struct tls *t = tls_on(s);
    size_t total = 0;

    while (total < n && total < SENDFILE_MAX) {
        size_t want = n - total < t->record_max ? n - total : t->record_max;
        ssize_t got = pread(fd, gathered, want, *at);
        if (got == -1)
            return total ? (ssize_t)total : -1;
        if (got == 0)
            break;
        ssize_t sent = write_record(t, gathered, (size_t)got);
        if (sent == -1)
            return total ? (ssize_t)total : -1;
        *at += sent;
        total += (size_t)sent;
    }
    return (ssize_t)total;
}

/* close_notify (RFC 8446 section 6.1), then FIN. */
static int tls_shutdown(struct stream *s)
{
    struct tls *t = tls_on(s);

    if (!t->broken && SSL_is_init_finished(t->ssl)) {
        before_call();
        int rc = SSL_shutdown(t->ssl);
        if (rc < 0 && meaning(t, rc, false) == -1 && errno == EAGAIN &&
            !t->write_waits)
            return -1;
        t->write_waits = false;
    }
    shutdown(s->fd, SHUT_WR);
    return 0;
}

static void tls_fini(struct stream *s)
{
    struct tls *t = tls_on(s);

    if (!t->broken && !(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) &&
        SSL_is_init_finished(t->ssl)) {
        before_call();
        SSL_shutdown(t->ssl); /* if it does not fit, the FIN must do */
        ERR_clear_error();
    }
    t->stream = NULL;
    s->transport_data = NULL;
    tls_unref(t);
}

/* Dialling out: the handshake is a part of connecting. */
static int tls_handshake(struct stream *s)
{
    struct tls *t = tls_on(s);

    before_call();
    int rc = SSL_do_handshake(t->ssl);
    if (rc == 1)
        return 0;
    if (meaning(t, rc, true) == 0)
        errno = ECONNRESET;
    s->read_wants_write = false; /* either edge brings us back here */
    return -1;
}

static const struct stream_transport transport_tls = {
    .recv = tls_recv,
    .writev = tls_writev,
    .sendfile = tls_sendfile,
    .shutdown = tls_shutdown,
    .fini = tls_fini,
    .connect = tls_handshake,
};

/* ---- life ---- */

static struct tls *attach(struct stream *s, struct tls_context *ctx)
{
    struct tls *t = xcalloc(1, sizeof *t);

    before_call();
    t->ssl = SSL_new(ctx->ssl);
    if (!t->ssl || SSL_set_fd(t->ssl, s->fd) != 1 ||
        SSL_set_ex_data(t->ssl, tls_index(), t) != 1) {
        SSL_free(t->ssl);
        free(t);
        ERR_clear_error();
        return NULL;
    }
    BIO_set_callback_ex(SSL_get_rbio(t->ssl), on_socket_read);
    BIO_set_callback_arg(SSL_get_rbio(t->ssl), (char *)t);
    t->references = 2; /* the stream's and the caller's */
    t->stream = s;
    t->record_max = ctx->record_max;
    t->is_client = ctx->is_client;
    s->transport = &transport_tls;
    s->transport_data = t;
    return t;
}

struct tls *stream_tls_accept(struct stream *s, struct tls_context *ctx,
                              const struct tls_accept_events *events,
                              void *owner)
{
    struct tls *t = attach(s, ctx);
    if (!t)
        return NULL;
    t->events = events;
    t->owner = owner;
    t->first = ctx;
    t->early = tls_early_data_is_on;
    SSL_set_accept_state(t->ssl);
    return t;
}

static bool name_is_address(const char *name)
{
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
    ASN1_OCTET_STRING_free(ip);
    ERR_clear_error();
    return ip != NULL;
}

static bool expect_name(struct tls *t, const char *name, bool send, bool verify)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    bool is_address = name_is_address(name);

    if (send && !is_address && SSL_set_tlsext_host_name(t->ssl, name) != 1)
        return false;
    if (!verify)
        return true;
    if (is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

struct tls *stream_tls_connect(struct stream *s, struct tls_context *ctx,
                               struct str name, bool send_name,
                               struct str session)
{
    char text[256];
    bool too_long = name.n >= sizeof text || str_find(name, 0, 0) < name.n;

    if (name.n > 2 && name.p[0] == '[') /* an IPv6 address of a URL */
        name = str_slice(name, 1, name.n - 1);
    snprintf(text, sizeof text, "%.*s", STR_ARG(name));
    struct tls *t = attach(s, ctx);
    if (!t)
        return NULL;
    SSL_set_connect_state(t->ssl);
    if (too_long || !expect_name(t, text, send_name && name.n, ctx->verify)) {
        ERR_clear_error();
        t->broken = true;
        tls_unref(t);
        return NULL;
    }
    if (session.n && session.n <= sizeof t->session) {
        memcpy(t->session, session.p, session.n);
        t->session_n = session.n;
        SSL_SESSION *known = tls_session_find(ctx, session);
        if (known) {
            SSL_set_session(t->ssl, known);
            SSL_SESSION_free(known);
        }
    }
    s->connecting = true;
    s->writable = false;
    return t;
}

struct tls *tls_ref(struct tls *t)
{
    t->references++;
    return t;
}

void tls_unref(struct tls *t)
{
    if (!t || --t->references)
        return;
    SSL_free(t->ssl);
    free(t);
}

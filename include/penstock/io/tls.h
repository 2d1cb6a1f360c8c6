/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/tls.h - TLS on a stream, and the one door to OpenSSL's SSL side.
 *
 * A context is what certificates and settings come to; it is made from texts,
 * never from files.  A stream that is given one speaks TLS 1.0 to 1.3 (RFC
 * 2246, 4346, 5246, 8446) from then on, handshake included: its owner hears
 * of plain bytes only, and of on_end when the handshake fails.  There is no
 * renegotiation and no compression.
 */
#ifndef PENSTOCK_IO_TLS_H
#define PENSTOCK_IO_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "io/stream.h"

struct tls;
struct tls_context;

/* Once per process, before it forks: all that it forks share the keys of
 * session tickets, so what one issued any of them resumes. */
void tls_start(void);

/* In one of these processes: make a new key when it is time.  Milliseconds
 * until it is again, or -1: never. */
int tls_tickets_tend(void);

enum tls_protocol {
    TLS_V1_0 = 1 << 0,
    TLS_V1_1 = 1 << 1,
    TLS_V1_2 = 1 << 2,
    TLS_V1_3 = 1 << 3,
};

enum tls_verify {
    TLS_VERIFY_OFF = 0,
    TLS_VERIFY_ON,
    TLS_VERIFY_OPTIONAL,
    TLS_VERIFY_OPTIONAL_NO_CA,
};

/* A file's text, and its path for messages. */
struct tls_text {
    const char *path;
    struct str text; /* p NULL: there is none */
};

struct tls_identity {
    struct tls_text certificate, key; /* PEM */
};

enum tls_cache {
    TLS_CACHE_NONE = 0,         /* clients may think that there is one */
    TLS_CACHE_OFF = 1 << 0,     /* and here not */
    TLS_CACHE_BUILTIN = 1 << 1, /* in this process */
    TLS_CACHE_STORE = 1 << 2,   /* the settings' store */
};

/* Where sessions are kept for several processes.  Both are bytes; find
 * appends to out.  It is not asked after tls_context_destroy(). */
struct tls_session_store {
    void (*put)(void *arg, struct str id, struct str session);
    bool (*find)(void *arg, struct str id, struct buf *out);
    void (*drop)(void *arg, struct str id);
    void *arg;
};

struct tls_settings {
    bool is_client;
    const struct tls_identity *identities; /* of several kinds: RSA, ECDSA */
    size_t identities_n;
    struct tls_text passwords;   /* of encrypted keys, one a line */
    unsigned protocols;          /* enum tls_protocol, or'ed */
    const char *ciphers;         /* up to TLS 1.2; NULL: OpenSSL's */
    const char *curves;          /* NULL or "auto": OpenSSL's */
    const char *const *commands; /* name, value, name, ... of SSL_CONF_cmd */
    size_t commands_n;           /* words */
    bool prefer_server_ciphers;
    struct tls_text dhparam;

    /* Of the peer's certificate: a server asks for one unless verify is
     * off and leaves the verdict to tls_verify_result(); a client with
     * verify on refuses the handshake. */
    enum tls_verify verify;
    unsigned verify_depth;
    struct tls_text authorities; /* whose names are sent to clients */
    struct tls_text trusted, crl;

    /* Certificates are given by the certify event; this text stands for
     * them where sessions must not be mixed.  NULL: identities are all. */
    const char *certify;

    unsigned cache;      /* enum tls_cache, or'ed */
    size_t sessions_max; /* of the built-in one */
    const struct tls_session_store *store;
    uint64_t timeout_s; /* of sessions and tickets */
    bool tickets;
    const struct tls_text *ticket_keys; /* 48 or 80 bytes; first one issues */
    size_t ticket_keys_n;               /* 0: the process's */
    size_t record_max; /* bytes of one record that is sent; at most 16 KiB */
    bool early_data;   /* RFC 8446 section 2.3: what comes so may be replayed */

    /* OCSP responses in handshakes (RFC 6066 section 8) */
    bool stapling, staple_verify;
    struct tls_text staple_file;  /* DER; else they are fetched: */
    const char *staple_responder; /* a URL; NULL: the certificate's */
    void (*warn)(void *arg, const char *sentence);
    void *warn_arg;
};

/* NULL with the sentence.  The texts are not needed afterwards. */
struct tls_context *tls_context_create(const struct tls_settings *s,
                                       struct err *err);
/* Connections that use it go on. */
void tls_context_destroy(struct tls_context *ctx);

/* ---- connections ---- */

struct tls_staple;

/*
 * What the owner of an accepted stream is asked during the handshake, while
 * it is the one that called stream_tls_accept().
 *
 * choose   which context serves that name (as sent; empty: none was)?  NULL
 *          refuses the handshake (RFC 6066 section 3, unrecognized_name)
 * certify  use certificates, by tls_credential_use(); -1: there are none.
 *          For contexts with settings.certify
 * staple   an OCSP response should be fetched; may be NULL
 */
struct tls_accept_events {
    struct tls_context *(*choose)(void *owner, struct str name);
    int (*certify)(void *owner, struct tls *tls);
    void (*staple)(void *owner, struct tls_staple *staple);
};

/*
 * The stream waits for a TLS client from now on; nothing was read or written
 * yet.  A first byte that no handshake has makes it plain again: see
 * tls_is_plain().  The caller has a reference.  NULL when OpenSSL is out of
 * memory: close the stream.
 */
struct tls *stream_tls_accept(struct stream *s, struct tls_context *ctx,
                              const struct tls_accept_events *events,
                              void *owner);

/*
 * Dial out with TLS: call it right after the stream was made.  on_connect
 * comes when the handshake is done, also where the connect() was at once.
 * name: sent as SNI when send_name, and what the certificate must be for when
 * the context verifies.  session: under which key a session is remembered and
 * resumed in the context; empty: none is.
 */
struct tls *stream_tls_connect(struct stream *s, struct tls_context *ctx,
                               struct str name, bool send_name,
                               struct str session);

/* ---- certificates of one connection ---- */

struct tls_credential; /* counted */

/* From texts, which are not needed afterwards.  NULL with the sentence. */
struct tls_credential *tls_credential_create(const struct tls_identity *from,
                                             struct str passwords,
                                             struct err *err);
struct tls_credential *tls_credential_ref(struct tls_credential *c);
void tls_credential_unref(struct tls_credential *c); /* NULL is fine */

/* In certify, or right after stream_tls_connect().  -1: OpenSSL refuses. */
int tls_credential_use(struct tls *tls, struct tls_credential *c);

/* ---- OCSP responses ---- */

/* Those of a context that are to be fetched, until NULL comes. */
struct tls_staple *tls_context_staple(struct tls_context *ctx, size_t i);
const char *tls_staple_url(const struct tls_staple *s);
/* The fetcher's own; NULL once the context was destroyed. */
void tls_staple_set_data(struct tls_staple *s, void *data);
void *tls_staple_data(const struct tls_staple *s);
/* Append the request, DER. */
void tls_staple_put_request(const struct tls_staple *s, struct buf *out);
/* What the responder said: used from now on, or -1 with the sentence.  After
 * a failure, also one to reach it, the next try is some minutes away. */
int tls_staple_take(struct tls_staple *s, struct str der, struct err *err);
void tls_staple_failed(struct tls_staple *s);

struct tls *tls_ref(struct tls *tls);
void tls_unref(struct tls *tls); /* NULL is fine */

/* ---- what is known about one ---- */

/* The client spoke without TLS from its first byte on. */
bool tls_is_plain(const struct tls *tls);
bool tls_is_established(const struct tls *tls);
/* Early data came, and the handshake that proves it fresh is not done. */
bool tls_is_early(const struct tls *tls);
/* Why it ended, for the log: "" while nothing failed. */
const char *tls_error(const struct tls *tls);
/* The name the client asked for; empty: none. */
struct str tls_server_name(const struct tls *tls);
const char *tls_protocol(const struct tls *tls);
const char *tls_cipher(const struct tls *tls);
/* The numbers of both on the wire: 0x0304, 0x1301. */
uint16_t tls_protocol_code(const struct tls *tls);
uint16_t tls_cipher_code(const struct tls *tls);
const char *tls_curve(const struct tls *tls); /* NULL: none */
struct str tls_alpn(const struct tls *tls);
bool tls_is_resumed(const struct tls *tls);
bool tls_has_peer_certificate(const struct tls *tls);
/* NULL: good, or nothing was asked for; else what is wrong.  no_ca: an
 * issuer that is not known is fine. */
const char *tls_verify_error(const struct tls *tls, bool no_ca);

enum tls_peer_part {
    TLS_PEER_SUBJECT, /* RFC 2253 */
    TLS_PEER_ISSUER,
    TLS_PEER_SUBJECT_LEGACY, /* "/O=x/CN=y" */
    TLS_PEER_ISSUER_LEGACY,
    TLS_PEER_SERIAL,      /* hex */
    TLS_PEER_FINGERPRINT, /* SHA-1, hex */
    TLS_PEER_PEM,
    TLS_PEER_NOT_BEFORE,
    TLS_PEER_NOT_AFTER,
    TLS_PEER_DAYS_LEFT,
    TLS_PEER_SIGNATURE, /* "ecdsa_secp256r1_sha256", of the handshake */
    TLS_OWN_SIGNATURE,
    TLS_CLIENT_CIPHERS, /* what the hello offered, with colons between; only
                           of new sessions; 0x... for unknown ones */
    TLS_CLIENT_CURVES,
    TLS_SESSION_ID, /* hex */
    TLS_OWN_PEM,
};

/* Append that part; false: there is none. */
bool tls_put(const struct tls *tls, enum tls_peer_part part, struct buf *out);

#endif

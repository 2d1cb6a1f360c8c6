/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io/tls.h - TLS on a stream, and the one door to OpenSSL's SSL side.
 *
 * A context is what certificates and settings come to; it is made from texts,
 * never from files.  A stream that is given one speaks TLS 1.0 to 1.3 (RFC
 * 2246, 4346, 5246, 8446) from then on, handshake included: its owner hears
 * of plain bytes only, and of on_end when the handshake fails.  There is no
 * renegotiation, no compression and no early data.
 */
#ifndef PENSTOCK_IO_TLS_H
#define PENSTOCK_IO_TLS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "io/stream.h"

struct tls;
struct tls_context;

/* Once per process, before it forks: workers share the key of their session
 * tickets, so what one issued any of them resumes. */
void tls_start(void);

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

    bool session_cache;  /* in this process */
    size_t sessions_max; /* 0: OpenSSL's */
    uint64_t timeout_s;  /* of sessions and tickets */
    bool tickets;
    const struct tls_text *ticket_keys; /* 48 or 80 bytes; first one issues */
    size_t ticket_keys_n;               /* 0: the process's */
    size_t record_max; /* bytes of one record that is sent; at most 16 KiB */
};

/* NULL with the sentence.  The texts are not needed afterwards. */
struct tls_context *tls_context_create(const struct tls_settings *s,
                                       struct err *err);
/* Connections that use it go on. */
void tls_context_destroy(struct tls_context *ctx);

/* ---- connections ---- */

/*
 * Which context serves that name (as sent; empty: none was)?  NULL refuses
 * the handshake (RFC 6066 section 3, unrecognized_name).  Asked once, while
 * the stream's owner is the one that called stream_tls_accept().
 */
typedef struct tls_context *tls_choose_fn(void *owner, struct str name);

/*
 * The stream waits for a TLS client from now on; nothing was read or written
 * yet.  A first byte that no handshake has makes it plain again: see
 * tls_is_plain().  The caller has a reference.  NULL when OpenSSL is out of
 * memory: close the stream.
 */
struct tls *stream_tls_accept(struct stream *s, struct tls_context *ctx,
                              tls_choose_fn *choose, void *owner);

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

struct tls *tls_ref(struct tls *tls);
void tls_unref(struct tls *tls); /* NULL is fine */

/* ---- what is known about one ---- */

/* The client spoke without TLS from its first byte on. */
bool tls_is_plain(const struct tls *tls);
bool tls_is_established(const struct tls *tls);
/* Why it ended, for the log: "" while nothing failed. */
const char *tls_error(const struct tls *tls);
/* The name the client asked for; empty: none. */
struct str tls_server_name(const struct tls *tls);
const char *tls_protocol(const struct tls *tls);
const char *tls_cipher(const struct tls *tls);
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
};

/* Append that part; false: there is none. */
bool tls_put(const struct tls *tls, enum tls_peer_part part, struct buf *out);

#endif

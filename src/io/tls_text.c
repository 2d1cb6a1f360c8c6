/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be said of a connection in text: its variables. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/check.h"
#include "tls_parts.h"

/* ---- parts of the peer's certificate ---- */

static void put_hex(struct buf *out, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%02x", p[i]);
}

static bool put_bio(BIO *bio, bool good, struct buf *out)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    if (good && n > 0)
        buf_put(out, p, (size_t)n);
    BIO_free(bio);
    return good && n > 0;
}

static bool put_serial(X509 *peer, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = bio && i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(peer)) > 0;
    return put_bio(bio, good, out);
}

static bool put_fingerprint(X509 *peer, struct buf *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (X509_digest(peer, EVP_sha1(), digest, &n) != 1)
        return false;
    put_hex(out, digest, n);
    return true;
}

static bool put_days_left(X509 *peer, struct buf *out)
{
    int days, seconds;
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(peer)) != 1)
        return false;
    buf_printf(out, "%d", days > 0 ? days : 0);
    return true;
}

static bool put_oneline(const X509_NAME *name, struct buf *out)
{
    char *text = X509_NAME_oneline(name, NULL, 0);
    if (!text)
        return false;
    buf_put_str(out, str_c(text));
    OPENSSL_free(text);
    return true;
}

static bool put_part(X509 *peer, enum tls_peer_part part, struct buf *out)
{
    if (part == TLS_PEER_SERIAL)
        return put_serial(peer, out);
    if (part == TLS_PEER_FINGERPRINT)
        return put_fingerprint(peer, out);
    if (part == TLS_PEER_DAYS_LEFT)
        return put_days_left(peer, out);
    if (part == TLS_PEER_SUBJECT_LEGACY)
        return put_oneline(X509_get_subject_name(peer), out);
    if (part == TLS_PEER_ISSUER_LEGACY)
        return put_oneline(X509_get_issuer_name(peer), out);
    BIO *bio = BIO_new(BIO_s_mem());
    bool good = false;
    if (!bio)
        return false;
    if (part == TLS_PEER_SUBJECT)
        good = X509_NAME_print_ex(bio, X509_get_subject_name(peer), 0,
                                  XN_FLAG_RFC2253) >= 0;
    else if (part == TLS_PEER_ISSUER)
        good = X509_NAME_print_ex(bio, X509_get_issuer_name(peer), 0,
                                  XN_FLAG_RFC2253) >= 0;
    else if (part == TLS_PEER_PEM)
        good = PEM_write_bio_X509(bio, peer) == 1;
    else if (part == TLS_PEER_NOT_BEFORE)
        good = ASN1_TIME_print(bio, X509_get0_notBefore(peer)) == 1;
    else if (part == TLS_PEER_NOT_AFTER)
        good = ASN1_TIME_print(bio, X509_get0_notAfter(peer)) == 1;
    return put_bio(bio, good, out);
}

/* ---- the handshake ---- */

/* The names of RFC 8446 section 4.2.3; of those that share key type and
 * digest, the one that a certificate of the usual kind means. */
static const char *signature_name(int type, int digest)
{
    static const struct {
        int type, digest;
        const char *name;
    } rows[] = {
        {EVP_PKEY_EC, NID_sha1, "ecdsa_sha1"},
        {EVP_PKEY_EC, NID_sha256, "ecdsa_secp256r1_sha256"},
        {EVP_PKEY_EC, NID_sha384, "ecdsa_secp384r1_sha384"},
        {EVP_PKEY_EC, NID_sha512, "ecdsa_secp521r1_sha512"},
        {EVP_PKEY_RSA_PSS, NID_sha256, "rsa_pss_rsae_sha256"},
        {EVP_PKEY_RSA_PSS, NID_sha384, "rsa_pss_rsae_sha384"},
        {EVP_PKEY_RSA_PSS, NID_sha512, "rsa_pss_rsae_sha512"},
        {EVP_PKEY_RSA, NID_sha1, "rsa_pkcs1_sha1"},
        {EVP_PKEY_RSA, NID_sha256, "rsa_pkcs1_sha256"},
        {EVP_PKEY_RSA, NID_sha384, "rsa_pkcs1_sha384"},
        {EVP_PKEY_RSA, NID_sha512, "rsa_pkcs1_sha512"},
        {EVP_PKEY_ED25519, NID_undef, "ed25519"},
        {EVP_PKEY_ED448, NID_undef, "ed448"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].type == type &&
            (rows[i].digest == digest || rows[i].digest == NID_undef))
            return rows[i].name;
    return NULL;
}

static bool put_signature(SSL *ssl, bool own, struct buf *out)
{
    int type = NID_undef, digest = NID_undef;

    if (own) {
        SSL_get_signature_type_nid(ssl, &type);
        SSL_get_signature_nid(ssl, &digest);
    } else {
        SSL_get_peer_signature_type_nid(ssl, &type);
        SSL_get_peer_signature_nid(ssl, &digest);
    }
    const char *name = signature_name(type, digest);
    return name && buf_put_str(out, str_c(name));
}

static bool put_ciphers(SSL *ssl, struct buf *out)
{
    unsigned char *raw = NULL;
    long n = SSL_get0_raw_cipherlist(ssl, &raw);
    long each = SSL_get0_raw_cipherlist(ssl, NULL); /* bytes of one */

    for (long i = 0; raw && i + each <= n; i += each) {
        const SSL_CIPHER *c = SSL_CIPHER_find(ssl, raw + i);
        buf_put_str(out, i ? STR(":") : STR(""));
        if (c)
            buf_put_str(out, str_c(SSL_CIPHER_get_name(c)));
        else
            buf_printf(out, "0x%02x%02x", raw[i], raw[i + 1]);
    }
    return out->n > 0;
}

static bool put_curves(SSL *ssl, struct buf *out)
{
    int n = (int)SSL_get1_curves(ssl, NULL);
    if (n <= 0)
        return false;
    int *nids = xcalloc((size_t)n, sizeof *nids);
    n = (int)SSL_get1_curves(ssl, nids);
    for (int i = 0; i < n; i++) {
        buf_put_str(out, i ? STR(":") : STR(""));
        if (nids[i] & TLSEXT_nid_unknown)
            buf_printf(out, "0x%04x", (unsigned)nids[i] & 0xffff);
        else
            buf_put_str(out, str_c(OBJ_nid2sn(nids[i])));
    }
    free(nids);
    return n > 0;
}

static bool put_session_id(const SSL *ssl, struct buf *out)
{
    unsigned n = 0;
    SSL_SESSION *session = SSL_get_session(ssl);
    const unsigned char *id = session ? SSL_SESSION_get_id(session, &n) : NULL;

    put_hex(out, id, n);
    return n > 0;
}

bool tls_put(const struct tls *t, enum tls_peer_part part, struct buf *out)
{
    bool good = false;
    X509 *peer;

    if (part == TLS_SESSION_ID) {
        good = put_session_id(t->ssl, out);
    } else if (part == TLS_CLIENT_CIPHERS) {
        good = put_ciphers(t->ssl, out);
    } else if (part == TLS_CLIENT_CURVES) {
        good = put_curves(t->ssl, out);
    } else if (part == TLS_OWN_PEM) {
        X509 *own = SSL_get_certificate(t->ssl);
        good = own && put_part(own, TLS_PEER_PEM, out);
    } else if (part == TLS_OWN_SIGNATURE || part == TLS_PEER_SIGNATURE) {
        good = put_signature(t->ssl, part == TLS_OWN_SIGNATURE, out);
    } else if ((peer = SSL_get0_peer_certificate(t->ssl))) {
        good = put_part(peer, part, out);
    }
    ERR_clear_error();
    return good;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/json.h"

enum jwk_kind {
    JWK_OCT = 1,
    JWK_RSA,
    JWK_EC,
    JWK_OKP,
};

struct jwk {
    struct jwk *next;
    enum jwk_kind kind;
    struct str kid, alg; /* p NULL: not said */
    struct str secret;   /* JWK_OCT */
    EVP_PKEY *key;       /* else */
};

enum { NUMBER_MAX = 1024 /* bytes of a number of a key: RSA of 8192 bits */ };

/* ---- keys ---- */

static void free_key(void *arg)
{
    EVP_PKEY_free(arg);
}

/* A member that is a string; p NULL when there is none. */
static struct str text_of(struct str object, struct str name,
                          struct arena *arena)
{
    struct str value, text;
    if (!json_member(object, name, &value) || !json_string(value, arena, &text))
        return (struct str){NULL, 0};
    return text;
}

static bool bytes_of(struct str object, struct str name, struct arena *arena,
                     struct str *out)
{
    struct str text = text_of(object, name, arena);
    if (!text.p)
        return false;
    uint8_t *bytes = arena_alloc(arena, BASE64_DECODED_MAX(text.n));
    size_t n;
    if (!base64_decode(text, BASE64_URL, bytes, &n) || !n)
        return false;
    *out = str_n(bytes, n);
    return true;
}

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1)
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(struct str object, struct arena *arena)
{
    struct str n, e;
    EVP_PKEY *key = NULL;

    if (!bytes_of(object, STR("n"), arena, &n) ||
        !bytes_of(object, STR("e"), arena, &e) || n.n > NUMBER_MAX || e.n > 8)
        return NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *bn = BN_bin2bn((const uint8_t *)n.p, (int)n.n, NULL);
    BIGNUM *be = BN_bin2bn((const uint8_t *)e.p, (int)e.n, NULL);
    check(build && bn && be);
    if (OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, be) == 1)
        key = key_from("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(bn);
    BN_free(be);
    return key;
}

static const struct curve {
    struct str name;
    const char *group;
    size_t size; /* bytes of a coordinate */
} curves[] = {
    {STR_INIT("P-256"), "prime256v1", 32},
    {STR_INIT("P-384"), "secp384r1", 48},
    {STR_INIT("P-521"), "secp521r1", 66},
};

static EVP_PKEY *ec_key(struct str object, struct arena *arena)
{
    struct str name = text_of(object, STR("crv"), arena), x, y;
    const struct curve *c = NULL;
    EVP_PKEY *key = NULL;
    uint8_t point[1 + 2 * 66];

    for (size_t i = 0; i < COUNT(curves); i++)
        if (str_eq(curves[i].name, name))
            c = &curves[i];
    if (!c || !bytes_of(object, STR("x"), arena, &x) ||
        !bytes_of(object, STR("y"), arena, &y) || x.n != c->size ||
        y.n != c->size)
        return NULL;
    point[0] = 4; /* uncompressed */
    memcpy(point + 1, x.p, x.n);
    memcpy(point + 1 + x.n, y.p, y.n);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    check(build);
    if (OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME,
                                        c->group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         1 + 2 * c->size) == 1)
        key = key_from("EC", build);
    OSSL_PARAM_BLD_free(build);
    return key;
}

static EVP_PKEY *okp_key(struct str object, struct arena *arena)
{
    struct str name = text_of(object, STR("crv"), arena), x;
    int type = str_eq(name, STR("Ed25519")) ? EVP_PKEY_ED25519
               : str_eq(name, STR("Ed448")) ? EVP_PKEY_ED448
                                            : 0;
    if (!type || !bytes_of(object, STR("x"), arena, &x))
        return NULL;
    return EVP_PKEY_new_raw_public_key(type, NULL, (const uint8_t *)x.p, x.n);
}

/* False: it is broken.  A kind that is not known is fine. */
static bool read_key(struct jwk_set *set, struct str object,
                     struct arena *arena)
{
    struct str kty = text_of(object, STR("kty"), arena);
    struct jwk *k = arena_calloc(arena, sizeof *k);

    if (str_eq(text_of(object, STR("use"), arena), STR("enc")))
        return true;
    if (str_eq(kty, STR("oct"))) {
        k->kind = JWK_OCT;
        if (!bytes_of(object, STR("k"), arena, &k->secret))
            return false;
    } else if (str_eq(kty, STR("RSA"))) {
        k->kind = JWK_RSA;
        k->key = rsa_key(object, arena);
    } else if (str_eq(kty, STR("EC"))) {
        k->kind = JWK_EC;
        k->key = ec_key(object, arena);
    } else if (str_eq(kty, STR("OKP"))) {
        k->kind = JWK_OKP;
        k->key = okp_key(object, arena);
    } else {
        return kty.p != NULL;
    }
    if (k->kind != JWK_OCT && !k->key)
        return false;
    if (k->key)
        arena_on_destroy(arena, free_key, k->key);
    k->kid = text_of(object, STR("kid"), arena);
    k->alg = text_of(object, STR("alg"), arena);
    struct jwk **end = &set->keys;
    while (*end)
        end = &(*end)->next;
    *end = k;
    return true;
}

int jwk_set_read(struct jwk_set *set, struct str text, struct arena *arena,
                 struct err *err)
{
    struct str rest, object;
    unsigned n = 0;

    if (!json_check(text))
        return err_set(err, "this is no JSON");
    if (!json_member(text, STR("keys"), &rest))
        return err_set(err, "there is no \"keys\" in it");
    for (; json_next(&rest, &object); n++)
        if (!read_key(set, object, arena))
            return err_set(err, "key %u is broken", n + 1);
    return 0;
}

/* ---- algorithms ---- */

static const struct algorithm {
    struct str name;
    enum jwk_kind kind;
    const EVP_MD *(*digest)(void); /* NULL: the key's own */
    bool pss;
    size_t coordinate; /* ES: bytes of r and of s */
} algorithms[] = {
    {STR_INIT("HS256"), JWK_OCT, EVP_sha256, false, 0},
    {STR_INIT("HS384"), JWK_OCT, EVP_sha384, false, 0},
    {STR_INIT("HS512"), JWK_OCT, EVP_sha512, false, 0},
    {STR_INIT("RS256"), JWK_RSA, EVP_sha256, false, 0},
    {STR_INIT("RS384"), JWK_RSA, EVP_sha384, false, 0},
    {STR_INIT("RS512"), JWK_RSA, EVP_sha512, false, 0},
    {STR_INIT("PS256"), JWK_RSA, EVP_sha256, true, 0},
    {STR_INIT("PS384"), JWK_RSA, EVP_sha384, true, 0},
    {STR_INIT("PS512"), JWK_RSA, EVP_sha512, true, 0},
    {STR_INIT("ES256"), JWK_EC, EVP_sha256, false, 32},
    {STR_INIT("ES384"), JWK_EC, EVP_sha384, false, 48},
    {STR_INIT("ES512"), JWK_EC, EVP_sha512, false, 66},
    {STR_INIT("EdDSA"), JWK_OKP, NULL, false, 0},
};

static const struct algorithm *algorithm_of(struct str name)
{
    for (size_t i = 0; i < COUNT(algorithms); i++)
        if (str_eq(algorithms[i].name, name))
            return &algorithms[i];
    return NULL;
}

static bool hmac_fits(const struct jwk *k, const struct algorithm *a,
                      struct str text, struct str signature)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned n = sizeof mac;
    return HMAC(a->digest(), k->secret.p, (int)k->secret.n,
                (const uint8_t *)text.p, text.n, mac, &n) &&
           n == signature.n && CRYPTO_memcmp(mac, signature.p, n) == 0;
}

/* Two numbers of a fixed size become what OpenSSL reads (RFC 7518 3.4). */
static uint8_t *ecdsa_der(const struct algorithm *a, struct str signature,
                          size_t *n)
{
    uint8_t *der = NULL;
    const uint8_t *p = (const uint8_t *)signature.p;
    int half = (int)a->coordinate;

    if (signature.n != 2 * a->coordinate)
        return NULL;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(p, half, NULL), *s = BN_bin2bn(p + half, half, NULL);
    check(sig && r && s);
    ECDSA_SIG_set0(sig, r, s);
    int size = i2d_ECDSA_SIG(sig, &der);
    ECDSA_SIG_free(sig);
    *n = size > 0 ? (size_t)size : 0;
    return size > 0 ? der : NULL;
}

static bool key_fits(const struct jwk *k, const struct algorithm *a,
                     struct str text, const uint8_t *signature, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how;
    check(ctx);
    bool fits =
        EVP_DigestVerifyInit(ctx, &how, a->digest ? a->digest() : NULL, NULL,
                             k->key) == 1 &&
        (!a->pss ||
         (EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
          EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) ==
              1)) &&
        EVP_DigestVerify(ctx, signature, n, (const uint8_t *)text.p, text.n) ==
            1;
    EVP_MD_CTX_free(ctx);
    return fits;
}

static bool is_curve_of(const struct jwk *k, const struct algorithm *a)
{
    return !a->coordinate ||
           (size_t)(EVP_PKEY_get_bits(k->key) + 7) / 8 == a->coordinate;
}

static bool fits(const struct jwk *k, const struct algorithm *a,
                 struct str text, struct str signature)
{
    if (a->kind == JWK_OCT)
        return hmac_fits(k, a, text, signature);
    if (!is_curve_of(k, a))
        return false;
    if (!a->coordinate)
        return key_fits(k, a, text, (const uint8_t *)signature.p, signature.n);
    size_t n;
    uint8_t *der = ecdsa_der(a, signature, &n);
    bool good = der && key_fits(k, a, text, der, n);
    OPENSSL_free(der);
    return good;
}

/* ---- tokens ---- */

static bool decode_part(struct str part, struct arena *arena, struct str *out)
{
    uint8_t *bytes = arena_alloc(arena, BASE64_DECODED_MAX(part.n));
    size_t n;
    if (!base64_decode(part, BASE64_URL, bytes, &n))
        return false;
    *out = str_n(bytes, n);
    return true;
}

static bool decode_object(struct str part, struct arena *arena, struct str *out)
{
    return decode_part(part, arena, out) && json_check(*out) &&
           json_type_of(*out) == JSON_OBJECT;
}

const char *jwt_verify(struct jwt *out, struct str token,
                       const struct jwk_set *set, struct arena *arena)
{
    struct str rest = token, signature, unused;
    struct str head = str_cut(&rest, '.');
    struct str body = str_cut(&rest, '.');

    if (token.n > JWT_MAX || !rest.p || memchr(rest.p, '.', rest.n))
        return "it has not three parts";
    struct str text = str_n(token.p, head.n + 1 + body.n);
    if (!decode_object(head, arena, &out->header) ||
        !decode_object(body, arena, &out->payload) ||
        !decode_part(rest, arena, &signature))
        return "a part of it can not be read";
    /* RFC 7515 section 4.1.11: what must be understood, and is not. */
    if (json_member(out->header, STR("crit"), &unused))
        return "it has critical extensions";
    const struct algorithm *a =
        algorithm_of(text_of(out->header, STR("alg"), arena));
    if (!a)
        return "its algorithm is not known";
    struct str kid = text_of(out->header, STR("kid"), arena);
    for (const struct jwk *k = set->keys; k; k = k->next) {
        if (k->kind != a->kind || (kid.p && k->kid.p && !str_eq(kid, k->kid)) ||
            (k->alg.p && !str_eq(k->alg, a->name)))
            continue;
        if (fits(k, a, text, signature))
            return NULL;
    }
    return "no key fits its signature";
}

/* False: it is there, and no number. */
static bool time_of(const struct jwt *t, struct str name, bool *said,
                    double *out)
{
    struct str value;
    char text[64];

    *said = json_member(t->payload, name, &value);
    if (!*said)
        return true;
    if (json_type_of(value) != JSON_NUMBER || value.n >= sizeof text)
        return false;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    *out = strtod(text, NULL);
    return true;
}

const char *jwt_check_times(const struct jwt *t, int64_t now_s,
                            int64_t leeway_s)
{
    double limit = 0;
    bool said;

    if (!time_of(t, STR("exp"), &said, &limit))
        return "its \"exp\" is no number";
    if (said && limit <= (double)(now_s - leeway_s))
        return "it has expired";
    if (!time_of(t, STR("nbf"), &said, &limit))
        return "its \"nbf\" is no number";
    if (said && limit > (double)(now_s + leeway_s))
        return "it is not valid yet";
    return NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "$apr1$" is the MD5 scheme of Apache's htpasswd: the one of FreeBSD's
 * crypt with another name.
 */
#include "password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/check.h"

enum { MD5_SIZE = 16, APR1_ROUNDS = 1000, APR1_TEXT = 22, SALT_MAX = 8 };

static bool same(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

/* ---- apr1 ---- */

static void add(EVP_MD_CTX *md, struct str s)
{
    check(EVP_DigestUpdate(md, s.p, s.n) == 1);
}

static void begin(EVP_MD_CTX *md)
{
    check(EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1);
}

static struct str end(EVP_MD_CTX *md, uint8_t out[MD5_SIZE])
{
    check(EVP_DigestFinal_ex(md, out, NULL) == 1);
    return str_n(out, MD5_SIZE);
}

static void apr1_first(EVP_MD_CTX *md, struct str password, struct str salt,
                       uint8_t out[MD5_SIZE])
{
    begin(md);
    add(md, password);
    add(md, salt);
    add(md, password);
    struct str inner = end(md, out);
    uint8_t copy[MD5_SIZE];
    memcpy(copy, inner.p, sizeof copy);

    begin(md);
    add(md, password);
    add(md, STR("$apr1$"));
    add(md, salt);
    for (size_t left = password.n; left > 0;) {
        size_t n = left < MD5_SIZE ? left : MD5_SIZE;
        add(md, str_n(copy, n));
        left -= n;
    }
    for (size_t bits = password.n; bits; bits >>= 1)
        add(md, bits & 1 ? str_n("", 1) : str_slice(password, 0, 1));
    end(md, out);
}

static void apr1_rounds(EVP_MD_CTX *md, struct str password, struct str salt,
                        uint8_t out[MD5_SIZE])
{
    for (unsigned i = 0; i < APR1_ROUNDS; i++) {
        uint8_t last[MD5_SIZE];
        memcpy(last, out, sizeof last);
        struct str so_far = str_n(last, sizeof last);
        begin(md);
        add(md, i & 1 ? password : so_far);
        if (i % 3)
            add(md, salt);
        if (i % 7)
            add(md, password);
        add(md, i & 1 ? so_far : password);
        end(md, out);
    }
}

static void apr1_text(const uint8_t d[MD5_SIZE], char out[APR1_TEXT])
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz";
    for (unsigned i = 0; i < 5; i++) {
        unsigned third = i == 4 ? 5 : i + 12;
        uint32_t bits =
            (uint32_t)d[i] << 16 | (uint32_t)d[i + 6] << 8 | d[third];
        for (unsigned k = 0; k < 4; k++, bits >>= 6)
            *out++ = digits[bits & 63];
    }
    *out++ = digits[d[11] & 63];
    *out = digits[d[11] >> 6];
}

static bool apr1_fits(struct str hash, struct str password)
{
    struct str rest = str_slice(hash, 6, hash.n);
    struct str salt = str_cut(&rest, '$');
    uint8_t digest[MD5_SIZE];
    char text[APR1_TEXT];

    salt = str_slice(salt, 0, SALT_MAX);
    if (!rest.p || rest.n != APR1_TEXT)
        return false;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    check(md);
    apr1_first(md, password, salt, digest);
    apr1_rounds(md, password, salt, digest);
    EVP_MD_CTX_free(md);
    apr1_text(digest, text);
    return same(text, rest.p, APR1_TEXT);
}

/* ---- SHA-1 ---- */

static bool sha_fits(struct str code, struct str password, bool salted)
{
    uint8_t bytes[256], digest[SHA_DIGEST_LENGTH];
    size_t n;
    char text[PASSWORD_MAX + sizeof bytes];

    if (BASE64_DECODED_MAX(code.n) > sizeof bytes ||
        !base64_decode(code, BASE64, bytes, &n) || n < SHA_DIGEST_LENGTH ||
        (!salted && n != SHA_DIGEST_LENGTH))
        return false;
    memcpy(text, password.p, password.n);
    memcpy(text + password.n, bytes + SHA_DIGEST_LENGTH, n - SHA_DIGEST_LENGTH);
    check(EVP_Digest(text, password.n + n - SHA_DIGEST_LENGTH, digest, NULL,
                     EVP_sha1(), NULL) == 1);
    return same(digest, bytes, sizeof digest);
}

/* ---- all of them ---- */

static bool crypt_fits(struct str hash, struct str password)
{
    struct crypt_data *data = xcalloc(1, sizeof *data);
    const char *made = crypt_r(password.p, hash.p, data);
    /* What fails begins with an asterisk, and so does no hash. */
    bool fits = made && made[0] != '*' && strlen(made) == hash.n &&
                same(made, hash.p, hash.n);
    OPENSSL_cleanse(data, sizeof *data);
    free(data);
    return fits;
}

bool password_fits(struct str hash, struct str password)
{
    if (password.n > PASSWORD_MAX || memchr(password.p, 0, password.n))
        return false;
    if (str_starts(hash, STR("$apr1$")))
        return apr1_fits(hash, password);
    if (str_starts(hash, STR("{PLAIN}"))) {
        hash = str_slice(hash, 7, hash.n);
        return hash.n == password.n && same(hash.p, password.p, hash.n);
    }
    if (str_starts(hash, STR("{SSHA}")))
        return sha_fits(str_slice(hash, 6, hash.n), password, true);
    if (str_starts(hash, STR("{SHA}")))
        return sha_fits(str_slice(hash, 5, hash.n), password, false);
    return hash.n > 0 && crypt_fits(hash, password);
}

bool password_is_slow(struct str hash)
{
    return str_starts(hash, STR("$")) || str_starts(hash, STR("_"));
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of session tickets (RFC 5077, RFC 8446 section 4.6.1).
 *
 * Without files the process that called tls_start() makes them, in memory
 * that the processes it forks share.  One writes (tls_tickets_tend()), all
 * read: a counter that is odd while the keys change tells a reader to look
 * again.  The key before the present one still decrypts, so a ticket lives
 * for one period at least, and a key is forgotten after two.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "tls_parts.h"

enum {
    LONG_KEY = 80, /* bytes in a file: name, HMAC key, AES-256 key */
    SHORT_KEY = 48,
    LOOKS_MAX = 1000, /* at keys that change: a writer may have died */
};

struct ticket_keys {
    struct ticket_key keys[2]; /* the present one, the one before */
    unsigned n;
};

struct shared_keys {
    uint32_t version; /* odd: being written */
    struct ticket_keys keys;
};

static struct shared_keys *shared;
static struct ticket_keys mine; /* a copy of version mine_version */
static uint32_t mine_version;
static uint64_t period_ms; /* the longest life of a ticket; 0: none is made */
static uint64_t next_ms;

static void rotate(void)
{
    struct ticket_key fresh = {.short_key = false};

    random_bytes(fresh.name, sizeof fresh.name);
    random_bytes(fresh.hmac, sizeof fresh.hmac);
    random_bytes(fresh.aes, sizeof fresh.aes);
    __atomic_store_n(&shared->version, shared->version + 1, __ATOMIC_SEQ_CST);
    shared->keys.keys[1] = shared->keys.keys[0];
    shared->keys.keys[0] = fresh;
    if (shared->keys.n < 2)
        shared->keys.n++;
    __atomic_store_n(&shared->version, shared->version + 1, __ATOMIC_SEQ_CST);
    OPENSSL_cleanse(&fresh, sizeof fresh);
}

void tls_start(void)
{
    OPENSSL_init_ssl(0, NULL);
    tls_index();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(shared != MAP_FAILED);
    madvise(shared, sizeof *shared, MADV_DONTDUMP);
    rotate();
}

int tls_tickets_tend(void)
{
    uint64_t now_ms = clock_now_ms();

    if (!period_ms)
        return -1;
    if (!next_ms || next_ms > now_ms + period_ms)
        next_ms = now_ms + period_ms;
    if (now_ms >= next_ms) {
        rotate();
        next_ms = now_ms + period_ms;
    }
    uint64_t left_ms = next_ms - now_ms;
    return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}

static const struct ticket_keys *shared_now(void)
{
    for (int i = 0; i < LOOKS_MAX; i++) {
        uint32_t version = __atomic_load_n(&shared->version, __ATOMIC_ACQUIRE);
        if (version == mine_version)
            return &mine;
        struct ticket_keys copy = shared->keys;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (version & 1 ||
            __atomic_load_n(&shared->version, __ATOMIC_RELAXED) != version)
            continue;
        mine = copy;
        mine_version = version;
    }
    return &mine;
}

/* ---- a context's ---- */

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
    if (!ctx->tickets_n && s->tickets && s->timeout_s * 1000 > period_ms)
        period_ms = s->timeout_s * 1000;
    return 0;
}

/* ---- the callback ---- */

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

static int encrypt(const struct ticket_key *key, unsigned char *name,
                   unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    random_bytes(iv, 16);
    memcpy(name, key->name, 16);
    return EVP_EncryptInit_ex(cipher, cipher_of(key), NULL, key->aes, iv) ==
                       1 &&
                   start_mac(mac, key)
               ? 1
               : -1;
}

/* 1: go on; 2: and issue a fresh one; 0: not ours; -1: trouble. */
int tls_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
               EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int issue)
{
    const struct tls_context *ctx = tls_context_of(SSL_get_SSL_CTX(ssl));
    const struct ticket_key *keys = ctx->tickets;
    size_t n = ctx->tickets_n, i = 0;

    if (!n) {
        keys = shared_now()->keys;
        n = mine.n;
    }
    if (issue)
        return n ? encrypt(keys, name, iv, cipher, mac) : 0;
    while (i < n && memcmp(name, keys[i].name, 16) != 0)
        i++;
    if (i == n)
        return 0;
    if (!start_mac(mac, &keys[i]) ||
        EVP_DecryptInit_ex(cipher, cipher_of(&keys[i]), NULL, keys[i].aes,
                           iv) != 1)
        return -1;
    /* TLS 1.3 clients are to use a ticket once (RFC 8446 appendix C.4). */
    return i > 0 || SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
}

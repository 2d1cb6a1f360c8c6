/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

/* Both ends of a connection, in one loop. */
struct end {
    struct stream *stream;
    struct tls *tls;
    char seen[200000];
    size_t n;
    unsigned ends, connects;
    int error;
};

static struct loop *loop;
static struct end client, server;
static uint64_t late_ms; /* how much later than it is */

static struct tls_context *chosen; /* by name; NULL: refuse */
static struct str asked;           /* the name */
static char asked_text[256];
static struct tls_credential *shown; /* by certify */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = __real_clock_gettime(id, t);
    t->tv_sec += (time_t)(late_ms / 1000);
    return rc;
}

/* ---- certificates, made here ---- */

struct pair {
    char certificate[4096], key[4096];
};

static struct pair ecdsa, rsa, other;

static void put_pem(char out[4096], BIO *bio)
{
    int n = BIO_read(bio, out, 4095);
    assert_true(n > 0);
    out[n] = 0;
    BIO_free(bio);
}

static void make(struct pair *p, EVP_PKEY *key, const char *name)
{
    X509 *x = X509_new();
    BIO *certificate = BIO_new(BIO_s_mem()), *private = BIO_new(BIO_s_mem());

    assert_non_null(key);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_set_version(x, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *subject = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, subject);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    PEM_write_bio_X509(certificate, x);
    PEM_write_bio_PrivateKey(private, key, NULL, NULL, 0, NULL, NULL);
    put_pem(p->certificate, certificate);
    put_pem(p->key, private);
    X509_free(x);
    EVP_PKEY_free(key);
}

static struct tls_identity identity(const struct pair *p)
{
    return (struct tls_identity){
        .certificate = {"a certificate", str_c(p->certificate)},
        .key = {"a key", str_c(p->key)},
    };
}

/* ---- the ends ---- */

static void on_data(void *owner, struct span *in)
{
    struct end *e = owner;
    assert_true(e->n + in->n <= sizeof e->seen);
    memcpy(e->seen + e->n, in->p, in->n);
    e->n += in->n;
    span_advance(in, in->n);
}

static void on_end(void *owner, enum stream_end end, int error)
{
    struct end *e = owner;
    e->ends++;
    if (end == STREAM_ERROR)
        e->error = error;
}

static void on_connect(void *owner)
{
    struct end *e = owner;
    e->connects++;
}

static const struct stream_events events = {
    .on_data = on_data, .on_end = on_end, .on_connect = on_connect};

static struct tls_context *choose(void *owner, struct str name)
{
    (void)owner;
    snprintf(asked_text, sizeof asked_text, "%.*s", STR_ARG(name));
    asked = str_c(asked_text);
    return chosen;
}

static int certify(void *owner, struct tls *tls)
{
    (void)owner;
    return shown ? tls_credential_use(tls, shown) : -1;
}

static const struct tls_accept_events accept_events = {.choose = choose,
                                                       .certify = certify};

static struct tls_context *create(const struct tls_settings *s)
{
    struct err err;
    struct tls_settings with = *s;
    if (!with.protocols)
        with.protocols = TLS_V1_2 | TLS_V1_3;
    if (!with.timeout_s)
        with.timeout_s = 300;
    struct tls_context *ctx = tls_context_create(&with, &err);
    if (!ctx)
        fail_msg("%s", err.text);
    return ctx;
}

static struct tls_context *server_of(const struct pair *p)
{
    struct tls_identity one = identity(p);
    return create(&(struct tls_settings){
        .identities = &one, .identities_n = 1, .tickets = true});
}

static struct tls_context *client_of(unsigned protocols)
{
    return create(
        &(struct tls_settings){.is_client = true, .protocols = protocols});
}

static void dial(struct tls_context *to, struct tls_context *from,
                 const char *session)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    client = server = (struct end){0};
    chosen = to;
    server.stream = stream_open(loop, fds[0], &events, &server);
    server.tls = stream_tls_accept(server.stream, to, &accept_events, &server);
    client.stream = stream_open(loop, fds[1], &events, &client);
    client.tls = stream_tls_connect(client.stream, from, STR("a.test"), true,
                                    str_c(session));
    assert_non_null(server.tls);
    assert_non_null(client.tls);
}

static void turn(void)
{
    for (int i = 0; i < 50; i++)
        loop_turn(loop, false);
}

static void hang_up(void)
{
    if (!client.stream->closed)
        stream_close(client.stream);
    turn();
    stream_close(server.stream);
    turn();
    tls_unref(client.tls);
    tls_unref(server.tls);
}

static bool resumes(struct tls_context *to, struct tls_context *from)
{
    dial(to, from, "one");
    turn();
    assert_true(tls_is_established(client.tls));
    bool resumed = tls_is_resumed(server.tls);
    stream_put(server.stream, "x", 1);
    turn();
    assert_int_equal(client.n, 1);
    hang_up();
    return resumed;
}

/* ---- the tests ---- */

static void carries_bytes_both_ways(void **state)
{
    (void)state;
    struct tls_context *to = server_of(&ecdsa), *from = client_of(0);
    static char big[150000];
    memset(big, 'b', sizeof big);

    dial(to, from, "");
    turn();
    assert_int_equal(client.connects, 1);
    assert_str(asked, "a.test");
    assert_str(tls_server_name(server.tls), "a.test");
    assert_string_equal(tls_protocol(server.tls), "TLSv1.3");
    stream_put(client.stream, "hello", 5);
    stream_put(server.stream, big, sizeof big);
    turn();
    assert_str(str_n(server.seen, server.n), "hello");
    assert_int_equal(client.n, sizeof big);
    assert_memory_equal(client.seen, big, sizeof big);
    stream_shutdown(client.stream);
    turn();
    assert_int_equal(server.ends, 1);
    assert_int_equal(server.error, 0);
    hang_up();
    tls_context_destroy(to);
    tls_context_destroy(from);
}

/* OpenSSL reads some 16 KB ahead: whatever the records are, nothing of them
 * may stay behind, neither with it nor with the kernel. */
static void takes_all_records_that_wait(void **state)
{
    (void)state;
    struct tls_context *to = server_of(&ecdsa), *from = client_of(0);
    static char record[4500];
    enum { RECORDS = 40 };

    dial(to, from, "");
    turn();
    for (size_t size = 1; size <= sizeof record; size += 71) {
        client.n = 0;
        for (int i = 0; i < RECORDS; i++) {
            stream_put(server.stream, record, size);
            stream_flush(server.stream);
        }
        turn();
        assert_int_equal(client.n, size * RECORDS);
    }
    hang_up();
    tls_context_destroy(to);
    tls_context_destroy(from);
}

static void shows_the_certificate_that_the_client_can_read(void **state)
{
    (void)state;
    struct tls_identity both[] = {identity(&ecdsa), identity(&rsa)};
    struct tls_context *to =
        create(&(struct tls_settings){.identities = both, .identities_n = 2});
    static const struct {
        const char *ciphers, *sigalgs, *expected;
        unsigned protocols;
    } rows[] = {
        {"ECDHE-ECDSA-AES128-GCM-SHA256", NULL, "CN=ecdsa", TLS_V1_2},
        {"ECDHE-RSA-AES128-GCM-SHA256", NULL, "CN=rsa", TLS_V1_2},
        {NULL, "ECDSA+SHA256", "CN=ecdsa", TLS_V1_3},
        {NULL, "RSA-PSS+SHA256", "CN=rsa", TLS_V1_3},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *words[] = {"SignatureAlgorithms", rows[i].sigalgs};
        struct tls_context *from = create(&(struct tls_settings){
            .is_client = true,
            .protocols = rows[i].protocols,
            .ciphers = rows[i].ciphers,
            .commands = words,
            .commands_n = rows[i].sigalgs ? 2 : 0,
        });
        struct buf subject = {0};
        dial(to, from, "");
        turn();
        assert_true(tls_put(client.tls, TLS_PEER_SUBJECT, &subject));
        assert_str(buf_str(&subject), rows[i].expected);
        buf_fini(&subject);
        hang_up();
        tls_context_destroy(from);
    }
    tls_context_destroy(to);
}

static void refuses_a_name_that_nobody_serves(void **state)
{
    (void)state;
    struct tls_context *to = server_of(&ecdsa), *from = client_of(0);
    dial(to, from, "");
    chosen = NULL;
    turn();
    assert_int_not_equal(client.error, 0);
    assert_non_null(strstr(tls_error(client.tls), "unrecognized name"));
    hang_up();
    tls_context_destroy(to);
    tls_context_destroy(from);
}

static void asks_for_certificates_that_come_late(void **state)
{
    (void)state;
    struct err err;
    struct tls_identity from_text = identity(&ecdsa);
    struct tls_context *to = create(&(struct tls_settings){.certify = "$name"});
    struct tls_context *from = client_of(0);

    shown = tls_credential_create(&from_text, STR(""), &err);
    dial(to, from, "");
    turn();
    assert_true(tls_is_established(client.tls));
    hang_up();
    tls_credential_unref(shown);
    shown = NULL;
    dial(to, from, "");
    turn();
    assert_false(tls_is_established(client.tls));
    hang_up();
    tls_context_destroy(to);
    tls_context_destroy(from);

    from_text.key = identity(&other).key;
    assert_null(tls_credential_create(&from_text, STR(""), &err));
    assert_non_null(strstr(err.text, "cannot load certificate key"));
}

static void is_plain_when_no_handshake_comes(void **state)
{
    (void)state;
    struct tls_context *to = server_of(&ecdsa);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    server = (struct end){0};
    server.stream = stream_open(loop, fds[0], &events, &server);
    server.tls = stream_tls_accept(server.stream, to, &accept_events, &server);
    assert_int_equal(write(fds[1], "GET / HTTP/1.0", 14), 14);
    turn();
    assert_true(tls_is_plain(server.tls));
    assert_str(str_n(server.seen, server.n), "GET / HTTP/1.0");
    stream_close(server.stream);
    close(fds[1]);
    turn();
    tls_unref(server.tls);
    tls_context_destroy(to);
}

static void refuses_what_is_no_hello(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint8_t bytes[16];
        size_t n;
    } bad[] = {
        {"no handshake in the record", {22, 3, 1, 0, 2, 1, 1}, 7},
        {"a record of 65535 bytes", {22, 3, 1, 255, 255, 1, 0}, 7},
        {"an empty record", {22, 3, 1, 0, 0}, 5},
        {"cut in its head", {22, 3}, 2},
        {"a hello without an inside", {22, 3, 1, 0, 4, 1, 0, 0, 0}, 9},
    };
    struct tls_context *to = server_of(&ecdsa);
    for (size_t i = 0; i < COUNT(bad); i++) {
        int fds[2];
        assert_int_equal(
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        server = (struct end){0};
        server.stream = stream_open(loop, fds[0], &events, &server);
        server.tls =
            stream_tls_accept(server.stream, to, &accept_events, &server);
        for (size_t k = 0; k < bad[i].n; k++) {
            ssize_t n = write(fds[1], &bad[i].bytes[k], 1);
            assert_true(n == 1 || errno == EPIPE);
            loop_turn(loop, false);
        }
        shutdown(fds[1], SHUT_WR);
        turn();
        if (server.ends != 1 || server.n || tls_is_established(server.tls))
            fail_msg("%s: %u ends", bad[i].why, server.ends);
        stream_close(server.stream);
        close(fds[1]);
        turn();
        tls_unref(server.tls);
    }
    tls_context_destroy(to);
}

static void resumes_by_tickets_until_their_key_is_gone(void **state)
{
    (void)state;
    struct tls_identity one = identity(&ecdsa);
    struct tls_settings s = {.identities = &one,
                             .identities_n = 1,
                             .tickets = true,
                             .timeout_s = 100000};
    for (int i = 0; i < 2; i++) {
        struct tls_context *to = create(&s);
        struct tls_context *from = client_of(i ? TLS_V1_3 : TLS_V1_2);
        assert_false(resumes(to, from));
        assert_true(resumes(to, from));
        int left_ms = tls_tickets_tend();
        assert_true(left_ms > 0);
        late_ms += (uint64_t)left_ms + 1000;
        clock_update();
        assert_true(tls_tickets_tend() > 0);
        /* The key before still decrypts, and the client gets a fresh one. */
        assert_true(resumes(to, from));
        for (int k = 0; k < 2; k++) {
            late_ms += 100001000;
            clock_update();
            tls_tickets_tend();
        }
        assert_false(resumes(to, from));
        tls_context_destroy(to);
        tls_context_destroy(from);
    }
}

/* ---- a store ---- */

static struct {
    unsigned puts, finds, drops;
    uint8_t id[32], session[16384];
    size_t id_n, session_n;
} kept;

static void put(void *arg, struct str id, struct str session)
{
    assert_ptr_equal(arg, &kept);
    assert_true(id.n <= sizeof kept.id && session.n <= sizeof kept.session);
    kept.puts++;
    memcpy(kept.id, id.p, kept.id_n = id.n);
    memcpy(kept.session, session.p, kept.session_n = session.n);
}

static bool find(void *arg, struct str id, struct buf *out)
{
    (void)arg;
    kept.finds++;
    return str_eq(id, str_n(kept.id, kept.id_n)) &&
           buf_put(out, kept.session, kept.session_n);
}

static void drop(void *arg, struct str id)
{
    (void)arg, (void)id;
    kept.drops++;
}

static void resumes_from_a_store(void **state)
{
    (void)state;
    static const struct tls_session_store store = {
        .put = put, .find = find, .drop = drop, .arg = &kept};
    struct tls_identity one = identity(&ecdsa);
    struct tls_settings s = {.identities = &one,
                             .identities_n = 1,
                             .cache = TLS_CACHE_STORE,
                             .store = &store};
    for (int i = 0; i < 2; i++) {
        struct tls_context *to = create(&s), *twin = create(&s);
        struct tls_context *from = client_of(i ? TLS_V1_3 : TLS_V1_2);
        memset(&kept, 0, sizeof kept);
        assert_false(resumes(to, from));
        assert_true(kept.puts > 0);
        /* Another context of the same settings: another worker. */
        assert_true(resumes(twin, from));
        assert_true(kept.finds > 0);
        kept.session_n = 3; /* what is no session is none */
        assert_false(resumes(to, from));
        tls_context_destroy(to);
        tls_context_destroy(twin);
        tls_context_destroy(from);
    }
}

static void resumes_nothing_without_a_place_for_sessions(void **state)
{
    (void)state;
    struct tls_identity one = identity(&ecdsa);
    const unsigned caches[] = {TLS_CACHE_NONE, TLS_CACHE_OFF};
    for (size_t i = 0; i < 2 * COUNT(caches); i++) {
        struct tls_settings s = {
            .identities = &one, .identities_n = 1, .cache = caches[i / 2]};
        struct tls_context *to = create(&s);
        struct tls_context *from = client_of(i % 2 ? TLS_V1_3 : TLS_V1_2);
        assert_false(resumes(to, from));
        assert_false(resumes(to, from));
        tls_context_destroy(to);
        tls_context_destroy(from);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(carries_bytes_both_ways),
        TEST(takes_all_records_that_wait),
        TEST(shows_the_certificate_that_the_client_can_read),
        TEST(refuses_a_name_that_nobody_serves),
        TEST(asks_for_certificates_that_come_late),
        TEST(is_plain_when_no_handshake_comes),
        TEST(refuses_what_is_no_hello),
        TEST(resumes_by_tickets_until_their_key_is_gone),
        TEST(resumes_from_a_store),
        TEST(resumes_nothing_without_a_place_for_sessions),
    };
    clock_update();
    signal(SIGPIPE, SIG_IGN);
    tls_start();
    loop = loop_create();
    make(&ecdsa, EVP_EC_gen("P-256"), "ecdsa");
    make(&other, EVP_EC_gen("P-256"), "other");
    make(&rsa, EVP_RSA_gen(2048), "rsa");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    loop_destroy(loop);
    return failed;
}

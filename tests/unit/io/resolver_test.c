/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/resolver.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

/* ---- a name server that says what the test wants ---- */

struct record {
    unsigned type; /* 1 A, 28 AAAA, 5 CNAME (which goes on with the next) */
    uint32_t ttl;
    uint8_t data[16];
    size_t n;
};

enum spoiling {
    HONEST = 0,
    SILENT,
    WRONG_ID,
    OTHER_NAME,
    OTHER_CASE, /* a name server repeats the question as it was */
    TRUNCATED_BYTES,
    COUNTS_TOO_MANY,
    LONG_DATA,
};

static struct {
    int fd;
    struct address address;
    enum spoiling spoiling;
    unsigned rcode;
    struct record records[40];
    size_t records_n;
    unsigned asked_a, asked_aaaa;
    char last_name[256];
} dns;

static struct loop *loop;
static struct resolver *resolver;

static void put16(uint8_t **p, unsigned v)
{
    *(*p)++ = (uint8_t)(v >> 8);
    *(*p)++ = (uint8_t)v;
}

/* The question's name as text; returns the bytes of the question. */
static size_t read_question(const uint8_t *q, size_t n, unsigned *type)
{
    size_t at = 12, k = 0;
    while (at < n && q[at]) {
        size_t label = q[at++];
        while (label-- && at < n)
            dns.last_name[k++] = (char)q[at++];
        dns.last_name[k++] = '.';
    }
    dns.last_name[k ? k - 1 : 0] = '\0';
    at++;
    *type = (unsigned)(q[at] << 8 | q[at + 1]);
    return at + 4 - 12;
}

static size_t make_answer(const uint8_t *q, size_t question, unsigned type,
                          uint8_t *out)
{
    uint8_t *p = out;
    unsigned count = 0;

    memcpy(out, q, 12 + question);
    if (dns.spoiling == WRONG_ID)
        out[0] ^= 0x55;
    if (dns.spoiling == OTHER_NAME)
        out[13] ^= 0x02;
    if (dns.spoiling == OTHER_CASE)
        for (size_t i = 13; out[i]; i++)
            if ((out[i] | 0x20) >= 'a' && (out[i] | 0x20) <= 'z')
                out[i] ^= 0x20;
    out[2] = 0x81;
    out[3] = (uint8_t)(0x80 | dns.rcode);
    p = out + 12 + question;
    for (size_t i = 0; i < dns.records_n; i++) {
        const struct record *r = &dns.records[i];
        if (r->type != type && r->type != 5)
            continue;
        put16(&p, 0xc00c);
        put16(&p, r->type);
        put16(&p, 1);
        put16(&p, r->ttl >> 16);
        put16(&p, r->ttl & 0xffff);
        put16(&p, dns.spoiling == LONG_DATA ? 60000 : (unsigned)r->n);
        memcpy(p, r->data, r->n);
        p += r->n;
        count++;
    }
    uint8_t *counts = out + 6;
    put16(&counts, dns.spoiling == COUNTS_TOO_MANY ? 60000 : count);
    put16(&counts, 0);
    put16(&counts, 0);
    return (size_t)(p - out);
}

static void serve(void)
{
    uint8_t in[600], out[4096];
    struct sockaddr_storage from;
    socklen_t from_n = sizeof from;
    ssize_t n;
    unsigned type;

    while ((n = recvfrom(dns.fd, in, sizeof in, 0, (struct sockaddr *)&from,
                         &from_n)) > 12) {
        size_t question = read_question(in, (size_t)n, &type);
        if (type == 1)
            dns.asked_a++;
        else
            dns.asked_aaaa++;
        if (dns.spoiling == SILENT)
            continue;
        size_t size = make_answer(in, question, type, out);
        if (dns.spoiling == TRUNCATED_BYTES)
            size = 12 + question + 5;
        sendto(dns.fd, out, size, 0, (struct sockaddr *)&from, from_n);
    }
}

static void says(unsigned type, uint32_t ttl, const char *data, size_t n)
{
    struct record *r = &dns.records[dns.records_n++];
    r->type = type;
    r->ttl = ttl;
    r->n = n;
    memcpy(r->data, data, n);
}

/* ---- asking it ---- */

struct probe {
    struct resolver_wait wait;
    unsigned times;
    size_t n;
    struct address first;
    unsigned code;
    uint64_t fresh_ms;
    bool ask_again;
    struct resolver_wait again;
};

static void on_again(struct resolver_wait *w, const struct resolver_answer *a)
{
    (void)w, (void)a;
}

static void on_done(struct resolver_wait *w, const struct resolver_answer *a)
{
    struct probe *p = CONTAINER(w, struct probe, wait);
    p->times++;
    p->n = a->n;
    p->code = a->code;
    p->fresh_ms = a->fresh_ms;
    assert_true((a->n > 0) == (a->error == NULL));
    if (a->n)
        p->first = a->addresses[0];
    if (p->ask_again) {
        p->again.done = on_again;
        resolver_ask(resolver, &p->again, STR("another.example"), 1000);
    }
}

static void turn_until(const unsigned *times, uint64_t patience_ms)
{
    uint64_t end_ms = clock_now_ms() + patience_ms;
    while (!*times && clock_now_ms() < end_ms) {
        serve();
        loop_turn(loop, false);
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
        clock_update();
    }
}

static bool ask(struct probe *p, const char *name, uint64_t timeout_ms)
{
    *p = (struct probe){.wait.done = on_done};
    if (!resolver_ask(resolver, &p->wait, str_c(name), timeout_ms))
        return false;
    assert_int_equal(p->times, 0);
    turn_until(&p->times, 10000);
    return true;
}

static void make_resolver(bool ipv4, bool ipv6, uint64_t valid_ms)
{
    struct resolver_setup setup = {&dns.address, 1, ipv4, ipv6, valid_ms};
    resolver_destroy(resolver);
    resolver = resolver_create(loop, &setup);
    assert_non_null(resolver);
}

static void names_are_checked_first(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool valid;
    } cases[] = {
        {"a", true},
        {"example.com", true},
        {"EXAMPLE.com.", true},
        {"_srv._tcp.a-b.c", true},
        {"", false},
        {".", false},
        {"a..b", false},
        {".a", false},
        {"a b", false},
        {"a/b", false},
        {"caf\xc3\xa9", false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b",
         true},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b",
         false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (resolver_name_is_valid(str_c(cases[i].name)) != cases[i].valid)
            fail_msg("%s", cases[i].name);
    char text[300] = "";
    for (int i = 0; i < 51; i++)
        strcat(text, "abcd.");
    assert_false(resolver_name_is_valid(str_c(text)));
    make_resolver(true, false, 0);
    struct probe p;
    assert_false(ask(&p, "not a name", 1000));
}

static void both_families_are_one_answer(void **state)
{
    (void)state;
    struct probe p;
    make_resolver(true, true, 0);
    says(5, 5, "\xc0\x0c", 2);
    says(1, 30, "\x0a\x01\x02\x03", 4);
    says(1, 30, "\x0a\x01\x02\x04", 4);
    says(28, 60, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    assert_true(ask(&p, "both.example", 9000));
    assert_int_equal(p.times, 1);
    assert_int_equal(p.n, 3);
    assert_string_equal(strlen(dns.last_name) == 12 ? "ok" : "no", "ok");
    /* The smallest TTL of those records that were used. */
    assert_in_range(p.fresh_ms, 5000, 30000);

    const struct resolver_answer *known =
        resolver_find(resolver, STR("BOTH.example."));
    assert_non_null(known);
    assert_int_equal(known->n, 3);
    assert_int_equal(known->addresses[2].sa.any.sa_family, AF_INET6);
    assert_int_equal(dns.asked_a, 1);
    assert_int_equal(dns.asked_aaaa, 1);
    assert_null(resolver_find(resolver, STR("other.example")));
}

static void one_family_is_asked_for_when_the_other_is_off(void **state)
{
    (void)state;
    struct probe p;
    says(1, 30, "\x0a\x01\x02\x03", 4);
    make_resolver(true, false, 0);
    assert_true(ask(&p, "a.example", 9000));
    assert_int_equal(p.n, 1);
    assert_int_equal(dns.asked_aaaa, 0);
    make_resolver(false, true, 0);
    assert_true(ask(&p, "a.example", 9000));
    assert_int_equal(p.n, 0);
    assert_int_equal(p.code, 3);
    assert_int_equal(dns.asked_aaaa, 1);
}

static void valid_is_instead_of_the_ttl(void **state)
{
    (void)state;
    struct probe p;
    says(1, 3600, "\x0a\x01\x02\x03", 4);
    make_resolver(true, false, 30);
    assert_true(ask(&p, "a.example", 9000));
    assert_int_equal(p.fresh_ms, 30);
    assert_non_null(resolver_find(resolver, STR("a.example")));
    nanosleep(&(struct timespec){.tv_nsec = 40000000}, NULL);
    clock_update();
    assert_null(resolver_find(resolver, STR("a.example")));

    /* A TTL of 0 is for those who ask now only. */
    dns.records[0].ttl = 0;
    make_resolver(true, false, 0);
    assert_true(ask(&p, "b.example", 9000));
    assert_int_equal(p.n, 1);
    assert_null(resolver_find(resolver, STR("b.example")));
}

static void a_question_is_asked_once_for_all(void **state)
{
    (void)state;
    struct probe p[3];
    says(1, 30, "\x0a\x01\x02\x03", 4);
    make_resolver(true, false, 0);
    for (int i = 0; i < 3; i++) {
        p[i] = (struct probe){.wait.done = on_done, .ask_again = i == 0};
        assert_true(
            resolver_ask(resolver, &p[i].wait, STR("once.example"), 9000));
    }
    resolver_cancel(&p[1].wait);
    resolver_cancel(&p[1].wait);
    turn_until(&p[2].times, 10000);
    assert_int_equal(p[0].times, 1);
    assert_int_equal(p[1].times, 0);
    assert_int_equal(p[2].times, 1);
    assert_int_equal(p[2].first.sa.in.sin_addr.s_addr, htonl(0x0a010203));
    assert_int_equal(dns.asked_a, 1);
    resolver_cancel(&p[0].again);
}

static void errors_have_their_codes(void **state)
{
    (void)state;
    static const struct {
        unsigned rcode, expected;
    } codes[] = {{1, 1}, {2, 110}, {3, 3}, {4, 4}, {5, 5}};
    for (size_t i = 0; i < COUNT(codes); i++) {
        struct probe p;
        dns.rcode = codes[i].rcode;
        make_resolver(true, true, 0);
        assert_true(ask(&p, "bad.example", 9000));
        assert_int_equal(p.times, 1);
        assert_int_equal(p.n, 0);
        if (p.code != codes[i].expected)
            fail_msg("RCODE %u: %u", codes[i].rcode, p.code);
        assert_null(resolver_find(resolver, STR("bad.example")));
    }
}

static void what_is_no_answer_is_not_taken(void **state)
{
    (void)state;
    static const enum spoiling spoilings[] = {SILENT, WRONG_ID, OTHER_NAME,
                                              OTHER_CASE};
    for (size_t i = 0; i < COUNT(spoilings); i++) {
        struct probe p;
        dns.spoiling = spoilings[i];
        dns.records_n = 0;
        says(1, 30, "\x0a\x01\x02\x03", 4);
        make_resolver(true, false, 0);
        assert_true(ask(&p, "forged.example", 120));
        assert_int_equal(p.times, 1);
        if (p.n || !p.code)
            fail_msg("%zu: %zu addresses, code %u", i, p.n, p.code);
    }
}

static void broken_answers_give_no_addresses_of_their_own(void **state)
{
    (void)state;
    static const enum spoiling spoilings[] = {TRUNCATED_BYTES, COUNTS_TOO_MANY,
                                              LONG_DATA};
    for (size_t i = 0; i < COUNT(spoilings); i++) {
        struct probe p;
        dns.spoiling = spoilings[i];
        dns.records_n = 0;
        for (int k = 0; k < 40; k++)
            says(1, 30, "\x0a\x01\x02\x03", 4);
        make_resolver(true, false, 0);
        assert_true(ask(&p, "broken.example", 120));
        assert_int_equal(p.times, 1);
        assert_true(p.n <= 40);
    }
}

static void names_are_kept_within_bounds(void **state)
{
    (void)state;
    static struct resolver_wait waits[RESOLVER_NAMES_MAX + 1];
    char name[32];
    dns.spoiling = SILENT;
    make_resolver(true, false, 0);
    for (unsigned i = 0; i < RESOLVER_NAMES_MAX; i++) {
        waits[i] = (struct resolver_wait){.done = on_again};
        snprintf(name, sizeof name, "n%u.example", i);
        assert_true(resolver_ask(resolver, &waits[i], str_c(name), 60000));
    }
    assert_false(resolver_ask(resolver, &waits[RESOLVER_NAMES_MAX],
                              STR("one.more"), 60000));
    for (unsigned i = 0; i < RESOLVER_NAMES_MAX; i++)
        resolver_cancel(&waits[i]);
    turn_until(&(unsigned){0}, 20);
}

static int set_up(void **state)
{
    socklen_t n = sizeof dns.address.sa;
    (void)state;
    clock_update();
    memset(&dns, 0, sizeof dns);
    dns.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(address_from_ip(&dns.address, STR("127.0.0.1"), 0), 0);
    assert_int_equal(bind(dns.fd, &dns.address.sa.any, dns.address.length), 0);
    assert_int_equal(getsockname(dns.fd, &dns.address.sa.any, &n), 0);
    loop = loop_create();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    resolver_destroy(resolver);
    resolver = NULL;
    loop_destroy(loop);
    close(dns.fd);
    return 0;
}

#define DNS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DNS_TEST(names_are_checked_first),
        DNS_TEST(both_families_are_one_answer),
        DNS_TEST(one_family_is_asked_for_when_the_other_is_off),
        DNS_TEST(valid_is_instead_of_the_ttl),
        DNS_TEST(a_question_is_asked_once_for_all),
        DNS_TEST(errors_have_their_codes),
        DNS_TEST(what_is_no_answer_is_not_taken),
        DNS_TEST(broken_answers_give_no_addresses_of_their_own),
        DNS_TEST(names_are_kept_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

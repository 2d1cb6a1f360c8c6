/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/address.h"

#include "support/test.h"

static void reads_and_writes_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *ip, *with_port;
    } good[] = {
        {"127.0.0.1", "127.0.0.1", "127.0.0.1:8080"},
        {"255.255.255.255", "255.255.255.255", "255.255.255.255:8080"},
        {"[::1]", "::1", "[::1]:8080"},
        {"::1", "::1", "[::1]:8080"},
        {"[2001:DB8:0:0::1]", "2001:db8::1", "[2001:db8::1]:8080"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:8080"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:8080"},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        struct address a;
        char out[ADDRESS_TEXT_MAX];
        if (address_from_ip(&a, str_c(good[i].text), 8080) == -1)
            fail_msg("refused %s", good[i].text);
        assert_str(address_ip_text(&a, out), good[i].ip);
        assert_str(address_text(&a, out), good[i].with_port);
        assert_int_equal(address_port(&a), 8080);
        assert_false(address_is_unix(&a));
    }
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "localhost",
        "127.0.0",
        "127.0.0.256",
        "127.0.0.1 ",
        "127.1",
        "0x7f.1",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        "[[::1]]",
        "[]",
        ":::",
        "1::2::3",
        "fe80::1%lo",
        "::1:80:90:100:110:120:130:140:150:160:170:180:190:200:210:220:230",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct address a;
        if (address_from_ip(&a, str_c(bad[i]), 1) != -1)
            fail_msg("accepted \"%s\"", bad[i]);
    }
    struct address a;
    assert_int_equal(address_from_ip(&a, str_n("127.0.0.1\0", 10), 1), -1);
}

static void unix_paths_fill_the_address_and_no_more(void **state)
{
    (void)state;
    struct err err;
    struct address a;
    char path[200], out[ADDRESS_TEXT_MAX];

    assert_int_equal(address_from_path(&a, STR("/run/a.sock"), &err), 0);
    assert_true(address_is_unix(&a));
    assert_str(address_text(&a, out), "unix:/run/a.sock");
    assert_str(address_ip_text(&a, out), "unix:");
    assert_int_equal(address_port(&a), 0);
    assert_int_equal(a.length, offsetof(struct sockaddr_un, sun_path) + 12);

    memset(path, 'p', sizeof path);
    assert_int_equal(address_from_path(&a, str_n(path, 107), &err), 0);
    assert_int_equal(address_text(&a, out).n, 5 + 107);
    assert_int_equal(address_from_path(&a, str_n(path, 108), &err), -1);
    assert_non_null(strstr(err.text, "too long path"));
    assert_non_null(strstr(err.text, "107"));
    assert_int_equal(address_from_path(&a, STR(""), &err), -1);
    assert_string_equal(err.text, "no path in the unix domain socket");
    assert_int_equal(address_from_path(&a, str_n("/a\0b", 4), &err), -1);
}

static void shows_what_the_kernel_reports(void **state)
{
    (void)state;
    struct address a;
    char out[ADDRESS_TEXT_MAX];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const struct sockaddr *any = (const struct sockaddr *)&un;
    socklen_t head = offsetof(struct sockaddr_un, sun_path);

    address_from_sockaddr(&a, any, head); /* a client without a name */
    assert_str(address_text(&a, out), "unix:");
    memcpy(un.sun_path, "\0name", 5);
    address_from_sockaddr(&a, any, head + 5); /* an abstract name */
    assert_str(address_text(&a, out), "unix:@name");
    memset(un.sun_path, 'p', sizeof un.sun_path); /* no NUL at the end */
    address_from_sockaddr(&a, any, sizeof un);
    assert_int_equal(address_text(&a, out).n, 5 + sizeof un.sun_path);
    address_from_sockaddr(&a, any, sizeof un + 50); /* it had to cut */
    assert_int_equal(address_text(&a, out).n, 5 + sizeof un.sun_path);
    address_from_sockaddr(&a, NULL, 0);
    assert_str(address_text(&a, out), "");
    assert_str(address_ip_text(&a, out), "");
}

static struct address of(const char *ip, uint16_t port)
{
    struct address a;
    assert_int_equal(address_from_ip(&a, str_c(ip), port), 0);
    return a;
}

static void compares_what_matters(void **state)
{
    (void)state;
    struct address a = of("192.0.2.1", 80), b = of("192.0.2.1", 80);
    memset(a.sa.in.sin_zero, 1, sizeof a.sa.in.sin_zero);
    assert_true(address_eq(&a, &b));
    b = of("192.0.2.1", 81);
    assert_false(address_eq(&a, &b));
    b = of("192.0.2.2", 80);
    assert_false(address_eq(&a, &b));
    b = of("::ffff:192.0.2.1", 80);
    assert_false(address_eq(&a, &b));

    a = of("fe80::1", 80);
    b = of("fe80::1", 80);
    assert_true(address_eq(&a, &b));
    b.sa.in6.sin6_scope_id = 2;
    assert_false(address_eq(&a, &b));

    struct err err;
    struct address p, q;
    address_from_path(&p, STR("/a"), &err);
    address_from_path(&q, STR("/a"), &err);
    assert_true(address_eq(&p, &q));
    q.length--; /* as a kernel may report it: without the NUL */
    assert_true(address_eq(&p, &q));
    address_from_path(&q, STR("/ab"), &err);
    assert_false(address_eq(&p, &q));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_and_writes_addresses),
        TEST(refuses_what_is_no_address),
        TEST(unix_paths_fill_the_address_and_no_more),
        TEST(shows_what_the_kernel_reports),
        TEST(compares_what_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/authority.h"

#include "support/test.h"

static void splits_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *input, *host, *port; /* port NULL: none */
    } rows[] = {
        {"a", "a", NULL},
        {"A.Example.", "A.Example.", NULL},
        {"a:80", "a", "80"},
        {"a:", "a", ""},
        {"a:65535", "a", "65535"},
        {"1.2.3.4:1", "1.2.3.4", "1"},
        {"a_b-c~%20", "a_b-c~%20", NULL},
        {"[::1]", "[::1]", NULL},
        {"[2001:db8::1.2.3.4]:443", "[2001:db8::1.2.3.4]", "443"},
        {".a", ".a", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str host, port;
        if (http_authority_split(str_c(rows[i].input), &host, &port) != 1)
            fail_msg("%s was refused", rows[i].input);
        assert_str(host, rows[i].host);
        assert_int_equal(port.p != NULL, rows[i].port != NULL);
        if (rows[i].port)
            assert_str(port, rows[i].port);
    }
}

static void refuses_what_is_no_authority(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR_INIT(""),
        STR_INIT(":80"),
        STR_INIT("."),
        STR_INIT("a..b"),
        STR_INIT("a:65536"),
        STR_INIT("a:b"),
        STR_INIT("a:+1"),
        STR_INIT("a:1:2"),
        STR_INIT("u@a"),
        STR_INIT("u:p@a"),
        STR_INIT("a/b"),
        STR_INIT("a\\b"),
        STR_INIT("a b"),
        STR_INIT("a\tb"),
        STR_INIT("a?b"),
        STR_INIT("a#b"),
        STR_INIT("a\0b"),
        STR_INIT("\xc3\xa4"),
        STR_INIT("a%"),
        STR_INIT("a%2"),
        STR_INIT("a%2x"),
        STR_INIT("[::1"),
        STR_INIT("::1"),
        STR_INIT("[::1]x"),
        STR_INIT("[]"),
        STR_INIT("[1.2.3.4]"),
        STR_INIT("[::1%25lo]"),
        STR_INIT("[v1.a]"),
        STR_INIT("[::1\0]"),
        STR_INIT("a[::1]"),
        STR_INIT("[::1]:99999"),
        STR_INIT("[[::1]]"),
        STR_INIT("<a>"),
        STR_INIT("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct str host, port;
        if (http_authority_split(bad[i], &host, &port) != -400)
            fail_msg("%.*s was taken", STR_ARG(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(splits_host_and_port),
        TEST(refuses_what_is_no_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

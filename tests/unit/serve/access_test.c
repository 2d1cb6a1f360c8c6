/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/access.h"

#include "support/test.h"

static void reads_rules(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        {"all", 0},          {"unix:", 0},
        {"10.0.0.0/8", 0},   {"10.0.0.1", 0},
        {"0.0.0.0/0", 0},    {"2001:db8::/32", 0},
        {"::1", 0},          {"10.0.0.1/8", 1},
        {"10.1.2.3/31", 1},  {"2001:db8::1/32", 1},
        {"10.0.0.0/33", -1}, {"::/129", -1},
        {"10.0.0/8", -1},    {"10.0.0.0/", -1},
        {"/8", -1},          {"", -1},
        {"host", -1},        {"10.0.0.0/-1", -1},
        {"unix", -1},        {"10.0.0.0/8/8", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct access_rule rule = {.deny = true};
        int got = access_rule_read(&rule, str_c(cases[i].text));
        if (got != cases[i].result)
            fail_msg("%s: %d", cases[i].text, got);
        assert_true(rule.deny);
    }
}

static void fits_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *address; /* NULL: a unix socket */
        bool fits;
    } cases[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/9", "10.127.0.1", true},
        {"10.0.0.0/9", "10.128.0.1", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.6/31", "192.0.2.7", true},
        {"0.0.0.0/0", "203.0.113.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "203.0.113.1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"11.0.0.0/8", "::ffff:10.1.2.3", false},
        {"all", "10.0.0.1", true},
        {"all", NULL, true},
        {"unix:", NULL, true},
        {"unix:", "10.0.0.1", false},
        {"0.0.0.0/0", NULL, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct access_rule rule = {.deny = false};
        struct address a;
        struct err err;
        assert_int_equal(access_rule_read(&rule, str_c(cases[i].rule)), 0);
        if (cases[i].address)
            assert_int_equal(address_from_ip(&a, str_c(cases[i].address), 80),
                             0);
        else
            assert_int_equal(address_from_path(&a, STR("/x"), &err), 0);
        if (access_rule_fits(&rule, &a) != cases[i].fits)
            fail_msg("%s and %s", cases[i].rule,
                     cases[i].address ? cases[i].address : "unix");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_rules),
        TEST(fits_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

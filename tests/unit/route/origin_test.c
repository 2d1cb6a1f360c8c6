/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/origin.h"

#include "support/test.h"

static struct arena *arena;
static struct err err;

static int setup(void **state)
{
    (void)state;
    arena = arena_create(4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

/* rules: words between blanks */
static struct origin_rules *rules_of(const char *words)
{
    struct origin_rules *rules = origin_rules_create(arena);
    struct str rest = str_c(words);
    while (rest.n)
        if (origin_rules_add(rules, str_cut(&rest, ' '), &err) == -1)
            fail_msg("%s", err.text);
    return rules;
}

static void lets_in_whom_the_rules_name(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *origin; /* NULL: no header */
        bool https;
        const char *host;
        bool allowed;
    } cases[] = {
        {"same", "https://example.com", true, "example.com", true},
        {"same", "HTTPS://Example.COM", true, "example.com", true},
        {"same", "https://example.com", true, "EXAMPLE.com", true},
        {"same", "https://example.com:443", true, "example.com", true},
        {"same", "https://example.com", true, "example.com:443", true},
        {"same", "http://example.com", false, "example.com:80", true},
        {"same", "http://example.com:8080", false, "example.com:8080", true},
        {"same", "http://[::1]:8080", false, "[::1]:8080", true},
        {"same", "http://[::1]", false, "[::1]", true},
        {"same", NULL, true, "example.com", true},
        {"same", "http://example.com", true, "example.com", false},
        {"same", "https://example.com", false, "example.com", false},
        {"same", "https://example.com:80", true, "example.com:443", false},
        {"same", "http://example.com", false, "example.com:8080", false},
        {"same", "http://example.com:8080", false, "example.com", false},
        {"same", "https://example.com.evil.org", true, "example.com", false},
        {"same", "https://evil.org", true, "example.com", false},
        {"same", "https://xexample.com", true, "example.com", false},
        {"same", "wss://example.com", true, "example.com", false},
        {"same", "null", true, "example.com", false},
        {"same", "null", true, "null", false},
        {"same", "https://", true, "", false},
        {"same", "https://example.com", true, "", false},
        {"same", "https://example.com", true, "exa mple.com", false},
        {"same", "https://example.com", true, "example.com:443:443", false},
        {"same", "https://example.com", true, "user@example.com", false},

        {"", "https://example.com", true, "example.com", true},
        {"", "https://evil.org", true, "example.com", false},
        {"", NULL, true, "example.com", true},

        {"https://a.org", "https://a.org", true, "b.org", true},
        {"https://a.org", "https://a.org:443", true, "b.org", true},
        {"https://A.org:443", "https://a.org", true, "b.org", true},
        {"https://a.org", "http://a.org", true, "b.org", false},
        {"https://a.org", "https://a.org:444", true, "b.org", false},
        {"https://a.org", "https://x.a.org", true, "b.org", false},
        {"https://a.org", NULL, true, "b.org", false},
        {"https://a.org none", NULL, true, "b.org", true},
        {"https://a.org any", NULL, true, "b.org", true},
        {"none", "https://a.org", true, "a.org", false},
        {"https://a.org", "https://a.org/", true, "b.org", false},
        {"https://a.org", "https://a.org https://b.org", true, "b.org", false},
        {"https://a.org", "https://a.org, https://a.org", true, "b", false},
        {"https://a.org", " https://a.org", true, "b.org", false},
        {"https://a.org", "https://a.org:", true, "b.org", false},
        {"https://a.org", "https://a.org:0443x", true, "b.org", false},
        {"https://a.org", "https://u@a.org", true, "b.org", false},
        {"https://a.org", "https://b.org#https://a.org", true, "b", false},
        {"chrome-extension://abc", "chrome-extension://abc", true, "b", true},
        {"chrome-extension://abc", "moz-extension://abc", true, "b", false},
        {"http://[::1]:80", "http://[::1]", true, "b", true},

        {"https://*.a.org", "https://x.a.org", true, "b.org", true},
        {"https://*.a.org", "https://x.y.a.org", true, "b.org", true},
        {"https://*.a.org", "https://X.A.ORG", true, "b.org", true},
        {"https://*.a.org", "https://a.org", true, "b.org", false},
        {"https://*.a.org", "https://.a.org", true, "b.org", false},
        {"https://*.a.org", "https://xa.org", true, "b.org", false},
        {"https://*.a.org", "https://x.a.org.evil.com", true, "b", false},
        {"https://*.a.org", "http://x.a.org", true, "b.org", false},
        {"https://*.a.org:8443", "https://x.a.org:8443", true, "b", true},
        {"https://*.a.org:8443", "https://x.a.org", true, "b", false},
        {"*.a.org", "https://x.a.org", true, "b.org", true},
        {"*.a.org", "http://x.a.org", true, "b.org", true},
        {"*.a.org", "http://x.a.org:8080", true, "b.org", false},
        {"*.a.org", "ftp://x.a.org", true, "b.org", false},
        {"a.org:8080", "http://a.org:8080", true, "b.org", true},
        {"a.org:8080", "http://a.org", true, "b.org", false},
        {"localhost", "http://localhost", true, "b.org", true},

        {"null", "null", true, "b.org", true},
        {"null", "NULL", true, "b.org", false},
        {"https://a.org", "null", true, "b.org", false},
        {"any", "null", true, "b.org", true},
        {"any", "", true, "b.org", true},
        {"any", "two of them", true, "b.org", true},
        {"~^https://[a-z]+\\.a\\.org$", "https://x.a.org", true, "b", true},
        {"~^https://[a-z]+\\.a\\.org$", "https://X.a.org", true, "b", false},
        {"~*^https://[a-z]+\\.a\\.org$", "https://X.a.org", true, "b", true},
        {"~^null$", "null", true, "b", true},
        {"~.", "https://a.org x", true, "b", false}, /* garbage: any only */
        {"~.", "https://a.org\n", true, "b", false},
        {"~.", "", true, "b", false},
        {"~.", "file://", true, "b", false},
        {"~.", NULL, true, "b", false},
        {"https://a.org ~b same", "http://c.org", false, "c.org", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (origin_is_allowed(rules_of(cases[i].rules), str_c(cases[i].origin),
                              cases[i].https,
                              str_c(cases[i].host)) != cases[i].allowed)
            fail_msg("\"%s\": %s at %s must be %s", cases[i].rules,
                     cases[i].origin ? cases[i].origin : "(none)",
                     cases[i].host, cases[i].allowed ? "let in" : "refused");
    assert_true(origin_is_allowed(NULL, STR("http://a"), false, STR("a")));
    assert_false(origin_is_allowed(NULL, STR("http://a"), false, STR("b")));
    assert_false(origin_is_allowed(rules_of("https://a.org"),
                                   str_n("https://a.org\0.b", 16), true,
                                   STR("b")));
}

static void says_what_is_wrong_with_a_rule(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *sentence;
    } bad[] = {
        {"", "invalid origin \"\": expected \"same\""},
        {"sam", "invalid origin \"sam\": expected \"same\""},
        {"Same", "invalid origin"},
        {"https://", "an origin has no path"},
        {"https://a.org/", "an origin has no path"},
        {"https://a.org/x", "invalid origin"},
        {"https://a b", "invalid origin"},
        {"https://a.org:99999", "invalid origin"},
        {"https://a.*.org", "invalid origin"},
        {"https://*", "invalid origin"},
        {"*", "invalid origin"},
        {"*.", "invalid origin"},
        {"://a.org", "invalid origin"},
        {"~", "empty regex in origin \"~\""},
        {"~*", "empty regex in origin \"~*\""},
        {"~(", "pcre2_compile() failed"},
    };
    struct origin_rules *rules = origin_rules_create(arena);
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (origin_rules_add(rules, str_c(bad[i].rule), &err) != -1)
            fail_msg("accepted \"%s\"", bad[i].rule);
        if (!strstr(err.text, bad[i].sentence))
            fail_msg("\"%s\": %s", bad[i].rule, err.text);
    }
    /* What was refused left nothing behind: the default still holds. */
    assert_true(origin_is_allowed(rules, STR("http://a"), false, STR("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lets_in_whom_the_rules_name),
        TEST(says_what_is_wrong_with_a_rule),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

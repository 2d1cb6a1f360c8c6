/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/hosts.h"

#include "support/test.h"

static char exact[] = "exact", head[] = "head", deep[] = "deep", dot[] = "dot",
            tail[] = "tail", tail2[] = "tail2";

/* The expectations are nginx's own answers. */
static void prefers_exact_then_head_then_tail(void **state)
{
    (void)state;
    struct arena *a = arena_create(4096);
    struct hosts h;
    static const struct {
        const char *host, *answer;
    } cases[] = {
        {"example.org", "exact"},
        {"EXAMPLE.org", "exact"},
        {"a.example.org", "head"},
        {"a.b.example.org", "head"},
        {"deep.example.org", "head"},
        {"x.deep.example.org", "deep"},
        {"example.net", "dot"},
        {"x.y.example.net", "dot"},
        {"mail.com", "tail"},
        {"mail.example.com", "tail2"},
        {"mail.a.b", "tail"},
        {"mail", NULL},
        {".example.org", "head"},
        {"xexample.net", NULL},
        {"org", NULL},
        {"", NULL},
        {".", NULL},
        {"*.example.org", "head"},
    };
    hosts_init(&h, a);
    assert_null(hosts_find(&h, STR("example.org")));
    assert_int_equal(hosts_add(&h, STR("example.org"), exact), HOSTS_ADDED);
    assert_int_equal(hosts_add(&h, STR("*.Example.org"), head), HOSTS_ADDED);
    assert_int_equal(hosts_add(&h, STR("*.deep.example.org"), deep), 0);
    assert_int_equal(hosts_add(&h, STR(".example.net"), dot), 0);
    assert_int_equal(hosts_add(&h, STR("mail.*"), tail), 0);
    assert_int_equal(hosts_add(&h, STR("mail.example.*"), tail2), 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *got = hosts_find(&h, str_c(cases[i].host));
        if (got != cases[i].answer &&
            (!got || !cases[i].answer || strcmp(got, cases[i].answer) != 0))
            fail_msg("%s: %s", cases[i].host, got ? got : "nothing");
    }
    arena_destroy(a);
}

static void a_taken_name_stays(void **state)
{
    (void)state;
    struct arena *a = arena_create(4096);
    struct hosts h;
    hosts_init(&h, a);
    assert_int_equal(hosts_add(&h, STR("example.org"), exact), HOSTS_ADDED);
    assert_int_equal(hosts_add(&h, STR("Example.org"), dot), HOSTS_TAKEN);
    assert_int_equal(hosts_add(&h, STR(".example.org"), dot), HOSTS_TAKEN);
    /* Nor was half of it taken. */
    assert_null(hosts_find(&h, STR("a.example.org")));
    assert_int_equal(hosts_add(&h, STR("*.example.org"), head), HOSTS_ADDED);
    assert_int_equal(hosts_add(&h, STR("a.*"), tail), HOSTS_ADDED);
    assert_int_equal(hosts_add(&h, STR("a.*"), tail2), HOSTS_TAKEN);
    assert_int_equal(hosts_add(&h, STR(""), exact), HOSTS_ADDED);
    assert_int_equal(hosts_add(&h, STR(""), exact), HOSTS_TAKEN);
    assert_string_equal(hosts_find(&h, (struct str){NULL, 0}), exact);
    arena_destroy(a);
}

static void refuses_a_star_in_the_wrong_place(void **state)
{
    (void)state;
    static const char *const bad[] = {"*",      "a*.org", "a.*.org", "*.a.*",
                                      "**.org", "*.",     ".*",      "a..b",
                                      "*a.org", ".a.*"};
    struct arena *a = arena_create(4096);
    struct hosts h;
    hosts_init(&h, a);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (hosts_add(&h, str_c(bad[i]), exact) != HOSTS_INVALID)
            fail_msg("accepted %s", bad[i]);
    assert_int_equal(hosts_add(&h, str_n("a\0b", 3), exact), HOSTS_INVALID);
    arena_destroy(a);
}

static void a_host_of_many_labels_is_no_burden(void **state)
{
    (void)state;
    struct arena *a = arena_create(4096);
    struct hosts h;
    static char host[65536];
    hosts_init(&h, a);
    hosts_add(&h, STR("*.a.a.a"), head);
    hosts_add(&h, STR("b.b.*"), tail);
    for (size_t i = 0; i < sizeof host; i++)
        host[i] = i % 2 ? '.' : 'b';
    for (int i = 0; i < 1000; i++)
        assert_string_equal(hosts_find(&h, str_n(host, sizeof host - 1)), tail);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(prefers_exact_then_head_then_tail),
        TEST(a_taken_name_stays),
        TEST(refuses_a_star_in_the_wrong_place),
        TEST(a_host_of_many_labels_is_no_burden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

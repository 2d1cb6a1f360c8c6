/* SPDX-License-Identifier: BSD-2-Clause */
#include "access/geo_table.h"

#include "support/test.h"

static struct str text_of(const struct geo_table *t, const char *ip)
{
    struct address a;
    assert_int_equal(address_from_ip(&a, str_c(ip), 0), 0);
    const struct str *found = geo_table_find(t, &a);
    return found ? *found : STR("-");
}

static void the_longest_prefix_decides(void **state)
{
    (void)state;
    static const struct {
        const char *network;
        struct str value;
    } rows[] = {
        {"10.0.0.0/8", STR_INIT("ten")},    {"10.1.0.0/16", STR_INIT("one")},
        {"10.1.2.3/32", STR_INIT("host")},  {"0.0.0.0/0", STR_INIT("all")},
        {"2001:db8::/32", STR_INIT("six")},
    };
    struct arena *arena = arena_create(4096);
    struct geo_table t;
    struct access_rule rule = {0};

    geo_table_init(&t, arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(access_rule_read(&rule, str_c(rows[i].network)), 0);
        assert_null(geo_table_put(&t, &rule, &rows[i].value));
    }
    assert_str(text_of(&t, "10.1.2.3"), "host");
    assert_str(text_of(&t, "10.1.2.4"), "one");
    assert_str(text_of(&t, "10.2.2.4"), "ten");
    assert_str(text_of(&t, "11.0.0.1"), "all");
    assert_str(text_of(&t, "::ffff:10.1.2.3"), "host");
    assert_str(text_of(&t, "2001:db8::9"), "six");
    assert_str(text_of(&t, "2001:db9::9"), "-");
    access_rule_read(&rule, STR("10.1.0.0/16"));
    assert_ptr_equal(geo_table_put(&t, &rule, NULL), &rows[1].value);
    assert_str(text_of(&t, "10.1.2.4"), "ten");
    assert_str(text_of(&t, "10.1.2.3"), "host");
    arena_destroy(arena);
}

/* Against an array that says the same. */
static void a_range_cuts_into_those_before(void **state)
{
    (void)state;
    enum { SPACE = 200, ROUNDS = 3000 };
    static struct str values[ROUNDS];
    const struct str *expected[SPACE] = {NULL};
    struct arena *arena = arena_create(4096);
    struct geo_table t;
    uint32_t seed = 3;

    geo_table_init(&t, arena);
    for (int i = 0; i < ROUNDS; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t a = (seed >> 8) % SPACE, b = (seed >> 18) % SPACE;
        uint32_t first = a < b ? a : b, last = a < b ? b : a;
        const struct str *value = seed & 64 ? &values[i] : NULL;
        bool before = false;
        for (uint32_t k = first; k <= last; k++) {
            before = before || expected[k];
            expected[k] = value;
        }
        assert_int_equal(geo_table_put_range(&t, first, last, value), before);
        for (uint32_t k = 0; k < SPACE; k++) {
            struct address ip = {
                .sa.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(k)}};
            assert_ptr_equal(geo_table_find(&t, &ip), expected[k]);
        }
    }
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_longest_prefix_decides),
        TEST(a_range_cuts_into_those_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

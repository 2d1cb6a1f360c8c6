/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/map.h"

#include "support/test.h"

enum { MANY = 1000 };

static void finds_all_of_many(void **state)
{
    (void)state;
    struct arena *a = arena_create(4096);
    static int values[MANY];
    struct map m;
    map_init(&m, a, false);
    assert_null(map_find(&m, STR("k1"))); /* before there is a table */
    for (int i = 0; i < MANY; i++)
        assert_true(map_add(&m, arena_printf(a, "k%d", i), &values[i]));
    for (int i = 0; i < MANY; i++) {
        struct str key = arena_printf(a, "k%d", i);
        assert_ptr_equal(map_find(&m, key), &values[i]);
        assert_false(map_add(&m, key, &values[0]));
    }
    assert_null(map_find(&m, STR("k1000")));
    assert_null(map_find(&m, STR("K1")));
    assert_int_equal(m.n, MANY);

    bool seen[MANY] = {false};
    size_t it = 0, n = 0;
    for (const struct map_entry *e; (e = map_next(&m, &it)); n++) {
        size_t i = (size_t)((int *)e->value - values);
        assert_false(seen[i]);
        seen[i] = true;
    }
    assert_int_equal(n, MANY);
    arena_destroy(a);
}

static void ignores_case_when_told(void **state)
{
    (void)state;
    struct arena *a = arena_create(4096);
    int one, two;
    struct map m;
    map_init(&m, a, true);
    assert_true(map_add(&m, STR("Content-Type"), &one));
    assert_false(map_add(&m, STR("content-type"), &two));
    assert_ptr_equal(map_find(&m, STR("CONTENT-TYPE")), &one);
    assert_true(map_add(&m, STR(""), &two));
    assert_ptr_equal(map_find(&m, STR("")), &two);
    assert_ptr_equal(map_find(&m, (struct str){NULL, 0}), &two);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finds_all_of_many),
        TEST(ignores_case_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

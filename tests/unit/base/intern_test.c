/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/intern.h"

#include <stdio.h>

#include "support/test.h"

enum { MANY = 1000 };

static void equal_bytes_are_stored_once(void **state)
{
    (void)state;
    struct interned *a = intern(STR("one"));
    struct interned *b = intern(str_n("one and more", 3));
    struct interned *c = intern(STR("two"));

    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_true(str_eq(interned_str(b), STR("one")));
    intern_unref(a);
    assert_true(str_eq(interned_str(b), STR("one")));
    intern_unref(b);
    intern_unref(c);
    intern_unref(NULL);
}

static void any_bytes_will_do(void **state)
{
    (void)state;
    struct interned *none = intern(str_n(NULL, 0));
    struct interned *zero = intern(str_n("\0", 1));

    assert_int_equal(none->n, 0);
    assert_ptr_not_equal(none, zero);
    assert_ptr_equal(intern(STR("")), none);
    intern_unref(none);
    intern_unref(none);
    intern_unref(zero);
}

static void many_are_found_and_leave(void **state)
{
    (void)state;
    static struct interned *all[MANY];
    char text[16];

    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MANY; i++) {
            struct str s = {text, (size_t)snprintf(text, 16, "%d", i)};
            struct interned *one = intern(s);
            if (round)
                assert_ptr_equal(one, all[i]);
            all[i] = one;
        }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(all[i]->references, 2);
        intern_unref(all[i]);
        assert_int_equal(all[i]->references, 1);
        intern_unref(all[i]);
    }
}

static void what_comes_again_is_worth_it(void **state)
{
    (void)state;
    assert_false(intern_is_worth(STR("again")));
    assert_true(intern_is_worth(STR("again")));
    assert_false(intern_is_worth(STR("alone")));
    struct interned *held = intern(STR("held"));
    assert_true(intern_is_worth(STR("held")));
    intern_unref(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_bytes_are_stored_once),
        cmocka_unit_test(any_bytes_will_do),
        cmocka_unit_test(many_are_found_and_leave),
        cmocka_unit_test(what_comes_again_is_worth_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

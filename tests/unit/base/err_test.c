/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/err.h"

#include "support/test.h"

static void keeps_the_sentence_and_its_prefixes(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, "no %s", "bread"), -1);
    assert_string_equal(err.text, "no bread");
    assert_int_equal(err_prefix(&err, "shop %d", 7), -1);
    assert_string_equal(err.text, "shop 7: no bread");
}

static void cuts_what_is_too_long(void **state)
{
    (void)state;
    struct err err;
    char text[2 * ERR_TEXT_MAX];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';

    err_set(&err, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    err_prefix(&err, "b");
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "b: aaa", 6);
    err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_the_sentence_and_its_prefixes),
        TEST(cuts_what_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

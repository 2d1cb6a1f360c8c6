/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/conf/modules.h"

static void put_the_value_into_its_field(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "flag OFF; number 9; size 1G; ms 1500ms; sec '1h 30m';"
                    "str \"a b\"; path x/y; choice ALWAYS; bits never error;");
    const struct kinds *k = conf_get(a.conf.main, &kinds_module);
    assert_false(k->flag);
    assert_int_equal(k->number, 9);
    assert_int_equal(k->size, 1 << 30);
    assert_int_equal(k->ms, 1500);
    assert_int_equal(k->sec, 5400);
    assert_str(k->str, "a b");
    assert_string_equal(k->path, "/prefix/x/y");
    assert_int_equal(k->choice, 2);
    assert_int_equal(k->bits, 5);
    assert_int_equal(a.warnings.n, 0);
    applied_fini(&a);
}

static void refuse_and_name_what_was_expected(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"number 1;", "value must be between 2 and 9 in \"number\" directive"},
        {"number 10;", "value must be between 2 and 9 in \"number\" directive"},
        {"number 2x;", "\"number\" directive invalid number \"2x\", expected "
                       "a number"},
        {"number -1;", "\"number\" directive invalid number \"-1\", expected "
                       "a number"},
        {"number '';", "\"number\" directive invalid number \"\", expected a "
                       "number"},
        {"number 9223372036854775808;",
         "\"number\" directive invalid number \"9223372036854775808\", "
         "expected a number"},
        {"size 124;", "value must be between 125 and 1g in \"size\" directive"},
        {"size 2g;", "value must be between 125 and 1g in \"size\" directive"},
        {"size -1;", "\"size\" directive invalid value \"-1\", expected a "
                     "size such as 512, 8k, 1m or 1g"},
        {"ms 999ms;", "value must be equal to or greater than 1s in \"ms\" "
                      "directive"},
        {"ms 1y;", "\"ms\" directive invalid value \"1y\", expected a time "
                   "such as 500ms, 30s, 5m or \"1h 30m\""},
        {"sec 25h;", "value must be equal to or less than 1d in \"sec\" "
                     "directive"},
        {"sec 5ms;", "\"sec\" directive invalid value \"5ms\", expected a "
                     "time in whole seconds such as 30s, 5m or \"1h 30m\""},
        {"choice maybe;", "invalid value \"maybe\" in \"choice\" directive, "
                          "it must be \"off\", \"on\" or \"always\""},
        {"bits error x;", "invalid value \"x\" in \"bits\" directive, it must "
                          "be \"error\", \"timeout\" or \"never\""},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char sentence[512];
        snprintf(sentence, sizeof sentence, "%s in /c/main.conf:1",
                 bad[i].sentence);
        expect_refusal(bad[i].text, sentence);
    }
}

static void a_bit_said_twice_is_a_warning(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "bits error error;");
    assert_str(buf_str(&a.warnings),
               "duplicate value \"error\" in /c/main.conf:1\n");
    applied_fini(&a);
}

static void bits_replace_what_was_inherited(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "bits error; http { bits timeout; }");
    const struct kinds *k = conf_get(a.conf.main->children, &kinds_module);
    assert_int_equal(k->bits, 2);
    applied_fini(&a);
}

static void paths_start_at_a_prefix_unless_absolute(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "");
    struct conf *c = &a.conf;
    assert_string_equal(conf_full_path(c, STR("/x"), false), "/x");
    assert_string_equal(conf_full_path(c, STR("x"), false), "/prefix/x");
    assert_string_equal(conf_full_path(c, STR("x"), true), "/c/x");
    assert_string_equal(conf_full_path(c, STR(""), false), "/prefix/");
    applied_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(put_the_value_into_its_field),
        TEST(refuse_and_name_what_was_expected),
        TEST(a_bit_said_twice_is_a_warning),
        TEST(bits_replace_what_was_inherited),
        TEST(paths_start_at_a_prefix_unless_absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

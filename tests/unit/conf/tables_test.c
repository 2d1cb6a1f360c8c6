/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/conf/modules.h"

static void the_test_modules_are_in_order(void **state)
{
    (void)state;
    struct err err;
    if (conf_check_tables(test_modules, &err) == -1)
        fail_msg("%s", err.text);
}

static void other_default(void *module_conf)
{
    ((struct kinds *)module_conf)->number = 6;
}

static void objects_to_rows_that_cannot_be_meant(void **state)
{
    (void)state;
#define ROW(...)                                                               \
    {                                                                          \
        {.name = "x", __VA_ARGS__},                                            \
        {                                                                      \
            .name = NULL                                                       \
        }                                                                      \
    }
#define FIT .contexts = CONF_MAIN, .arity = ARGS_1
#define HELP .help = "Help."
#define NUMBER .set = conf_set_number, .offset = offsetof(struct kinds, number)
    static const struct {
        struct directive rows[2];
        const char *sentence;
    } bad[] = {
        {ROW(FIT, NUMBER), "\"x\" of module m has no help"},
        {ROW(FIT, HELP), "\"x\" of module m has no setter"},
        {ROW(HELP, NUMBER, .arity = ARGS_1),
         "\"x\" of module m stands in no context"},
        {ROW(HELP, NUMBER, .contexts = CONF_MAIN),
         "\"x\" of module m has no number of arguments"},
        {ROW(FIT, HELP, NUMBER, .min = 3, .max = 2),
         "\"x\" of module m has its bounds the wrong way round"},
        {ROW(FIT, HELP, .set = conf_set_enum),
         "\"x\" of module m has no names for its values"},
        {ROW(FIT, HELP, .set = conf_set_number,
             .offset = sizeof(struct kinds) - 4),
         "\"x\" of module m has its field outside of the module's struct"},
        {ROW(FIT, HELP, NUMBER, .default_text = "6k"),
         "\"x\" of module m has a default that is no value of its setter"},
        {ROW(FIT, HELP, NUMBER, .default_text = "7"),
         "\"x\" of module m has another default than defaults() says"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct conf_module m = {.name = "m",
                                .size = sizeof(struct kinds),
                                .defaults = other_default,
                                .directives = bad[i].rows};
        struct conf_module *const list[] = {&m, NULL};
        struct err err = {""};
        assert_int_equal(conf_check_tables(list, &err), -1);
        assert_string_equal(err.text, bad[i].sentence);
    }
}

static void objects_to_two_owners_of_a_name(void **state)
{
    (void)state;
    static const struct directive rows[] = {
        {.name = "note",
         .contexts = CONF_SERVER,
         .arity = ARGS_0,
         .set = conf_set_ignored,
         .help = "Help."},
        {0},
    };
    struct conf_module m = {.name = "m", .directives = rows};
    struct conf_module *const list[] = {&m, &trace_module, NULL};
    struct err err = {""};
    assert_int_equal(conf_check_tables(list, &err), -1);
    assert_string_equal(err.text, "modules m and trace both claim \"note\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_test_modules_are_in_order),
        TEST(objects_to_rows_that_cannot_be_meant),
        TEST(objects_to_two_owners_of_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

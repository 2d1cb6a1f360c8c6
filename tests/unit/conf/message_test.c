/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/conf/modules.h"

static void warnings_have_the_place_of_their_directive(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "\nhttp {\n note\n warn; }");
    assert_str(buf_str(&a.warnings), "mind 7 in /c/main.conf:4\n");
    applied_fini(&a);
}

static void the_command_line_has_no_line(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1024);
    struct err err;
    struct conf_file file = {"/c/m", STR_INIT(""), NULL};
    struct conf_source source = conf_source_bundle(&file);
    struct conf conf = {.arena = arena, .list = test_modules, .err = &err};
    assert_int_equal(conf_tree_parse(&conf.tree, arena, &source, "/c/m",
                                     STR("foo bar;"), &err),
                     0);
    assert_int_equal(conf_apply(&conf), -1);
    assert_string_equal(err.text, "unknown directive \"foo\" in command line");
    arena_destroy(arena);
}

static void a_long_sentence_is_cut_and_not_its_place(void **state)
{
    (void)state;
    struct buf text = {0};
    struct applied a;
    for (int i = 0; i < 3000; i++)
        buf_put_u8(&text, 'x');
    buf_printf(&text, "%c;%c", '\n', 0);
    assert_int_equal(apply_text(&a, (char *)text.p), -1);
    assert_int_equal(strlen(a.err.text), ERR_TEXT_MAX - 1);
    assert_true(str_ends(str_c(a.err.text), STR("x in /c/main.conf:2")));
    applied_fini(&a);
    buf_fini(&text);
}

static void a_sentence_may_quote_the_one_before(void **state)
{
    (void)state;
    struct err err = {"the pattern is wrong"};
    struct conf conf = {.err = &err};
    assert_int_equal(conf_fail(&conf, "map: %s", err.text), -1);
    assert_string_equal(err.text, "map: the pattern is wrong");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(warnings_have_the_place_of_their_directive),
        TEST(the_command_line_has_no_line),
        TEST(a_long_sentence_is_cut_and_not_its_place),
        TEST(a_sentence_may_quote_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

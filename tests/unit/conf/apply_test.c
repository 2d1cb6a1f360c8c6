/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/conf/modules.h"

static void refuses_in_nginxs_order_with_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"foo;", "unknown directive \"foo\" in /c/main.conf:1"},
        {"\nfoo\nbar\n{ }", "unknown directive \"foo\" in /c/main.conf:4"},
        {"Flag on;", "unknown directive \"Flag\" in /c/main.conf:1"},
        {"server { }",
         "\"server\" directive is not allowed here in /c/main.conf:1"},
        {"http { main_only x; }",
         "\"main_only\" directive is not allowed here in /c/main.conf:1"},
        {"flag { }", "directive \"flag\" is not terminated by \";\" in "
                     "/c/main.conf:1"},
        {"http\n;", "directive \"http\" has no opening \"{\" in "
                    "/c/main.conf:2"},
        {"http a;", "directive \"http\" has no opening \"{\" in "
                    "/c/main.conf:1"},
        {"flag;", "invalid number of arguments in \"flag\" directive in "
                  "/c/main.conf:1"},
        {"flag on off;", "invalid number of arguments in \"flag\" directive "
                         "in /c/main.conf:1"},
        {"main_only a b;", "invalid number of arguments in \"main_only\" "
                           "directive in /c/main.conf:1"},
        {"http x { }", "invalid number of arguments in \"http\" directive in "
                       "/c/main.conf:1"},
        {"bits;", "invalid number of arguments in \"bits\" directive in "
                  "/c/main.conf:1"},
        {"http { format a; }", "invalid number of arguments in \"format\" "
                               "directive in /c/main.conf:1"},
        {"flag\nyes;", "invalid value \"yes\" in \"flag\" directive, it must "
                       "be \"on\" or \"off\" in /c/main.conf:2"},
        {"note a;\nnote b;", "\"note\" directive is duplicate in "
                             "/c/main.conf:2"},
        {"http { }\nhttp { }", "\"http\" directive is duplicate in "
                               "/c/main.conf:2"},
        /* The text is checked before anything of the block is set. */
        {"note wordy;\nfoo;", "unknown directive \"foo\" in /c/main.conf:2"},
        {"http { foo; }\nnumber 99;", "value must be between 2 and 9 in "
                                      "\"number\" directive in "
                                      "/c/main.conf:2"},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_refusal(bad[i].text, bad[i].sentence);
}

static void places_what_setters_and_hooks_say(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"http {\n server {\n note wordy;\n}\n}",
         "a sentence that says it all in /c/main.conf:3"},
        {"note bare;", "\"note\" directive invalid value in /c/main.conf:1"},
        {"note mute;", "invalid \"note\" directive in /c/main.conf:1"},
        {"flag on;\n\nnote elsewhere;", "the first is wrong in /c/main.conf:1"},
        {"http {\n server refuse {\n\n }\n}",
         "the block lacks something in /c/main.conf:4"},
        {"http {\n server {\n note fail-on-scope;\n } \n}",
         "the scope is wrong in /c/main.conf:4"},
        {"data {\n a b;\n wrong;\n}", "the entry is wrong in /c/main.conf:3"},
        {"data {\n a;\n b {\n }\n}", "unexpected \"{\" in /c/main.conf:3"},
        {"data x {\n a;\n}", "the data lack something in /c/main.conf:3"},
        {"note fail-on-scope;", "the scope is wrong"},
        {"\nfail_at_end;", "the end is wrong in /c/main.conf:2"},
        {"fail_without_place;", "no place is wrong"},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_refusal(bad[i].text, bad[i].sentence);
}

static void applies_group_after_group(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "http {\n"
                    "  server { note s; }\n"
                    "  set 1;\n"
                    "  upstream u { server x; }\n"
                    "  note n;\n"
                    "  data { k v; }\n"
                    "  format f x;\n"
                    "  server second { }\n"
                    "}\n");
    /* Definitions, plain, defining blocks, ordered, hook, blocks. */
    assert_str(buf_str(&a.transcript),
               "[0:] http format=f,x note=n upstream=u server=x [1:x] k=v "
               "set=1 [1:1] server note=s [2:s] server=second [2:1] end");
    applied_fini(&a);
}

static void ordered_directives_keep_their_order_and_inherit(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "http { server { location / {\n"
                    "  set 1; if (a) { set 2; } set 3; if (b) { }\n"
                    "  number 7;\n"
                    "} } }");
    assert_non_null(
        strstr((buf_put_u8(&a.transcript, 0), (char *)a.transcript.p),
               "location=/ set=1 if=(a) set=2 [3:2] set=3 "
               "if=(b) [3:3] [3:3] end"));
    const struct conf_scope *location =
        a.conf.main->children->children->children;
    const struct conf_scope *first_if = location->children;
    /* What stands below the if is inherited by it nevertheless. */
    assert_int_equal(first_if->context, CONF_LOCATION_IF);
    const struct kinds *k = conf_get(first_if, &kinds_module);
    assert_int_equal(k->number, 7);
    applied_fini(&a);
}

static void a_child_starts_as_a_copy_and_leaves_the_parent_alone(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "number 2; http { server { number 3;\n"
                    "location / { number 4; } location /b { } } size 1m; }");
    const struct conf_scope *http = a.conf.main->children;
    const struct conf_scope *server = http->children;
    const struct conf_scope *slash = server->children;
    static const struct {
        uint64_t number, size;
    } expected[] = {
        {2, 8192}, {2, 1 << 20}, {3, 1 << 20}, {4, 1 << 20}, {3, 1 << 20}};
    const struct conf_scope *scopes[] = {a.conf.main, http, server, slash,
                                         slash->next};
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct kinds *k = conf_get(scopes[i], &kinds_module);
        assert_int_equal(k->number, expected[i].number);
        assert_int_equal(k->size, expected[i].size);
    }
    assert_null(conf_get(server, &empty_module));
    assert_ptr_equal(slash->parent, server);
    assert_ptr_equal(slash->object, &a);
    assert_int_equal(slash->node->line, 2);
    assert_null(slash->next->next);
    applied_fini(&a);
}

static void fills_main_from_the_rows_and_then_from_the_module(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "");
    const struct kinds *k = conf_get(a.conf.main, &kinds_module);
    assert_true(k->flag);
    assert_int_equal(k->number, 5);
    assert_int_equal(k->size, 8192);
    assert_int_equal(k->ms, 60000);
    assert_int_equal(k->sec, 3600);
    assert_int_equal(k->str.n, 0);
    assert_string_equal(k->path, "/prefix/logs/x");
    assert_int_equal(k->choice, 1);
    assert_int_equal(k->bits, 3);
    applied_fini(&a);
}

static void ignored_directives_only_warn(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "http {\nignored a b;\n}");
    assert_str(buf_str(&a.warnings), "the \"ignored\" directive has no effect "
                                     "here, ignored in /c/main.conf:2\n");
    applied_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_in_nginxs_order_with_its_words),
        TEST(places_what_setters_and_hooks_say),
        TEST(applies_group_after_group),
        TEST(ordered_directives_keep_their_order_and_inherit),
        TEST(a_child_starts_as_a_copy_and_leaves_the_parent_alone),
        TEST(fills_main_from_the_rows_and_then_from_the_module),
        TEST(ignored_directives_only_warn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

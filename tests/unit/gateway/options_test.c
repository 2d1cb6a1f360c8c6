/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/test.h"

#include <signal.h>

#include "gateway/options.h"

static int parse(struct options *o, struct err *err, const char *const *words)
{
    char *argv[16] = {(char *)(uintptr_t) "penstock"};
    int argc = 1;
    for (; *words; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    argv[argc] = NULL;
    return options_parse(o, argc, argv, err);
}

static void takes_arguments_joined_and_apart(void **state)
{
    (void)state;
    static const char *const forms[][5] = {
        {"-c", "a.conf", "-p", "/p", NULL},
        {"-ca.conf", "-p/p", NULL},
        {"-tqca.conf", "-qp", "/p", NULL},
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct options o;
        struct err err;
        assert_int_equal(parse(&o, &err, forms[i]), 0);
        assert_string_equal(o.conf, "a.conf");
        assert_string_equal(o.prefix, "/p");
        assert_int_equal(o.test, i == 2);
        assert_int_equal(o.quiet, i == 2);
    }
}

static void sets_what_each_letter_means(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    const char *const words[] = {"-T", "-V", "-g", "", "-e", "x", NULL};
    assert_int_equal(parse(&o, &err, words), 0);
    assert_true(o.test && o.dump && o.version && o.configure);
    assert_false(o.help || o.quiet || o.reference);
    assert_string_equal(o.globals, "");
    assert_string_equal(o.error_log, "x");
    assert_int_equal(o.signal, 0);

    static const struct {
        const char *name;
        int number;
    } signals[] = {{"stop", SIGTERM},
                   {"quit", SIGQUIT},
                   {"reload", SIGHUP},
                   {"reopen", SIGUSR1},
                   {"restart=chat", SIGUSR2}};
    for (size_t i = 0; i < COUNT(signals); i++) {
        const char *const s[] = {"-s", signals[i].name, NULL};
        assert_int_equal(parse(&o, &err, s), 0);
        assert_int_equal(o.signal, signals[i].number);
    }
    assert_string_equal(o.restart, "chat");
    const char *const reference[] = {"--directives", NULL};
    assert_int_equal(parse(&o, &err, reference), 0);
    assert_true(o.reference);
}

static void refuses_in_the_words_of_nginx(void **state)
{
    (void)state;
    static const struct {
        const char *words[3];
        const char *expected;
    } bad[] = {
        {{"x"}, "invalid option: \"x\""},
        {{"-tz"}, "invalid option: \"z\""},
        {{"--help"}, "invalid option: \"-\""},
        {{"-s", "hup"}, "invalid option: \"-s hup\""},
        {{"-c"}, "option \"-c\" requires file name"},
        {{"-c", ""}, "option \"-c\" requires file name"},
        {{"-p"}, "option \"-p\" requires directory name"},
        {{"-g"}, "option \"-g\" requires parameter"},
        {{"-e"}, "option \"-e\" requires file name"},
        {{"-s"}, "option \"-s\" requires parameter"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct options o;
        struct err err;
        assert_int_equal(parse(&o, &err, bad[i].words), -1);
        assert_string_equal(err.text, bad[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(takes_arguments_joined_and_apart),
        TEST(sets_what_each_letter_means),
        TEST(refuses_in_the_words_of_nginx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

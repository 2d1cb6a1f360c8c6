/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/regex.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

static struct arena *arena;
static struct err err;

static int setup(void **state)
{
    (void)state;
    arena = arena_create(4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static struct regex *compile(const char *pattern)
{
    struct regex *r = regex_compile(arena, str_c(pattern), false, &err);
    if (!r)
        fail_msg("%s", err.text);
    return r;
}

static void finds_groups_by_number_and_name(void **state)
{
    (void)state;
    struct regex *r = compile("^/(?<room>\\w+)(/(x))?/(?<id>\\d*)$");
    struct captures c = {0};
    struct str name;
    unsigned group;

    assert_false(regex_match(r, STR("/!"), &c));
    assert_int_equal(c.n, 0); /* untouched */
    assert_true(regex_match(r, STR("/hall/"), &c));
    assert_str(captures_get(&c, 0), "/hall/");
    assert_str(captures_get(&c, 1), "hall");
    assert_null(captures_get(&c, 2).p); /* took no part */
    assert_non_null(captures_get(&c, 4).p);
    assert_int_equal(captures_get(&c, 4).n, 0); /* took part, is empty */
    assert_null(captures_get(&c, 5).p);
    assert_null(captures_get(&c, 1000).p);
    assert_true(regex_match(r, STR("/hall/"), NULL));

    assert_true(regex_name(r, 0, &name, &group));
    assert_str(name, "id");
    assert_int_equal(group, 4);
    assert_true(regex_name(r, 1, &name, &group));
    assert_str(name, "room");
    assert_int_equal(group, 1);
    assert_false(regex_name(r, 2, &name, &group));
    assert_str(regex_pattern(r), "^/(?<room>\\w+)(/(x))?/(?<id>\\d*)$");
}

static void minds_case_unless_told(void **state)
{
    (void)state;
    assert_false(regex_match(compile("abc"), STR("xABCx"), NULL));
    struct regex *r = regex_compile(arena, STR("abc"), true, &err);
    assert_true(regex_match(r, STR("xABCx"), NULL));
}

static void says_what_is_wrong_with_a_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *sentence;
    } bad[] = {
        {"(", "pcre2_compile() failed: missing closing parenthesis in \"(\""},
        {"a)b", "pcre2_compile() failed: unmatched closing parenthesis in "
                "\"a)b\" at \")b\""},
        {"[a", "pcre2_compile() failed: missing terminating ] for character "
               "class in \"[a\""},
        {"ab**c", "pcre2_compile() failed: quantifier does not follow a "
                  "repeatable item in \"ab**c\" at \"*c\""},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_null(regex_compile(arena, str_c(bad[i].pattern), false, &err));
        assert_string_equal(err.text, bad[i].sentence);
    }
}

static void keeps_twenty_groups_and_no_name_beyond(void **state)
{
    (void)state;
    struct captures c;
    char pattern[200] = "";
    for (int i = 0; i < 25; i++)
        strcat(pattern, "(.)");
    assert_true(
        regex_match(compile(pattern), STR("abcdefghijklmnopqrstuvwxyz"), &c));
    assert_int_equal(c.n, REGEX_CAPTURES_MAX);
    assert_str(captures_get(&c, 19), "s");
    assert_null(captures_get(&c, 20).p);
    strcat(pattern, "(?<late>.)");
    assert_null(regex_compile(arena, str_c(pattern), false, &err));
    assert_non_null(strstr(err.text, "group \"late\" is number 26"));
}

static void takes_any_bytes(void **state)
{
    (void)state;
    struct captures c;
    assert_true(
        regex_match(compile("(.)\\x00(.+)"), str_n("a\0\xff\x80", 4), &c));
    assert_int_equal(captures_get(&c, 2).n, 2);
    /* A pattern that asks for UTF-8 meets a subject that is none. */
    assert_false(regex_match(compile("(*UTF)."), STR("\xff\xfe"), NULL));
    assert_true(regex_match(compile("^$"), (struct str){NULL, 0}, &c));
    assert_non_null(captures_get(&c, 0).p);
    assert_false(regex_match(compile("."), (struct str){NULL, 0}, &c));
}

static uint64_t now_us(void)
{
    clock_update();
    return clock_now_us();
}

/* What log_process says meanwhile goes to a pipe. */
static struct log_file log_file;
static struct log_target log_target = {.file = &log_file, .level = LEVEL_INFO};
static int log_pipe[2];

static size_t lines_logged(void)
{
    char text[16384];
    ssize_t n = read(log_pipe[0], text, sizeof text);
    size_t lines = 0;
    for (ssize_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

static void no_pattern_can_hang_us(void **state)
{
    (void)state;
    static char subject[8192];
    static const char *const greedy[] = {
        "(a+)+$",
        "^(a|aa)+$",
        "^(?:(?:a*)*)*$",
        "(a*)*b\\1c",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(*NO_JIT)^(a+)+$",
        "(*NO_JIT)(a|a?)+$",
    };
    const struct log_target *before = log_process.target;
    memset(subject, 'a', sizeof subject);
    subject[sizeof subject - 1] = '!';
    assert_int_equal(pipe2(log_pipe, O_NONBLOCK), 0);
    log_file = (struct log_file){"a pipe", log_pipe[1]};
    log_process.target = &log_target;

    for (size_t i = 0; i < COUNT(greedy); i++) {
        struct regex *r = compile(greedy[i]);
        uint64_t began = now_us();
        for (int round = 0; round < 5; round++)
            if (regex_match(r, str_n(subject, sizeof subject), NULL))
                fail_msg("%s matched", greedy[i]);
        /* Milliseconds in truth; the bound leaves room for sanitizers. */
        if (now_us() - began > 5000000)
            fail_msg("%s took %llu us", greedy[i],
                     (unsigned long long)(now_us() - began));
        if (lines_logged() > 1)
            fail_msg("%s was logged more than once", greedy[i]);
    }
    struct regex *r = compile("^(a|aa)+$");
    regex_match(r, str_n(subject, sizeof subject), NULL);
    assert_int_equal(lines_logged(), 1);
    log_process.target = before;
    close(log_pipe[0]);
    close(log_pipe[1]);
}

static void the_limit_can_be_set(void **state)
{
    (void)state;
    const struct log_target *before = log_process.target;
    struct regex *r = compile("^(a|ab)(c|bcd)*(d*)e$");
    log_process.target = NULL;
    regex_set_match_limit(1);
    assert_false(regex_match(r, STR("abcdddde"), NULL));
    regex_set_match_limit(100000);
    assert_true(regex_match(r, STR("abcdddde"), NULL));
    log_process.target = before;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finds_groups_by_number_and_name),
        TEST(minds_case_unless_told),
        TEST(says_what_is_wrong_with_a_pattern),
        TEST(keeps_twenty_groups_and_no_name_beyond),
        TEST(takes_any_bytes),
        TEST(no_pattern_can_hang_us),
        TEST(the_limit_can_be_set),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

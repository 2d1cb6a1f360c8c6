/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/escape.h"

#include "support/test.h"

static const struct {
    const char *why;
    struct str in;
    const char *log, *json;
} cases[] = {
    {"nothing to do", STR_INIT("GET /a?b=c"), "GET /a?b=c", "GET /a?b=c"},
    {"empty", STR_INIT(""), "", ""},
    {"a quote and a backslash", STR_INIT("a\"b\\"), "a\\x22b\\x5C",
     "a\\\"b\\\\"},
    {"a forged line", STR_INIT("x\r\ny"), "x\\x0D\\x0Ay", "x\\r\\ny"},
    {"NUL, VT and DEL", STR_INIT("\0\v\x7f"), "\\x00\\x0B\\x7F",
     "\\u0000\\u000B\x7f"},
    {"the short JSON escapes", STR_INIT("\b\t\n\f\r"),
     "\\x08\\x09\\x0A\\x0C\\x0D", "\\b\\t\\n\\f\\r"},
    {"UTF-8 stays text in JSON", STR_INIT("\xc3\xa9"), "\\xC3\\xA9",
     "\xc3\xa9"},
};

static void keeps_a_line_one_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out = {.max = 0};
        escape_log_default(&out, cases[i].in);
        if (!str_eq(buf_str(&out), str_c(cases[i].log)))
            fail_msg("%s: %.*s", cases[i].why, STR_ARG(buf_str(&out)));
        buf_fini(&out);
    }
}

static void makes_the_inside_of_a_json_string(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out = {.max = 0};
        escape_log_json(&out, cases[i].in);
        if (!str_eq(buf_str(&out), str_c(cases[i].json)))
            fail_msg("%s: %.*s", cases[i].why, STR_ARG(buf_str(&out)));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_a_line_one_line),
        TEST(makes_the_inside_of_a_json_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

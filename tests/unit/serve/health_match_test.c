/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/health.h"

#include "base/arena.h"
#include "support/test.h"

static struct http_field fields[] = {
    {.name = STR_INIT("Content-Type"), .value = STR_INIT("text/html")},
    {.name = STR_INIT("X-Is"), .value = STR_INIT("one")},
    {.name = STR_INIT("x-is"), .value = STR_INIT("two")},
};

static struct http_head head_of(unsigned status)
{
    return (struct http_head){
        .status = status, .fields = fields, .fields_n = COUNT(fields)};
}

static void without_a_match_2xx_and_3xx_are_well(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        bool well;
    } cases[] = {{101, false}, {200, true},  {204, true}, {399, true},
                 {400, false}, {500, false}, {999, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_head head = head_of(cases[i].status);
        assert_int_equal(match_head(NULL, &head) == NULL, cases[i].well);
    }
    assert_false(match_needs_body(NULL));
}

static void statuses_are_ranges_or_their_opposite(void **state)
{
    (void)state;
    static struct match_status ranges[] = {{200, 200}, {301, 303}};
    struct match m = {
        .statuses = ranges, .statuses_n = 2, .statuses_said = true};
    static const struct {
        unsigned status;
        bool in;
    } cases[] = {{199, false}, {200, true}, {201, false}, {300, false},
                 {301, true},  {303, true}, {304, false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_head head = head_of(cases[i].status);
        m.statuses_negated = false;
        assert_int_equal(match_head(&m, &head) == NULL, cases[i].in);
        m.statuses_negated = true;
        assert_int_equal(match_head(&m, &head) == NULL, !cases[i].in);
    }
}

static void headers_are_there_equal_or_alike(void **state)
{
    (void)state;
    struct err err;
    struct arena *arena = arena_create(1024);
    struct regex *t = regex_compile(arena, STR("^t"), false, &err);
    const struct {
        const char *why;
        struct match_header rule;
        bool well;
    } cases[] = {
        {"there", {.name = STR("x-IS")}, true},
        {"not there", {.name = STR("X-Not")}, false},
        {"must not be there", {.name = STR("X-Is"), .negated = true}, false},
        {"is not there", {.name = STR("X-Not"), .negated = true}, true},
        {"the first", {.name = STR("X-Is"), .value = STR("one")}, true},
        {"the second", {.name = STR("X-Is"), .value = STR("two")}, true},
        {"neither", {.name = STR("X-Is"), .value = STR("thr")}, false},
        {"differs",
         {.name = STR("X-Is"), .value = STR("thr"), .negated = true},
         true},
        {"alike", {.name = STR("X-Is"), .regex = t}, true},
        {"not alike",
         {.name = STR("X-Is"), .regex = t, .negated = true},
         false},
        {"alike, of what is not there", {.name = STR("N"), .regex = t}, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct match_header rule = cases[i].rule;
        struct match m = {.headers = &rule, .headers_n = 1};
        struct http_head head = head_of(200);
        if ((match_head(&m, &head) == NULL) != cases[i].well)
            fail_msg("%s", cases[i].why);
        head.status = 500; /* the status counts all the same */
        assert_non_null(match_head(&m, &head));
    }
    struct match m = {.body = t};
    assert_true(match_needs_body(&m));
    assert_null(match_body(&m, STR("text")));
    assert_non_null(match_body(&m, STR("a text")));
    m.body_negated = true;
    assert_non_null(match_body(&m, STR("text")));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_match_2xx_and_3xx_are_well),
        TEST(statuses_are_ranges_or_their_opposite),
        TEST(headers_are_there_equal_or_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

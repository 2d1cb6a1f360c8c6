/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/condition.h"

#include "support/test.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"

enum { MODIFIED = 784111777 };

struct row {
    const char *why;
    const char *names[2], *values[2];
    const char *etag; /* NULL: none */
    unsigned expected;
    enum method method;
    enum http_since since;
};

static struct http_head head_of(const char *const *names,
                                const char *const *values,
                                struct http_field fields[2], enum method m)
{
    struct http_head h = {.method = m, .fields = fields};
    for (size_t i = 0; i < 2 && names[i]; i++)
        fields[h.fields_n++] =
            (struct http_field){str_c(names[i]), str_c(values[i])};
    return h;
}

#define INM "If-None-Match"
#define IM "If-Match"
#define IMS "If-Modified-Since"
#define IUS "If-Unmodified-Since"
#define EX SINCE_EXACT

static void evaluates_in_the_order_of_the_rfc(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"nothing asked", {NULL}, {NULL}, "\"a\"", 200, METHOD_GET, EX},
        {"same tag", {INM}, {"\"a\""}, "\"a\"", 304, METHOD_GET, EX},
        {"same, HEAD", {INM}, {"\"a\""}, "\"a\"", 304, METHOD_HEAD, EX},
        {"same, PUT", {INM}, {"\"a\""}, "\"a\"", 412, METHOD_PUT, EX},
        {"other tag", {INM}, {"\"b\""}, "\"a\"", 200, METHOD_GET, EX},
        {"weak", {INM}, {"W/\"a\""}, "\"a\"", 304, METHOD_GET, EX},
        {"weak ours", {INM}, {"\"a\""}, "W/\"a\"", 304, METHOD_GET, EX},
        {"listed", {INM}, {"\"b\", W/\"a\""}, "\"a\"", 304, METHOD_GET, EX},
        {"any", {INM}, {"*"}, "\"a\"", 304, METHOD_GET, EX},
        {"any, PUT", {INM}, {"*"}, NULL, 412, METHOD_PUT, EX},
        {"comma in a tag", {INM}, {"\"b,\"a\""}, "\"a\"", 200, METHOD_GET, EX},
        {"unquoted", {INM}, {"a"}, "\"a\"", 200, METHOD_GET, EX},
        {"two fields",
         {INM, INM},
         {"\"b\"", "\"a\""},
         "\"a\"",
         304,
         METHOD_GET,
         EX},
        {"no tag of ours", {INM}, {"\"a\""}, NULL, 200, METHOD_GET, EX},
        {"tag differs, date would match",
         {INM, IMS},
         {"\"b\"", DATE},
         "\"a\"",
         200,
         METHOD_GET,
         EX},
        {"tag matches, date would not",
         {INM, IMS},
         {"\"a\"", EARLIER},
         "\"a\"",
         304,
         METHOD_GET,
         EX},
        {"same date", {IMS}, {DATE}, NULL, 304, METHOD_GET, EX},
        {"later, exact", {IMS}, {LATER}, NULL, 200, METHOD_GET, EX},
        {"later, before", {IMS}, {LATER}, NULL, 304, METHOD_GET, SINCE_BEFORE},
        {"earlier, before",
         {IMS},
         {EARLIER},
         NULL,
         200,
         METHOD_GET,
         SINCE_BEFORE},
        {"off", {IMS}, {DATE}, NULL, 200, METHOD_GET, SINCE_OFF},
        {"date, POST", {IMS}, {DATE}, NULL, 200, METHOD_POST, EX},
        {"no date", {IMS}, {"yesterday"}, NULL, 200, METHOD_GET, EX},
        {"two dates", {IMS, IMS}, {DATE, DATE}, NULL, 200, METHOD_GET, EX},
        {"match", {IM}, {"\"a\""}, "\"a\"", 200, METHOD_PUT, EX},
        {"no match", {IM}, {"\"b\""}, "\"a\"", 412, METHOD_PUT, EX},
        {"weak match is none",
         {IM},
         {"W/\"a\""},
         "W/\"a\"",
         412,
         METHOD_PUT,
         EX},
        {"match any", {IM}, {"*"}, NULL, 200, METHOD_PUT, EX},
        {"match, then date is not asked",
         {IM, IUS},
         {"\"a\"", EARLIER},
         "\"a\"",
         200,
         METHOD_PUT,
         EX},
        {"unmodified", {IUS}, {DATE}, NULL, 200, METHOD_GET, EX},
        {"unmodified since later", {IUS}, {LATER}, NULL, 200, METHOD_GET, EX},
        {"modified", {IUS}, {EARLIER}, NULL, 412, METHOD_GET, EX},
        {"412 comes before 304",
         {IM, INM},
         {"\"b\"", "\"a\""},
         "\"a\"",
         412,
         METHOD_GET,
         EX},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_field fields[2];
        struct http_head h =
            head_of(rows[i].names, rows[i].values, fields, rows[i].method);
        struct http_validators have = {str_c(rows[i].etag), MODIFIED};
        unsigned got = http_condition_evaluate(&h, &have, rows[i].since);
        if (got != rows[i].expected)
            fail_msg("%s: got %u", rows[i].why, got);
    }
}

static void ignores_dates_when_there_is_none(void **state)
{
    (void)state;
    static const char *const names[] = {IUS, IMS};
    static const char *const values[] = {EARLIER, LATER};
    struct http_field fields[2];
    struct http_head h = head_of(names, values, fields, METHOD_GET);
    struct http_validators have = {{NULL, 0}, -1};
    assert_int_equal(http_condition_evaluate(&h, &have, SINCE_BEFORE), 200);
}

static void allows_a_range_only_for_the_same_thing(void **state)
{
    (void)state;
    static const struct {
        const char *value, *etag;
        bool allowed;
    } rows[] = {
        {"\"a\"", "\"a\"", true},
        {"\"b\"", "\"a\"", false},
        {"W/\"a\"", "\"a\"", false},
        {"W/\"a\"", "W/\"a\"", false},
        {"\"a\", \"b\"", "\"a\"", false},
        {"\"a\"", NULL, false},
        {DATE, NULL, true},
        {LATER, NULL, false},
        {"nonsense", "\"a\"", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_field field = {STR("If-Range"), str_c(rows[i].value)};
        struct http_head h = {.fields = &field, .fields_n = 1};
        struct http_validators have = {str_c(rows[i].etag), MODIFIED};
        if (http_condition_allows_range(&h, &have) != rows[i].allowed)
            fail_msg("%s", rows[i].value);
        h.fields_n = 0;
        assert_true(http_condition_allows_range(&h, &have));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(evaluates_in_the_order_of_the_rfc),
        TEST(ignores_dates_when_there_is_none),
        TEST(allows_a_range_only_for_the_same_thing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/json.h"

#include "support/test.h"

static void tells_good_from_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"{}", true},
        {" [ ] ", true},
        {"[1,-2.5e+10,0,true,false,null,\"a\"]", true},
        {"{\"a\":{\"b\":[{}]}, \"c\" : \"\\u00e4\\n\\\"\"}", true},
        {"\"x\"", true},
        {"", false},
        {" ", false},
        {"{", false},
        {"[1,]", false},
        {"[1 2]", false},
        {"{\"a\"}", false},
        {"{\"a\":}", false},
        {"{\"a\":1,}", false},
        {"{a:1}", false},
        {"01", false},
        {"1.", false},
        {"-", false},
        {"1e", false},
        {"+1", false},
        {".5", false},
        {"tru", false},
        {"truex", false},
        {"\"", false},
        {"\"\\", false},
        {"\"\\x\"", false},
        {"\"\\u12\"", false},
        {"\"\\u12g4\"", false},
        {"\"a\nb\"", false},
        {"{} {}", false},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
         true},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
         false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        /* In memory of its own, so that no byte behind it is read. */
        size_t n = strlen(rows[i].text);
        char *copy = malloc(n + 1);
        memcpy(copy, rows[i].text, n);
        if (json_check(str_n(copy, n)) != rows[i].good)
            fail_msg("%s", rows[i].text);
        free(copy);
    }
}

static void finds_members(void **state)
{
    (void)state;
    struct arena *arena = arena_create(1024);
    struct str text = STR("{ \"a\" : 1, \"b\":{\"a\":2} , \"c\":[3, \"x\\u20ac"
                          "\\ud83d\\ude00\\ud83d\\t\", null], \"a\":9 }");
    struct str value, inner;

    assert_true(json_check(text));
    assert_true(json_member(text, STR("a"), &value));
    assert_str(value, "1");
    assert_true(json_member(text, STR("b"), &value));
    assert_true(json_member(value, STR("a"), &inner));
    assert_str(inner, "2");
    assert_false(json_member(text, STR("d"), &value));
    assert_false(json_member(inner, STR("a"), &value));

    assert_true(json_member(text, STR("c"), &value));
    assert_true(json_next(&value, &inner));
    assert_str(inner, "3");
    assert_true(json_next(&value, &inner));
    assert_true(json_string(inner, arena, &inner));
    assert_str(inner, "x\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbd\t");
    assert_true(json_next(&value, &inner));
    assert_int_equal(json_type_of(inner), JSON_NULL);
    assert_false(json_string(inner, arena, &inner));
    assert_false(json_next(&value, &inner));
    value = STR("[]");
    assert_false(json_next(&value, &inner));
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_good_from_bad),
        TEST(finds_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

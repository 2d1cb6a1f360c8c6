/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/str.h"

#include "support/test.h"

static void compares_with_and_without_case(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool eq, nocase;
        int order;
    } pairs[] = {
        {"", "", true, true, 0},
        {"abc", "abc", true, true, 0},
        {"abc", "aBC", false, true, 1},
        {"ab", "abc", false, false, -1},
        {"abd", "abc", false, false, 1},
        {"@[`{", "@[`{", true, true, 0},
        {"@", "`", false, false, -1}, /* 0x40 and 0x60: no letters */
        {"[", "{", false, false, -1},
        {"\xc3\x84", "\xc3\xa4", false, false, -1}, /* only ASCII has case */
    };
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct str a = str_c(pairs[i].a), b = str_c(pairs[i].b);
        int order = str_compare(a, b);
        assert_int_equal(str_eq(a, b), pairs[i].eq);
        assert_int_equal(str_eq_nocase(a, b), pairs[i].nocase);
        assert_int_equal((order > 0) - (order < 0), pairs[i].order);
        assert_int_equal(str_hash_nocase(a) == str_hash_nocase(b),
                         pairs[i].nocase);
    }
    assert_true(str_eq((struct str){NULL, 0}, STR("")));
    assert_int_equal(str_compare((struct str){NULL, 0}, STR("a")), -1);
}

static void knows_prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_false(str_starts(STR("Abc"), STR("ab")));
    assert_true(str_starts_nocase(STR("Abc"), STR("aB")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("bc"), STR("abc")));
    assert_true(str_ends(STR("bc"), STR("bc")));
}

static void slices_are_clamped(void **state)
{
    (void)state;
    struct str s = STR("hello");
    assert_str(str_slice(s, 1, 3), "el");
    assert_str(str_slice(s, 3, 99), "lo");
    assert_str(str_slice(s, 99, 3), "");
    assert_str(str_slice(s, 4, 2), "");
    assert_int_equal(str_find(s, 'l', 0), 2);
    assert_int_equal(str_find(s, 'l', 3), 3);
    assert_int_equal(str_find(s, 'l', 4), 5);
    assert_int_equal(str_find(s, 'h', 99), 5);
    assert_int_equal(str_find((struct str){NULL, 0}, 'x', 0), 0);
    assert_str(str_trim(STR(" \t a b \t")), "a b");
    assert_str(str_trim(STR(" \t ")), "");
    assert_str(str_trim(STR("\ra\n")), "\ra\n");
}

static void cuts_until_nothing_is_left(void **state)
{
    (void)state;
    struct str rest = STR("a::b");
    assert_str(str_cut(&rest, ':'), "a");
    assert_str(str_cut(&rest, ':'), "");
    assert_non_null(rest.p);
    assert_str(str_cut(&rest, ':'), "b");
    assert_null(rest.p);
    assert_str(str_cut(&rest, ':'), "");

    rest = STR("a:");
    assert_str(str_cut(&rest, ':'), "a");
    assert_non_null(rest.p); /* an empty last piece is still a piece */
    assert_str(str_cut(&rest, ':'), "");
    assert_null(rest.p);
}

static void walks_lists_of_a_header(void **state)
{
    (void)state;
    struct str list = STR(" , keep-alive ,,Upgrade,\t"), element;
    assert_true(str_list_next(&list, &element));
    assert_str(element, "keep-alive");
    assert_true(str_list_next(&list, &element));
    assert_str(element, "Upgrade");
    assert_false(str_list_next(&list, &element));
    assert_false(str_list_next(&list, &element));

    assert_true(str_list_has(STR("a, UPGRADE"), STR("upgrade")));
    assert_false(str_list_has(STR("a, upgraded"), STR("upgrade")));
    assert_false(str_list_has(STR("a upgrade"), STR("upgrade")));
    assert_false(str_list_has(STR(""), STR("upgrade")));
}

static void reads_numbers_up_to_a_bound(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } cases[] = {
        {"0", 0, true, 0},
        {"5", 3, false, 0},
        {"3", 3, true, 3},
        {"4", 3, false, 0},
        {"255", 255, true, 255},
        {"256", 255, false, 0},
        {"0000255", 255, true, 255},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"9223372036854775808", INT64_MAX, false, 0},
        {"", 9, false, 0},
        {"-1", 9, false, 0},
        {"+1", 9, false, 0},
        {" 1", 9, false, 0},
        {"1 ", 9, false, 0},
        {"0x1", 9, false, 0},
        {"1\xd9\xa1", 99, false, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t value = 77;
        bool ok = str_to_u64(str_c(cases[i].text), cases[i].max, &value);
        if (ok != cases[i].ok || value != (ok ? cases[i].value : 77))
            fail_msg("\"%s\" up to %llu", cases[i].text,
                     (unsigned long long)cases[i].max);
    }
}

static void classifies_every_byte(void **state)
{
    (void)state;
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        const char *at = i ? strchr(hex, ascii_lower(c)) : NULL;
        assert_int_equal(ascii_is_token(c), i && strchr(token, c) != NULL);
        assert_int_equal(ascii_hex(c), at ? at - hex : -1);
        assert_int_equal(ascii_is_digit(c), i >= '0' && i <= '9');
        assert_int_equal(ascii_lower(c),
                         i >= 'A' && i <= 'Z' ? (char)(i + 32) : c);
    }
}

static void hashes_as_fnv_1a_does(void **state)
{
    (void)state;
    /* The published test vectors. */
    assert_int_equal(str_hash(STR("")), 0x811c9dc5u);
    assert_int_equal(str_hash(STR("a")), 0xe40c292cu);
    assert_int_equal(str_hash(STR("foobar")), 0xbf9cf968u);
    assert_int_equal(str_hash_nocase(STR("FooBar")), 0xbf9cf968u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(compares_with_and_without_case),
        TEST(knows_prefixes_and_suffixes),
        TEST(slices_are_clamped),
        TEST(cuts_until_nothing_is_left),
        TEST(walks_lists_of_a_header),
        TEST(reads_numbers_up_to_a_bound),
        TEST(classifies_every_byte),
        TEST(hashes_as_fnv_1a_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

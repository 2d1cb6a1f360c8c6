/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/uri.h"

#include "support/test.h"

static void normalises_as_nginx_does(void **state)
{
    (void)state;
    static const struct {
        const char *input, *path, *args;
        bool merge;
    } rows[] = {
        {"/", "/", NULL, true},
        {"/a/b", "/a/b", NULL, true},
        {"/a?b=c", "/a", "b=c", true},
        {"/a?", "/a", "", true},
        {"/a?b?c#d", "/a", "b?c", true},
        {"/a#b?c", "/a", NULL, true},
        {"/a%20b%2Fc", "/a b/c", NULL, true},
        {"/%61%2e", "/a.", NULL, true},
        {"/a%3Fb%23c%25d", "/a?b#c%d", NULL, true},
        {"/%2541", "/%41", NULL, true},
        {"/a//b///c", "/a/b/c", NULL, true},
        {"/a//b", "/a//b", NULL, false},
        {"//", "/", NULL, true},
        {"//", "//", NULL, false},
        {"/.", "/", NULL, true},
        {"/./", "/", NULL, true},
        {"/a/.", "/a/", NULL, true},
        {"/a/./b", "/a/b", NULL, true},
        {"/a/..", "/", NULL, true},
        {"/a/../b", "/b", NULL, true},
        {"/a/b/../../c", "/c", NULL, true},
        {"/a/b/..?x", "/a/", "x", true},
        {"/a//../b", "/a/b", NULL, false},
        {"/a//../b", "/b", NULL, true},
        {"/a/%2e%2E/b", "/b", NULL, true},
        {"/a%2f..%2fb", "/b", NULL, true},
        {"/a/.%2e/b", "/b", NULL, true},
        {"/...", "/...", NULL, true},
        {"/..a/.b./c..", "/..a/.b./c..", NULL, true},
        {"/a/..;/b", "/a/..;/b", NULL, true},
        {"/\xc3\xa4", "/\xc3\xa4", NULL, true},
        {"/a+b", "/a+b", NULL, true},
        {"/a?%00", "/a", "%00", true},
    };
    char out[64];
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_uri uri;
        if (http_uri_normalise(str_c(rows[i].input), rows[i].merge, out,
                               &uri) != 1)
            fail_msg("%s was refused", rows[i].input);
        if (!str_eq(uri.path, str_c(rows[i].path)))
            fail_msg("%s: got %.*s", rows[i].input, STR_ARG(uri.path));
        assert_int_equal(uri.args.p != NULL, rows[i].args != NULL);
        if (rows[i].args)
            assert_str(uri.args, rows[i].args);
        size_t n = strcspn(rows[i].input, "?#");
        assert_int_equal(uri.is_as_sent,
                         str_eq(str_n(rows[i].input, n), uri.path));
    }
}

static void refuses_what_has_no_meaning(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR_INIT(""),        STR_INIT("a"),          STR_INIT("?a"),
        STR_INIT("/.."),     STR_INIT("/../"),       STR_INIT("/a/../.."),
        STR_INIT("/%2e%2e"), STR_INIT("/a/../../b"), STR_INIT("/./.."),
        STR_INIT("/%"),      STR_INIT("/%2"),        STR_INIT("/%2x"),
        STR_INIT("/%x2"),    STR_INIT("/a%00b"),     STR_INIT("/a\0b"),
        STR_INIT("/%?20"),
    };
    char out[64];
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct http_uri uri;
        if (http_uri_normalise(bad[i], true, out, &uri) != -400)
            fail_msg("%.*s was taken", STR_ARG(bad[i]));
    }
}

static void ends_a_parsed_path_with_a_nul(void **state)
{
    (void)state;
    struct arena *arena = arena_create(256);
    struct http_uri uri;
    assert_int_equal(http_uri_parse(STR("/a/../b?c"), true, arena, &uri), 1);
    assert_string_equal(uri.path.p, "/b");
    arena_destroy(arena);
}

static void escapes(void **state)
{
    (void)state;
    static const struct {
        const char *input, *path, *args, *component;
    } rows[] = {
        {"/a b", "/a%20b", "/a%20b", "%2Fa%20b"},
        {"&+;", "&+;", "%26%2B%3B", "%26%2B%3B"},
        {"?#%", "%3F%23%25", "%3F%23%25", "%3F%23%25"},
        {"\"<>\\^`{|}\x7f\xff\r", "%22%3C%3E%5C%5E%60%7B%7C%7D%7F%FF%0D",
         "%22%3C%3E%5C%5E%60%7B%7C%7D%7F%FF%0D",
         "%22%3C%3E%5C%5E%60%7B%7C%7D%7F%FF%0D"},
        {"aZ09-._~", "aZ09-._~", "aZ09-._~", "aZ09-._~"},
        {"!$'()*,:=@[]", "!$'()*,:=@[]", "!$'()*,:=@[]",
         "%21%24%27%28%29%2A%2C%3A%3D%40%5B%5D"},
    };
    struct arena *arena = arena_create(256);
    struct buf b = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str input = str_c(rows[i].input);
        assert_str(http_uri_escape_in(arena, input, ESCAPE_PATH), rows[i].path);
        assert_str(http_uri_escape_in(arena, input, ESCAPE_ARGS), rows[i].args);
        buf_clear(&b);
        assert_true(http_uri_escape(&b, input, ESCAPE_COMPONENT));
        assert_str(buf_str(&b), rows[i].component);
    }
    struct str same = STR("/same");
    assert_ptr_equal(http_uri_escape_in(arena, same, ESCAPE_PATH).p, same.p);
    buf_fini(&b);
    arena_destroy(arena);
}

static void unescapes_what_is_an_escape(void **state)
{
    (void)state;
    char out[32];
    struct str in = STR("a%20b%4%zz%%41+%");
    assert_str(str_n(out, http_uri_unescape(out, in)), "a b%4%zz%A+%");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(normalises_as_nginx_does),      TEST(refuses_what_has_no_meaning),
        TEST(ends_a_parsed_path_with_a_nul), TEST(escapes),
        TEST(unescapes_what_is_an_escape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

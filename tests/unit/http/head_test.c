/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/head.h"

#include "support/test.h"

static struct http_field fields[] = {
    {STR_INIT("Host"), STR_INIT("a")},   {STR_INIT("Accept"), STR_INIT("")},
    {STR_INIT("accept"), STR_INIT("x")}, {STR_INIT("Cookie"), STR_INIT("a=1")},
    {STR_INIT("ACCEPT"), STR_INIT("y")}, {STR_INIT("Cookie"), STR_INIT("b=2")},
};
static const struct http_head head = {.method_text = STR_INIT("GET"),
                                      .path = STR_INIT("/"),
                                      .fields = fields,
                                      .fields_n = COUNT(fields)};

static void finds_fields_whatever_their_case(void **state)
{
    (void)state;
    assert_str(http_head_find(&head, STR("HOST")), "a");
    assert_non_null(http_head_find(&head, STR("accept")).p);
    assert_str(http_head_find(&head, STR("accept")), "");
    assert_null(http_head_find(&head, STR("hos")).p);
    assert_null(http_head_find(&head, STR("hast")).p);
    assert_null(http_head_find(&head, STR("")).p);
    assert_int_equal(http_head_count(&head, STR("Accept")), 3);
    assert_int_equal(http_head_count(&head, STR("x")), 0);
}

static void joins_values(void **state)
{
    (void)state;
    struct arena *arena = arena_create(256);
    assert_str(http_head_join(&head, STR("accept"), arena), ", x, y");
    assert_str(http_head_join(&head, STR("Cookie"), arena), "a=1; b=2");
    assert_ptr_equal(http_head_join(&head, STR("host"), arena).p,
                     fields[0].value.p);
    assert_null(http_head_join(&head, STR("none"), arena).p);
    arena_destroy(arena);
}

static void copies_everything_into_the_arena(void **state)
{
    (void)state;
    struct arena *arena = arena_create(256);
    struct http_head copy;
    char value[] = "value";
    struct http_field field = {STR("Name"), {value, 5}};
    struct http_head from = {.path = {value, 3},
                             .fields = &field,
                             .fields_n = 1,
                             .status = 200,
                             .content_length = 7};
    http_head_copy(&copy, &from, arena);
    memset(value, 'x', 5);
    field.name = STR("Gone");
    assert_str(copy.path, "val");
    assert_str(http_head_find(&copy, STR("name")), "value");
    assert_null(copy.authority.p);
    assert_int_equal(copy.status, 200);
    assert_int_equal(copy.content_length, 7);
    from.fields_n = 0;
    http_head_copy(&copy, &from, arena);
    assert_int_equal(copy.fields_n, 0);
    arena_destroy(arena);
}

/* In one piece, but with a path that lies outside of it. */
static void copies_a_head_with_a_path_made_elsewhere(void **state)
{
    (void)state;
    struct arena *arena = arena_create(256);
    struct http_head copy;
    char bytes[] = "GET http://b?c HTTP/1.1\r\nA:\r\n\r\n", path[] = "/?c";
    struct http_field field = {{bytes + 25, 1}, {bytes, 0}};
    struct http_head from = {.bytes = bytes,
                             .size = sizeof bytes - 1,
                             .method_text = {bytes, 3},
                             .target = {bytes + 4, 10},
                             .path = {path, 3},
                             .fields = &field,
                             .fields_n = 1};
    http_head_copy(&copy, &from, arena);
    memset(bytes, 'x', sizeof bytes);
    memset(path, 'x', sizeof path);
    assert_str(copy.method_text, "GET");
    assert_str(copy.target, "http://b?c");
    assert_str(copy.path, "/?c");
    assert_str(http_head_find(&copy, STR("a")), "");
    assert_non_null(http_head_find(&copy, STR("a")).p);
    assert_null(copy.authority.p);
    arena_destroy(arena);
}

static void knows_methods(void **state)
{
    (void)state;
    assert_int_equal(http_method_find(STR("GET")), METHOD_GET);
    assert_int_equal(http_method_find(STR("PURGE")), METHOD_PURGE);
    assert_int_equal(http_method_find(STR("get")), METHOD_OTHER);
    assert_int_equal(http_method_find(STR("")), METHOD_OTHER);
    assert_true(http_method_is_idempotent(METHOD_PUT));
    assert_true(http_method_is_idempotent(METHOD_PROPFIND));
    assert_false(http_method_is_idempotent(METHOD_POST));
    assert_false(http_method_is_idempotent(METHOD_LOCK));
    assert_false(http_method_is_idempotent(METHOD_OTHER));
}

static void names_statuses(void **state)
{
    (void)state;
    assert_str(http_status_reason(100), "Continue");
    assert_str(http_status_reason(404), "Not Found");
    assert_str(http_status_reason(511), "Network Authentication Required");
    assert_str(http_status_reason(99), "");
    assert_str(http_status_reason(299), "");
    assert_str(http_status_reason(999), "");
}

static void tells_what_may_be_sent(void **state)
{
    (void)state;
    static const struct {
        struct str value;
        bool valid;
    } rows[] = {
        {STR_INIT(""), true},
        {STR_INIT("plain text that is longer than a word"), true},
        {STR_INIT("a tab\there, and \xc3\xa4 and \x80\xff at the end"), true},
        {STR_INIT("cr\r"), false},
        {STR_INIT("\nlf"), false},
        {STR_INIT("12345678\n"), false},
        {STR_INIT("1234567\n12345678"), false},
        {STR_INIT("\xff\xff\xff\n\xff\xff\xff\xff"), false},
        {STR_INIT("nul\0"), false},
        {STR_INIT("del \x7f and more text"), false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (http_field_value_is_valid(rows[i].value) != rows[i].valid)
            fail_msg("row %zu", i);
    assert_true(http_field_name_is_valid(STR("X-a_b!~")));
    assert_false(http_field_name_is_valid(STR("")));
    assert_false(http_field_name_is_valid(STR("a b")));
    assert_false(http_field_name_is_valid(STR("a:")));
    assert_true(http_field_is_hop_by_hop(STR("transfer-Encoding")));
    assert_true(http_field_is_hop_by_hop(STR("TE")));
    assert_false(http_field_is_hop_by_hop(STR("Content-Length")));
}

/* The word-at-a-time path must agree with each byte's own answer. */
static void judges_every_byte_at_every_place(void **state)
{
    (void)state;
    char text[17];
    for (unsigned c = 0; c < 256; c++) {
        bool expected = (c >= 0x20 && c != 0x7f) || c == '\t';
        for (size_t at = 0; at < sizeof text; at++) {
            memset(text, 'a', sizeof text);
            text[at] = (char)c;
            if (http_field_value_is_valid(str_n(text, sizeof text)) != expected)
                fail_msg("byte %u at %zu", c, at);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finds_fields_whatever_their_case),
        TEST(joins_values),
        TEST(copies_everything_into_the_arena),
        TEST(copies_a_head_with_a_path_made_elsewhere),
        TEST(knows_methods),
        TEST(names_statuses),
        TEST(tells_what_may_be_sent),
        TEST(judges_every_byte_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

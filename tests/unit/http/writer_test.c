/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/writer.h"

#include "support/test.h"

static void spells_heads(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_true(http_put_status_line(&b, 404, STR("")));
    assert_true(http_put_field(&b, STR("A"), STR("b")));
    assert_true(http_put_field(&b, STR("C"), STR("")));
    assert_true(http_put_field_u64(&b, STR("N"), 0));
    assert_true(http_put_field_u64(&b, STR("N"), UINT64_MAX));
    assert_true(http_put_head_end(&b));
    assert_str(buf_str(&b), "HTTP/1.1 404 Not Found\r\nA: b\r\nC: \r\nN: 0\r\n"
                            "N: 18446744073709551615\r\n\r\n");
    buf_clear(&b);
    assert_true(http_put_status_line(&b, 599, STR("")));
    assert_true(http_put_status_line(&b, 200, STR("Fine")));
    assert_true(http_put_status_line(&b, 200, STR("a\r\nb")));
    assert_str(buf_str(&b),
               "HTTP/1.1 599 \r\nHTTP/1.1 200 Fine\r\nHTTP/1.1 200 \r\n");
    buf_clear(&b);
    assert_true(http_put_request_line(&b, STR("GET"), STR("/a"), 11));
    assert_true(http_put_request_line(&b, STR("HEAD"), STR("*"), 10));
    assert_str(buf_str(&b), "GET /a HTTP/1.1\r\nHEAD * HTTP/1.0\r\n");
    buf_fini(&b);
}

static void never_splits_a_message(void **state)
{
    (void)state;
    struct buf b = {0};
    assert_false(http_put_field(&b, STR("A"), STR("b\r\nC: d")));
    assert_false(http_put_field(&b, STR("A"), STR("b\nC: d")));
    assert_false(http_put_field(&b, STR("A"), STR("b\0")));
    assert_int_equal(b.n, 0);
    buf_fini(&b);
}

static void spells_chunks(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        const char *text;
    } rows[] = {{1, "1\r\n"},
                {15, "f\r\n"},
                {16, "10\r\n"},
                {0xabcdef, "abcdef\r\n"},
                {UINT64_MAX, "ffffffffffffffff\r\n"}};
    struct buf b = {0};
    for (size_t i = 0; i < COUNT(rows); i++) {
        buf_clear(&b);
        assert_true(http_put_chunk_head(&b, rows[i].n));
        assert_str(buf_str(&b), rows[i].text);
    }
    static const struct http_field trailers[] = {
        {STR_INIT("X"), STR_INIT("y")},
        {STR_INIT("Bad"), STR_INIT("\r\n")},
    };
    buf_clear(&b);
    assert_true(http_put_last_chunk(&b, NULL, 0));
    assert_true(http_put_last_chunk(&b, trailers, 2));
    assert_str(buf_str(&b), "0\r\n\r\n0\r\nX: y\r\n\r\n");
    buf_fini(&b);
}

static void leaves_a_full_buf_as_it_was(void **state)
{
    (void)state;
    static const struct http_field trailer = {STR_INIT("X"), STR_INIT("y")};
    struct buf b;
    buf_init(&b, 5);
    assert_true(buf_put(&b, "ab", 2));
    assert_false(http_put_status_line(&b, 200, STR("")));
    assert_false(http_put_request_line(&b, STR("G"), STR("/"), 11));
    assert_false(http_put_field(&b, STR("A"), STR("b")));
    assert_false(http_put_chunk_head(&b, 0x100));
    assert_false(http_put_last_chunk(&b, &trailer, 1));
    assert_str(buf_str(&b), "ab");
    assert_true(http_put_chunk_head(&b, 1));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spells_heads),
        TEST(never_splits_a_message),
        TEST(spells_chunks),
        TEST(leaves_a_full_buf_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

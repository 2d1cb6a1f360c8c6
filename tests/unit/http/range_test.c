/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/range.h"

#include "support/test.h"

static void reads_ranges_of_ten_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *value, *expected; /* "start-end " of each, or the code */
    } rows[] = {
        {"bytes=0-4", "0-5 "},
        {"Bytes=9-9", "9-10 "},
        {"bytes=5-", "5-10 "},
        {"bytes=-3", "7-10 "},
        {"bytes=-30", "0-10 "},
        {"bytes=0-99", "0-10 "},
        {"bytes= 1 - 2 , 4-5", "1-3 4-6 "},
        {"bytes=4-5,1-2", "4-6 1-3 "},
        {"bytes=20-30,0-0", "0-1 "},
        {"bytes=0-5,4-9", "0"},         /* more than the whole */
        {"bytes=0-0,2-2,4-4,6-6", "0"}, /* more than three */
        {"lines=0-4", "0"},
        {"", "0"},
        {"bytes=10-", "-416"},
        {"bytes=10-20", "-416"},
        {"bytes=-0", "-416"},
        {"bytes=5-4", "-416"},
        {"bytes=", "-416"},
        {"bytes=-", "-416"},
        {"bytes=a-b", "-416"},
        {"bytes=1-2-3", "-416"},
        {"bytes=1", "-416"},
        {"bytes=+1-2", "-416"},
        {"bytes=0-4,", "-416"},
        {"bytes=9223372036854775808-", "-416"},
        {"bytes=0-99999999999999999999", "-416"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_range ranges[3];
        struct buf b = {0};
        int n = http_range_parse(str_c(rows[i].value), 10, ranges, 3);
        for (int k = 0; k < n; k++)
            buf_printf(&b, "%d-%d ", (int)ranges[k].start, (int)ranges[k].end);
        if (n <= 0)
            buf_printf(&b, "%d", n);
        if (!str_eq(buf_str(&b), str_c(rows[i].expected)))
            fail_msg("%s: got %.*s", rows[i].value, STR_ARG(buf_str(&b)));
        buf_fini(&b);
    }
}

static void ignores_the_first_bytes_of_nothing(void **state)
{
    (void)state;
    struct http_range range;
    assert_int_equal(http_range_parse(STR("bytes=0-"), 0, &range, 1), 0);
    assert_int_equal(http_range_parse(STR("bytes=-5"), 0, &range, 1), 0);
    assert_int_equal(http_range_parse(STR("bytes=1-"), 0, &range, 1), -416);
    assert_int_equal(http_range_parse(STR("bytes=0-1"), 10, &range, 0), 0);
}

static void survives_the_largest_sizes(void **state)
{
    (void)state;
    struct http_range range;
    assert_int_equal(http_range_parse(STR("bytes=0-9223372036854775807"),
                                      INT64_MAX, &range, 1),
                     1);
    assert_true(range.start == 0 && range.end == INT64_MAX);
}

static void frames_parts(void **state)
{
    (void)state;
    char text[HTTP_BOUNDARY_SIZE + 1];
    struct str boundary = http_boundary(7, text);
    struct http_range range = {1, 3};
    struct buf b = {0};
    assert_str(boundary, "00000000000000000007");
    assert_true(
        http_multipart_put_head(&b, boundary, STR("text/plain"), &range, 10));
    assert_true(http_multipart_put_head(&b, boundary, STR(""), &range, 10));
    assert_true(http_multipart_put_end(&b, boundary));
    assert_str(buf_str(&b), "\r\n--00000000000000000007\r\n"
                            "Content-Type: text/plain\r\n"
                            "Content-Range: bytes 1-2/10\r\n\r\n"
                            "\r\n--00000000000000000007\r\n"
                            "Content-Range: bytes 1-2/10\r\n\r\n"
                            "\r\n--00000000000000000007--\r\n");
    buf_clear(&b);
    assert_true(http_range_put(&b, NULL, 10));
    assert_str(buf_str(&b), "bytes */10");
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_ranges_of_ten_bytes),
        TEST(ignores_the_first_bytes_of_nothing),
        TEST(survives_the_largest_sizes),
        TEST(frames_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

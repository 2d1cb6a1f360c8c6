/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/buf.h"

#include "support/test.h"

static void grows_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct buf b = {0};
    for (unsigned i = 0; i < 1000; i++)
        assert_true(buf_put_u8(&b, (uint8_t)i));
    assert_int_equal(b.n, 1000);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(b.p[i], (uint8_t)i);
    buf_fini(&b);
    assert_null(b.p);
    assert_true(buf_put_str(&b, STR("again")));
    assert_str(buf_str(&b), "again");
    buf_fini(&b);
}

static void never_passes_its_maximum(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    assert_true(buf_put(&b, "12345678", 8));
    assert_false(buf_put(&b, "abc", 3));
    assert_false(buf_printf(&b, "%d", 123));
    assert_false(buf_put_le32(&b, 1));
    assert_str(buf_str(&b), "12345678"); /* nothing changed */
    assert_null(buf_reserve(&b, 3));
    assert_true(buf_put(&b, "ab", 2));
    assert_false(buf_put_u8(&b, 'x'));
    assert_true(buf_put(&b, "", 0));
    assert_true(b.capacity <= 10);
    buf_fini(&b);
    assert_int_equal(b.max, 10);
}

static void prints_a_text_that_fits_exactly(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 6);
    assert_true(buf_printf(&b, "%s%d", "ab", 1234));
    assert_str(buf_str(&b), "ab1234");
    assert_true(buf_printf(&b, "%s", ""));
    buf_clear(&b);
    assert_false(buf_printf(&b, "%s", "1234567"));
    assert_int_equal(b.n, 0);
    buf_fini(&b);
}

static void writes_integers_little_endian(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_u8(&b, 0x01);
    buf_put_le16(&b, 0x0302);
    buf_put_le32(&b, 0x07060504);
    buf_put_le64(&b, 0x0f0e0d0c0b0a0908u);
    assert_int_equal(b.n, 15);
    for (unsigned i = 0; i < 15; i++)
        assert_int_equal(b.p[i], i + 1);
    buf_fini(&b);
}

static void writes_decimal_numbers(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_u64_text(&b, 0);
    buf_put_u8(&b, ' ');
    buf_put_u64_text(&b, 1000);
    buf_put_u8(&b, ' ');
    buf_put_u64_text(&b, UINT64_MAX);
    assert_str(buf_str(&b), "0 1000 18446744073709551615");
    buf_fini(&b);
}

static void drops_from_the_front(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_drop(&b, 0);
    buf_put_str(&b, STR("abcdef"));
    buf_drop(&b, 2);
    assert_str(buf_str(&b), "cdef");
    buf_drop(&b, 0);
    buf_drop(&b, 4);
    assert_int_equal(b.n, 0);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(grows_and_keeps_what_it_has),
        TEST(never_passes_its_maximum),
        TEST(prints_a_text_that_fits_exactly),
        TEST(writes_integers_little_endian),
        TEST(writes_decimal_numbers),
        TEST(drops_from_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

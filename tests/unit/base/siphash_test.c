/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/siphash.h"

#include "support/test.h"

/* What CPython, which uses the same function, says of b"\1\2\3..." with a key
 * of zeros. */
static void gives_known_answers(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t expected;
    } rows[] = {
        {1, UINT64_C(0x44bc103b1f8540ed)},  {7, UINT64_C(0xb1cd85cc334196fa)},
        {8, UINT64_C(0x884ccc87cb0e5fb0)},  {9, UINT64_C(0x027ed508fe95acb3)},
        {15, UINT64_C(0x75e46d4257851550)}, {33, UINT64_C(0x229e4c3e12208140)},
    };
    static const uint64_t zero[2];
    uint8_t bytes[33];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i + 1);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (siphash(zero, bytes, rows[i].n) != rows[i].expected)
            fail_msg("%zu bytes: another hash", rows[i].n);
}

static void the_key_matters(void **state)
{
    (void)state;
    static const uint64_t keys[][2] = {{0, 0}, {1, 0}, {0, 1}};
    for (size_t i = 0; i < COUNT(keys); i++)
        for (size_t k = 0; k < i; k++)
            assert_true(siphash(keys[i], "key", 3) !=
                        siphash(keys[k], "key", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_known_answers),
        TEST(the_key_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

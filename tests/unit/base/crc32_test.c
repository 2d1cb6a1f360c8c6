/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/crc32.h"

#include "support/test.h"

static void computes_what_everybody_computes(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct str input;
        uint32_t expected;
    } cases[] = {
        {"nothing", STR_INIT(""), 0},
        {"the check value of the catalogues", STR_INIT("123456789"),
         0xcbf43926},
        {"one letter", STR_INIT("a"), 0xe8b7be43},
        {"bytes above 127", STR_INIT("\xff\xff\xff\xff"), 0xffffffff},
        {"a zero", STR_INIT("\0"), 0xd202ef8d},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t got = crc32_of(cases[i].input);
        if (got != cases[i].expected)
            fail_msg("%s: %08x", cases[i].why, got);
        for (size_t cut = 0; cut <= cases[i].input.n; cut++) {
            uint32_t crc =
                crc32_add(crc32_begin(), str_slice(cases[i].input, 0, cut));
            crc = crc32_add(crc,
                            str_slice(cases[i].input, cut, cases[i].input.n));
            assert_int_equal(crc32_end(crc), cases[i].expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(computes_what_everybody_computes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

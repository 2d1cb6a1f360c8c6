/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/codes.h"

#include "support/test.h"

static void names_what_it_knows_and_nothing_else(void **state)
{
    (void)state;
    assert_string_equal(sluice_error_name(1), "protocol error");
    assert_string_equal(sluice_error_name(19), "handshake");
    assert_string_equal(sluice_error_name(0), "unknown");
    assert_string_equal(sluice_error_name(20), "unknown");
    assert_string_equal(sluice_error_name(65535), "unknown");
    assert_string_equal(sluice_cause_name(0), "client close");
    assert_string_equal(sluice_cause_name(17), "client left before accept");
    assert_string_equal(sluice_cause_name(18), "unknown");
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= SLUICE_ERROR_HANDSHAKE; i++)
        assert_string_not_equal(sluice_error_name(i), "unknown");
    for (unsigned i = 0; i <= SLUICE_CAUSE_LEFT_EARLY; i++)
        assert_string_not_equal(sluice_cause_name(i), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_what_it_knows_and_nothing_else),
        TEST(every_code_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/close.h"

#include "unit/sluice/golden.h"

static void writes_the_vectors(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_close c = {GOLDEN_CID, 1000, STR("bye")};
    sluice_close_put(&out, &c);
    assert_golden(&out, "close");

    struct sluice_closed d = {.cid = GOLDEN_CID,
                              .code = 1000,
                              .cause = SLUICE_CAUSE_CLIENT_CLOSE,
                              .flags = SLUICE_CLOSED_CLEAN,
                              .bytes_in = 41,
                              .bytes_out = 33,
                              .messages_in = 2,
                              .messages_out = 2,
                              .reason = STR("bye")};
    sluice_closed_put(&out, &d);
    assert_golden(&out, "closed");
}

static void writes_every_field_of_closed(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_closed c = {.cid = GOLDEN_CID,
                              .code = 1006,
                              .cause = SLUICE_CAUSE_SOCKET_ERROR,
                              .flags = SLUICE_CLOSED_BY_BACKEND,
                              .error = 104,
                              .lost_out = 70000,
                              .bytes_in = UINT64_MAX,
                              .bytes_out = UINT64_C(1) << 40,
                              .messages_in = UINT32_MAX,
                              .messages_out = 3};
    sluice_closed_put(&out, &c);
    assert_golden(&out, "closed-lost");
}

static void refuses_a_close_that_may_not_be_sent(void **state)
{
    (void)state;
    static char long_reason[124];
    memset(long_reason, 'x', sizeof long_reason);
    const struct {
        const char *why;
        uint16_t code;
        struct str reason;
        int expected;
    } rows[] = {
        {"an empty one", 0, STR(""), 0},
        {"a reason without a code", 0, STR("x"), -SLUICE_ERROR_WS_PROTOCOL},
        {"999", 999, STR(""), -SLUICE_ERROR_WS_PROTOCOL},
        {"1000", 1000, STR(""), 0},
        {"1003", 1003, STR(""), 0},
        {"1004", 1004, STR(""), -SLUICE_ERROR_WS_PROTOCOL},
        {"1005", 1005, STR(""), -SLUICE_ERROR_WS_PROTOCOL},
        {"1006", 1006, STR(""), -SLUICE_ERROR_WS_PROTOCOL},
        {"1007", 1007, STR(""), 0},
        {"1014", 1014, STR(""), 0},
        {"1015", 1015, STR(""), -SLUICE_ERROR_WS_PROTOCOL},
        {"2999", 2999, STR(""), -SLUICE_ERROR_WS_PROTOCOL},
        {"3000", 3000, STR(""), 0},
        {"4999", 4999, STR(""), 0},
        {"5000", 5000, STR(""), -SLUICE_ERROR_WS_PROTOCOL},
        {"123 bytes", 1000, str_n(long_reason, 123), 0},
        {"124 bytes", 1000, str_n(long_reason, 124), -SLUICE_ERROR_WS_PROTOCOL},
        {"not UTF-8", 1000, STR("\xc3"), -SLUICE_ERROR_BAD_UTF8},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sluice_close c = {1, rows[i].code, rows[i].reason};
        struct buf out = {0};
        sluice_close_put(&out, &c);
        struct sluice_frame f = {.header = sluice_header_get(out.p),
                                 .payload = {out.p + 16, out.n - 16}};
        int got = sluice_close_get(&c, &f);
        if (got != rows[i].expected)
            fail_msg("%s: returned %d", rows[i].why, got);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_the_vectors),
        TEST(writes_every_field_of_closed),
        TEST(refuses_a_close_that_may_not_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

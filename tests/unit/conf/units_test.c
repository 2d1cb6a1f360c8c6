/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf.h"
#include "support/test.h"

struct unit_case {
    const char *text;
    bool ok;
    uint64_t value;
};

typedef bool parse_fn(struct str s, uint64_t *value);

static void expect_all(parse_fn *parse, const struct unit_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t value = 77;
        bool ok = parse(str_c(cases[i].text), &value);
        uint64_t expected = cases[i].ok ? cases[i].value : 77;
        if (ok != cases[i].ok || value != expected)
            fail_msg("\"%s\": %d, %llu", cases[i].text, ok,
                     (unsigned long long)value);
    }
}

static void sizes_have_units(void **state)
{
    (void)state;
    static const struct unit_case cases[] = {
        {"0", true, 0},
        {"10", true, 10},
        {"8k", true, 8192},
        {"8K", true, 8192},
        {"1m", true, 1 << 20},
        {"2G", true, 2ull << 30},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"8589934591g", true, 8589934591ull << 30},
        {"8589934592g", false, 0},
        {"", false, 0},
        {"k", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {"1kk", false, 0},
        {"1 k", false, 0},
        {" 1", false, 0},
        {"1.5m", false, 0},
        {"1t", false, 0},
        {"0x10", false, 0},
    };
    expect_all(conf_parse_size, cases, COUNT(cases));
}

static void milliseconds_go_up_to_weeks(void **state)
{
    (void)state;
    static const struct unit_case cases[] = {
        {"0", true, 0},
        {"60", true, 60000},
        {"500ms", true, 500},
        {"30s", true, 30000},
        {"5m", true, 300000},
        {"1h", true, 3600000},
        {"1d", true, 86400000},
        {"1w", true, 604800000},
        {"1h30m", true, 5400000},
        {"1h 30m", true, 5400000},
        {"1d   2h", true, 93600000},
        {"1m 5", true, 65000},
        {"1s5ms", true, 1005},
        {"5ms ", true, 5},
        {"30 ", true, 30000},
        {"9223372036854775807ms", true, INT64_MAX},
        {"9223372036854775s", true, 9223372036854775000},
        {"9223372036854776s", false, 0},
        {"9223372036854775808ms", false, 0},
        {"9223372036854775s 999ms", false, 0},
        {"9223372036854776", false, 0},
        {"1y", false, 0},
        {"1M", false, 0},
        {"1m1h", false, 0},
        {"1h1h", false, 0},
        {"1ms1s", false, 0},
        {"1s 1s", false, 0},
        {"1s 1 1", false, 0},
        {"", false, 0},
        {"s", false, 0},
        {"h m", false, 0},
        {"-1", false, 0},
        {"1x", false, 0},
        {"1.5s", false, 0},
        {"1S", false, 0},
    };
    expect_all(conf_parse_ms, cases, COUNT(cases));
}

static void seconds_know_months_and_years_but_no_milliseconds(void **state)
{
    (void)state;
    static const struct unit_case cases[] = {
        {"1y", true, 31536000},
        {"1M", true, 2592000},
        {"1y 1M 1w 1d 1h 1m 1s", true,
         31536000 + 2592000 + 604800 + 86400 + 3600 + 60 + 1},
        {"60", true, 60},
        {"9223372036854775807", true, INT64_MAX},
        {"292471208677y", true, 292471208677ull * 31536000},
        {"292471208678y", false, 0},
        {"1M1y", false, 0},
        {"1ms", false, 0},
        {"500ms", false, 0},
    };
    expect_all(conf_parse_sec, cases, COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sizes_have_units),
        TEST(milliseconds_go_up_to_weeks),
        TEST(seconds_know_months_and_years_but_no_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

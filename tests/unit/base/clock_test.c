/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"

#include "support/test.h"

static void formats_http_dates(void **state)
{
    (void)state;
    static const struct {
        time_t t;
        const char *text;
    } dates[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        /* Years that four digits do not hold, and no year at all. */
        {253402300800, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-62167219201, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {INT64_MAX, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {INT64_MIN, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {67768036191676799, "Thu, 01 Jan 1970 00:00:00 GMT"},
    };
    for (size_t i = 0; i < COUNT(dates); i++) {
        char out[CLOCK_HTTP_DATE_SIZE];
        assert_str(clock_format_http(dates[i].t, out), dates[i].text);
        assert_string_equal(out, dates[i].text);
    }
}

static void parses_the_three_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        time_t t;
    } dates[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Friday, 01-Jan-69 00:00:00 GMT", 3124224000},
        {"Thursday, 01-Jan-70 00:00:00 GMT", 0},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, /* a leap second */
    };
    for (size_t i = 0; i < COUNT(dates); i++)
        if (clock_parse_http(str_c(dates[i].text)) != dates[i].t)
            fail_msg("%s: got %lld", dates[i].text,
                     (long long)clock_parse_http(str_c(dates[i].text)));
}

static void refuses_what_is_no_date(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "Sun",
        "Sun,",
        "Sun, ",
        "06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 GMTx",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 19945 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Mon, 29 Feb 1994 08:49:37 GMT",
        "Mon, 29 Feb 2100 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 06 08:49:37 1994 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (clock_parse_http(str_c(bad[i])) != -1)
            fail_msg("accepted \"%s\"", bad[i]);
    assert_int_equal(clock_parse_http((struct str){NULL, 0}), -1);
    assert_int_equal(
        clock_parse_http(str_n("Sun, 06 Nov 1994 08:49:37 GM\0", 29)), -1);
}

static void parses_what_it_formats(void **state)
{
    (void)state;
    char out[CLOCK_HTTP_DATE_SIZE];
    for (time_t t = 0; t < 253402300799; t += 86400 * 61 + 12345)
        assert_int_equal(clock_parse_http(clock_format_http(t, out)), t);
}

static void shows_the_present_in_four_ways(void **state)
{
    (void)state;
    struct tm tm;
    char expected[64];

    setenv("TZ", "<-0330>3:30", 1); /* west of Greenwich, half an hour off */
    tzset();
    clock_update();
    time_t t = clock_wall_s();
    assert_true(t > 1700000000);
    assert_int_equal(clock_parse_http(clock_http_date()), t);
    localtime_r(&t, &tm);
    strftime(expected, sizeof expected, "%Y/%m/%d %H:%M:%S", &tm);
    assert_str(clock_error_date(), expected);
    strftime(expected, sizeof expected, "%d/%b/%Y:%H:%M:%S -0330", &tm);
    assert_str(clock_log_date(), expected);
    strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S-03:30", &tm);
    assert_str(clock_iso_date(), expected);
}

static void time_passes_only_when_told(void **state)
{
    (void)state;
    clock_update();
    uint64_t ms = clock_now_ms(), us = clock_now_us();
    assert_int_equal(us / 1000, ms);
    nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    assert_int_equal(clock_now_us(), us);
    clock_update();
    assert_true(clock_now_us() >= us + 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(formats_http_dates),
        TEST(parses_the_three_forms),
        TEST(refuses_what_is_no_date),
        TEST(parses_what_it_formats),
        TEST(shows_the_present_in_four_ways),
        TEST(time_passes_only_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/headers.h"

#include <stdlib.h>
#include <time.h>

#include "support/test.h"

enum {
    NOON = 951825600, /* 2000-02-29 12:00:00 UTC */
    HOUR = 3600,
};

static void reads_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool modified;
        enum expires_kind kind;
        int64_t seconds;
    } good[] = {
        {"off", false, EXPIRES_OFF, 0},
        {"epoch", false, EXPIRES_EPOCH, 0},
        {"max", false, EXPIRES_MAX, 0},
        {"0", false, EXPIRES_ACCESS, 0},
        {"24h", false, EXPIRES_ACCESS, 24 * HOUR},
        {"+1h 30m", false, EXPIRES_ACCESS, 5400},
        {"-1", false, EXPIRES_ACCESS, -1},
        {"-1h", true, EXPIRES_MODIFIED, -HOUR},
        {"+1h", true, EXPIRES_MODIFIED, HOUR},
        {"@15h30m", false, EXPIRES_DAILY, 15 * HOUR + 1800},
        {"@24h", false, EXPIRES_DAILY, 24 * HOUR},
        {"30y", false, EXPIRES_ACCESS, INT64_C(30) * 365 * 24 * HOUR},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        struct expires e = {0};
        const char *wrong =
            expires_read(&e, str_c(good[i].text), good[i].modified);
        if (wrong || e.kind != good[i].kind || e.seconds != good[i].seconds)
            fail_msg("%s: %s, %d %lld", good[i].text, wrong ? wrong : "read",
                     (int)e.kind, (long long)e.seconds);
    }
}

static void refuses_what_is_no_time(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool modified;
        const char *wrong;
    } bad[] = {
        {"", false, "invalid value"},
        {"+", false, "invalid value"},
        {"--1", false, "invalid value"},
        {"@", false, "invalid value"},
        {"1x", false, "invalid value"},
        {"500ms", false, "invalid value"},
        {"9000y", false, "invalid value"},
        {"max", true, "invalid value"},
        {"@25h", false, "daily time value must be less than 24 hours"},
        {"@1h", true, "daily time cannot be used with \"modified\" parameter"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct expires e = {EXPIRES_MAX, 7};
        const char *wrong =
            expires_read(&e, str_c(bad[i].text), bad[i].modified);
        if (!wrong || strcmp(wrong, bad[i].wrong) != 0)
            fail_msg("\"%s\": %s", bad[i].text, wrong ? wrong : "read");
        assert_int_equal(e.kind, EXPIRES_MAX);
    }
}

static void counts_the_seconds(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    static const struct {
        const char *why;
        struct expires e;
        time_t modified;
        int64_t after;
        time_t at;
    } cases[] = {
        {"from now", {EXPIRES_ACCESS, HOUR}, 5, HOUR, NOON + HOUR},
        {"now", {EXPIRES_ACCESS, 0}, 5, 0, NOON},
        {"before now", {EXPIRES_ACCESS, -5}, 5, -5, NOON - 5},
        {"from then", {EXPIRES_MODIFIED, HOUR}, NOON - 60, 3540, NOON + 3540},
        {"then is over", {EXPIRES_MODIFIED, 5}, NOON - 60, -55, NOON - 55},
        {"then unknown", {EXPIRES_MODIFIED, 5}, -1, 5, NOON + 5},
        {"before a then to come",
         {EXPIRES_MODIFIED, -5},
         NOON + 60,
         -1,
         NOON + 55},
        {"later today", {EXPIRES_DAILY, 13 * HOUR}, -1, HOUR, NOON + HOUR},
        {"tomorrow",
         {EXPIRES_DAILY, 11 * HOUR},
         -1,
         23 * HOUR,
         NOON + 23 * HOUR},
        {"this moment is tomorrow",
         {EXPIRES_DAILY, 12 * HOUR},
         -1,
         24 * HOUR,
         NOON + 24 * HOUR},
        {"midnight",
         {EXPIRES_DAILY, 24 * HOUR},
         -1,
         12 * HOUR,
         NOON + 12 * HOUR},
        {"never cached", {EXPIRES_EPOCH, 0}, -1, -1, 1},
        {"always cached", {EXPIRES_MAX, 0}, -1, 315360000, 2145916555},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        time_t at = 0;
        int64_t after =
            expires_after(&cases[i].e, NOON, cases[i].modified, &at);
        if (after != cases[i].after || at != cases[i].at)
            fail_msg("%s: %lld, at %lld", cases[i].why, (long long)after,
                     (long long)at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_every_form),
        TEST(refuses_what_is_no_time),
        TEST(counts_the_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

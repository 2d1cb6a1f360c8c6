/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

static struct {
    uint64_t mono_us;
    uint64_t wall_us;
    time_t formatted; /* the second that the texts show */
    char http[CLOCK_HTTP_DATE_SIZE];
    char error[96];
    char log[96];
    char iso[96];
} now = {.formatted = -1};

static const char *const week_days[] = {"Sun", "Mon", "Tue", "Wed",
                                        "Thu", "Fri", "Sat"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static uint64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void clock_update(void)
{
    now.mono_us = read_us(CLOCK_MONOTONIC);
    now.wall_us = read_us(CLOCK_REALTIME);
}

uint64_t clock_now_us(void)
{
    if (!now.mono_us)
        clock_update();
    return now.mono_us;
}

uint64_t clock_now_ms(void)
{
    return clock_now_us() / 1000;
}

uint64_t clock_wall_us(void)
{
    if (!now.wall_us)
        clock_update();
    return now.wall_us;
}

time_t clock_wall_s(void)
{
    return (time_t)(clock_wall_us() / 1000000);
}

struct str clock_format_http(time_t t, char out[CLOCK_HTTP_DATE_SIZE])
{
    struct tm tm;
    if (!gmtime_r(&t, &tm))
        gmtime_r(&(time_t){0}, &tm);
    /* strftime would follow the locale; the wire does not. */
    int n = snprintf(out, CLOCK_HTTP_DATE_SIZE,
                     "%s, %02d %s %04d %02d:%02d:%02d GMT",
                     week_days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                     (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min,
                     tm.tm_sec);
    return str_n(out, (size_t)n);
}

static void format_all(void)
{
    time_t t = clock_wall_s();
    if (t == now.formatted)
        return;
    now.formatted = t;
    clock_format_http(t, now.http);

    struct tm tm;
    localtime_r(&t, &tm);
    long offset = tm.tm_gmtoff / 60;
    char sign = offset < 0 ? '-' : '+';
    offset = labs(offset);
    int year = tm.tm_year + 1900;
    snprintf(now.error, sizeof now.error, "%04d/%02d/%02d %02d:%02d:%02d",
             year, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    snprintf(now.log, sizeof now.log, "%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld",
             tm.tm_mday, months[tm.tm_mon], year, tm.tm_hour, tm.tm_min,
             tm.tm_sec, sign, offset / 60, offset % 60);
    snprintf(now.iso, sizeof now.iso,
             "%04d-%02d-%02dT%02d:%02d:%02d%c%02ld:%02ld", year, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, sign, offset / 60,
             offset % 60);
}

static struct str formatted(const char *text)
{
    format_all();
    return str_c(text);
}

struct str clock_http_date(void)
{
    return formatted(now.http);
}

struct str clock_error_date(void)
{
    return formatted(now.error);
}

struct str clock_log_date(void)
{
    return formatted(now.log);
}

struct str clock_iso_date(void)
{
    return formatted(now.iso);
}

static int month_of(const char *name)
{
    for (int i = 0; i < 12; i++)
        if (memcmp(name, months[i], 3) == 0)
            return i;
    return -1;
}

time_t clock_parse_http(struct str s)
{
    char text[48], month[4] = "", zone[4] = "";
    struct tm tm = {0};
    int end = 0;

    if (s.n >= sizeof text || memchr(s.p, 0, s.n))
        return -1;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    const char *rest = strchr(text, ' ');
    if (!rest)
        return -1;

    if (sscanf(rest, " %2d %3s %4d %2d:%2d:%2d %3s%n", &tm.tm_mday, month,
               &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone,
               &end) == 7) {
        tm.tm_year -= 1900; /* IMF-fixdate */
    } else if (sscanf(rest, " %2d-%3s-%2d %2d:%2d:%2d %3s%n", &tm.tm_mday,
                      month, &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec,
                      zone, &end) == 7) {
        if (tm.tm_year < 70)
            tm.tm_year += 100; /* RFC 850: two digits */
    } else if (sscanf(rest, " %3s %2d %2d:%2d:%2d %4d%n", month, &tm.tm_mday,
                      &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year,
                      &end) == 6) {
        tm.tm_year -= 1900; /* asctime */
        memcpy(zone, "GMT", 4);
    } else {
        return -1;
    }
    tm.tm_mon = month_of(month);
    bool sane = tm.tm_mon >= 0 && tm.tm_mday >= 1 && tm.tm_mday <= 31 &&
                tm.tm_hour >= 0 && tm.tm_hour < 24 && tm.tm_min >= 0 &&
                tm.tm_min < 60 && tm.tm_sec >= 0 && tm.tm_sec <= 60 &&
                tm.tm_year >= 0;
    if (!sane || rest[end] != '\0' || strcmp(zone, "GMT") != 0)
        return -1;
    return timegm(&tm);
}

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
    /* The year has four digits, or the date is no HTTP date at all. */
    if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099)
        gmtime_r(&(time_t){0}, &tm);
    /* strftime would follow the locale; the wire does not. */
    int n = snprintf(out, CLOCK_HTTP_DATE_SIZE,
                     "%s, %02d %s %04d %02d:%02d:%02d GMT",
                     week_days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                     tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
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
    snprintf(now.error, sizeof now.error, "%04d/%02d/%02d %02d:%02d:%02d", year,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    snprintf(now.log, sizeof now.log,
             "%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld", tm.tm_mday,
             months[tm.tm_mon], year, tm.tm_hour, tm.tm_min, tm.tm_sec, sign,
             offset / 60, offset % 60);
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

/* ---- reading a date: a cursor that each piece must advance ---- */

static bool take_text(struct str *s, const char *text)
{
    if (!str_starts(*s, str_c(text)))
        return false;
    *s = str_slice(*s, strlen(text), s->n);
    return true;
}

static bool take_number(struct str *s, size_t digits, int *out)
{
    uint64_t value;
    if (s->n < digits || !str_to_u64(str_slice(*s, 0, digits), 9999, &value))
        return false;
    *out = (int)value;
    *s = str_slice(*s, digits, s->n);
    return true;
}

static bool take_month(struct str *s, struct tm *tm)
{
    for (tm->tm_mon = 0; tm->tm_mon < 12; tm->tm_mon++)
        if (take_text(s, months[tm->tm_mon]))
            return true;
    return false;
}

static bool take_time(struct str *s, struct tm *tm)
{
    return take_number(s, 2, &tm->tm_hour) && take_text(s, ":") &&
           take_number(s, 2, &tm->tm_min) && take_text(s, ":") &&
           take_number(s, 2, &tm->tm_sec);
}

/* "06 Nov 1994 08:49:37 GMT" */
static bool take_imf(struct str *s, struct tm *tm)
{
    return take_number(s, 2, &tm->tm_mday) && take_text(s, " ") &&
           take_month(s, tm) && take_text(s, " ") &&
           take_number(s, 4, &tm->tm_year) && take_text(s, " ") &&
           take_time(s, tm) && take_text(s, " GMT");
}

/* "06-Nov-94 08:49:37 GMT"; like nginx, years below 70 are of this century
 * rather than relative to today. */
static bool take_rfc850(struct str *s, struct tm *tm)
{
    if (!take_number(s, 2, &tm->tm_mday) || !take_text(s, "-") ||
        !take_month(s, tm) || !take_text(s, "-") ||
        !take_number(s, 2, &tm->tm_year) || !take_text(s, " ") ||
        !take_time(s, tm) || !take_text(s, " GMT"))
        return false;
    tm->tm_year += tm->tm_year < 70 ? 2000 : 1900;
    return true;
}

/* "Nov  6 08:49:37 1994" */
static bool take_asctime(struct str *s, struct tm *tm)
{
    if (!take_month(s, tm) || !take_text(s, " "))
        return false;
    bool day = take_text(s, " ") ? take_number(s, 1, &tm->tm_mday)
                                 : take_number(s, 2, &tm->tm_mday);
    return day && take_text(s, " ") && take_time(s, tm) && take_text(s, " ") &&
           take_number(s, 4, &tm->tm_year);
}

static bool is_a_date(const struct tm *tm)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y = tm->tm_year;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    int last = tm->tm_mon == 1 && !leap ? 28 : days[tm->tm_mon];
    return y >= 1970 && tm->tm_mday >= 1 && tm->tm_mday <= last &&
           tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

time_t clock_parse_http(struct str s)
{
    struct tm tm = {0};
    bool parsed = false;

    /* The day's name says nothing that is not said again behind it. */
    size_t space = str_find(s, ' ', 0);
    if (space < 3 || space == s.n)
        return -1;
    bool comma = s.p[space - 1] == ',';
    s = str_slice(s, space + 1, s.n);
    if (comma) {
        struct str other = s;
        parsed = take_imf(&s, &tm);
        if (!parsed)
            parsed = take_rfc850(&other, &tm), s = other;
    } else {
        parsed = take_asctime(&s, &tm);
    }
    if (!parsed || s.n || !is_a_date(&tm))
        return -1;
    tm.tm_year -= 1900;
    return timegm(&tm);
}

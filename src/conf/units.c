/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf.h"

#include "base/check.h"

/* nginx counts in signed 64 bits. */
static const uint64_t most = INT64_MAX;

bool conf_parse_size(struct str s, uint64_t *bytes)
{
    unsigned shift = 0;
    uint64_t value;

    if (s.n) {
        char unit = ascii_lower(s.p[s.n - 1]);
        shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
    }
    if (shift)
        s.n--;
    if (!str_to_u64(s, most >> shift, &value))
        return false;
    *bytes = value << shift;
    return true;
}

/* Largest first: "1h 30m" is a time, "30m 1h" is none. */
enum step {
    STEP_NONE,
    STEP_YEAR,
    STEP_MONTH,
    STEP_WEEK,
    STEP_DAY,
    STEP_HOUR,
    STEP_MINUTE,
    STEP_SECOND,
    STEP_MS,
    STEP_BARE, /* a number with a blank behind it: seconds */
};

static const struct time_unit {
    const char *name; /* of the longer first */
    enum step step;
    uint64_t ms;
} time_units[] = {
    {"ms", STEP_MS, 1},
    {"y", STEP_YEAR, 365ull * 86400000},
    {"M", STEP_MONTH, 30ull * 86400000},
    {"w", STEP_WEEK, 7ull * 86400000},
    {"d", STEP_DAY, 86400000},
    {"h", STEP_HOUR, 3600000},
    {"m", STEP_MINUTE, 60000},
    {"s", STEP_SECOND, 1000},
    {" ", STEP_BARE, 1000},
};

static const struct time_unit *unit_of(struct str s)
{
    for (size_t i = 0; i < COUNT(time_units); i++)
        if (str_starts(s, str_c(time_units[i].name)))
            return &time_units[i];
    return NULL;
}

/* *total += value units of scale, unless that is too much. */
static bool add_time(uint64_t *total, uint64_t value, uint64_t scale)
{
    if (value > most / scale || *total > most - value * scale)
        return false;
    *total += value * scale;
    return true;
}

/*
 * The answer is in units of base_ms: 1 or 1000.  As in nginx, a time in
 * milliseconds knows no months and years, one in seconds no milliseconds, and
 * a number without unit is seconds and comes last.
 */
static bool parse_time(struct str s, uint64_t base_ms, uint64_t *out)
{
    enum step step = base_ms == 1 ? STEP_MONTH : STEP_NONE;
    uint64_t total = 0, value = 0;
    bool has_digit = false;

    while (s.n) {
        size_t digits = 0;
        while (digits < s.n && ascii_is_digit(s.p[digits]))
            digits++;
        value = 0;
        if (digits) {
            if (!str_to_u64(str_slice(s, 0, digits), most, &value))
                return false;
            has_digit = true;
            s = str_slice(s, digits, s.n);
        }
        if (!s.n)
            break;
        const struct time_unit *unit = unit_of(s);
        if (!unit || unit->ms < base_ms)
            return false;
        enum step before = unit->step == STEP_BARE ? STEP_SECOND : unit->step;
        if (step >= before)
            return false;
        step = unit->step;
        if (!add_time(&total, value, unit->ms / base_ms))
            return false;
        value = 0;
        s = str_slice(s, strlen(unit->name), s.n);
        while (s.n && s.p[0] == ' ')
            s = str_slice(s, 1, s.n);
    }
    if (!has_digit || !add_time(&total, value, 1000 / base_ms))
        return false;
    *out = total;
    return true;
}

bool conf_parse_ms(struct str s, uint64_t *ms)
{
    return parse_time(s, 1, ms);
}

bool conf_parse_sec(struct str s, uint64_t *sec)
{
    return parse_time(s, 1000, sec);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/clock.h - the time, read once per turn of the event loop.
 *
 * now_ms is monotonic and drives every timeout; the wall clock is only for
 * log lines, Date headers and certificates.  The formatted forms are kept and
 * redone when the second changes.
 */
#ifndef PENSTOCK_BASE_CLOCK_H
#define PENSTOCK_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/str.h"

void clock_update(void);

uint64_t clock_now_ms(void);  /* monotonic */
uint64_t clock_now_us(void);  /* monotonic */
uint64_t clock_wall_us(void); /* since 1970 */
time_t clock_wall_s(void);

/* Borrowed until the next clock_update(). */
struct str clock_http_date(void);  /* Sun, 06 Nov 1994 08:49:37 GMT */
struct str clock_error_date(void); /* 1994/11/06 08:49:37, local */
struct str clock_log_date(void);   /* 06/Nov/1994:08:49:37 +0000, local */
struct str clock_iso_date(void);   /* 1994-11-06T08:49:37+00:00, local */

enum {
    CLOCK_HTTP_DATE_SIZE = 30 /* bytes with the NUL */
};

/* RFC 9110 section 5.6.7, IMF-fixdate. */
struct str clock_format_http(time_t t, char out[CLOCK_HTTP_DATE_SIZE]);

/* Any of the three forms of RFC 9110 5.6.7, from 1970 on, or -1. */
time_t clock_parse_http(struct str s);

#endif

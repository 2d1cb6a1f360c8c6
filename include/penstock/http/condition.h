/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http/condition.h - conditional requests: is the answer 200, 304 or 412?
 *
 * RFC 9110 section 13.  Pure: the fields of the request on one side, what is
 * known of the selected representation on the other.
 */
#ifndef PENSTOCK_HTTP_CONDITION_H
#define PENSTOCK_HTTP_CONDITION_H

#include <time.h>

#include "http/head.h"

/* if_modified_since off | exact | before. */
enum http_since {
    SINCE_OFF = 0,
    SINCE_EXACT,
    SINCE_BEFORE,
};

struct http_validators {
    struct str etag; /* as sent: "x" or W/"x", with the quotes; p NULL: none */
    time_t modified; /* -1: none */
};

/*
 * Evaluate If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since
 * in the order of 13.2.2.  To be asked only when the answer without them would
 * be a 2xx.  Returns 200, 304 or 412.
 */
unsigned http_condition_evaluate(const struct http_head *request,
                                 const struct http_validators *have,
                                 enum http_since since);

/* May the Range of this request be used?  True without If-Range; else the
 * validator must be strong and the same (13.1.5). */
bool http_condition_allows_range(const struct http_head *request,
                                 const struct http_validators *have);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http/authority.h - host [":" port], as Host, :authority and a URI carry it.
 *
 * RFC 9110 section 7.2, RFC 3986 section 3.2.2.  Pure.
 */
#ifndef PENSTOCK_HTTP_AUTHORITY_H
#define PENSTOCK_HTTP_AUTHORITY_H

#include "base/str.h"

/*
 * Cut s into its host and its port (p NULL when there is no colon; it may be
 * empty, "host:").  An IPv6 literal keeps its brackets.
 *
 * Returns 1, or -400: an empty host, userinfo, two dots in a row, a character
 * that is not of a reg-name, a bad IPv6 literal, a port over 65535.
 */
int http_authority_split(struct str s, struct str *host, struct str *port);

#endif

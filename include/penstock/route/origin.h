/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route/origin.h - may a page from this origin open a WebSocket here?
 *
 * Rules: same | any | none | an origin ("https://example.com") | an origin
 * whose host starts with "*." (every name below that one) | ~regex | ~*regex.
 * Several are alternatives; no rule at all is same.  Without a scheme
 * ("example.com", "*.example.com") http and https are meant.
 *   same  scheme, host and port of Origin are those of the request; also a
 *         request without Origin, since only browsers send one and only
 *         browsers can be abused through it
 *   none  a request without Origin; a list that has neither same nor any nor
 *         none refuses it
 *   ~     matched against the whole Origin value (RFC 6454 section 6.2), as
 *         it was sent; write ^ and $
 * What is not one well-formed origin (or "null") is let in by any alone.
 * Scheme and host are compared without case, default ports are filled in.
 * "Origin: null" equals nothing but any, an exact "null" or a regex.
 */
#ifndef PENSTOCK_ROUTE_ORIGIN_H
#define PENSTOCK_ROUTE_ORIGIN_H

#include "route/regex.h"

struct origin_rules;

struct origin_rules *origin_rules_create(struct arena *arena);
int origin_rules_add(struct origin_rules *rules, struct str rule,
                     struct err *err);

/* origin: p NULL when the request has none.  https, host: the request's;
 * host with its port as Host has it. */
bool origin_is_allowed(const struct origin_rules *rules, struct str origin,
                       bool https, struct str host);

#endif

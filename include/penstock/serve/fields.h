/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/fields.h - values inside of values: one argument of a query, one
 * cookie, the user of Basic credentials.
 *
 * Pure: what they return points into what was given, unless said otherwise.
 */
#ifndef PENSTOCK_SERVE_FIELDS_H
#define PENSTOCK_SERVE_FIELDS_H

#include "base/arena.h"
#include "base/str.h"

/* The value of argument name in args ("a=1&b=2"), without case, not decoded.
 * False when it is not there, or there without a "=". */
bool fields_find_arg(struct str args, struct str name, struct str *out);

/* The same of one Cookie field ("a=1; b=2"). */
bool fields_find_cookie(struct str field, struct str name, struct str *out);

/* The user of "Basic ..." credentials (RFC 7617), in the arena; false when
 * the field is of another kind, malformed or names nobody. */
bool fields_basic_user(struct str authorization, struct arena *arena,
                       struct str *out);
/* The same with the password, which may be empty. */
bool fields_basic(struct str authorization, struct arena *arena,
                  struct str *user, struct str *password);

#endif

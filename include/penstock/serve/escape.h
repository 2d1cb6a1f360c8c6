/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/escape.h - values made safe for a line of a log.  Pure.
 */
#ifndef PENSTOCK_SERVE_ESCAPE_H
#define PENSTOCK_SERVE_ESCAPE_H

#include "base/buf.h"

/* log_format escape=default: what is not printable ASCII, and the quote and
 * the backslash, as \xXX, so that a line stays one line and a field ends at
 * its quote. */
void escape_log_default(struct buf *out, struct str s);

/* escape=json: the inside of a JSON string (RFC 8259 section 7). */
void escape_log_json(struct buf *out, struct str s);

#endif

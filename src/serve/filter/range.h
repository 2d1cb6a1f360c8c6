/* SPDX-License-Identifier: BSD-2-Clause */
/* serve/filter/range.h - parts of a body that passes (RFC 9110 section 14). */
#ifndef PENSTOCK_SERVE_RANGE_H
#define PENSTOCK_SERVE_RANGE_H

#include "filter/filters.h"

/* The last of the head filters: where the response allows ranges, say so, or
 * cut what the client asked for out of it. */
void range_filter(struct request *r);

#endif

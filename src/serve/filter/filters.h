/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/filters.h - what looks at every final response head before it leaves.
 *
 * Run once for each response, with its final status, before the framing of
 * the body is chosen: fields may be added and removed.  The list is in
 * filters.c, one line a filter.
 */
#ifndef PENSTOCK_SERVE_FILTERS_H
#define PENSTOCK_SERVE_FILTERS_H

#include "serve/request.h"

void filters_run_head(struct request *r);

#endif

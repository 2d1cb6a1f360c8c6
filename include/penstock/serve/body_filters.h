/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/body_filters.h - the filters that put other text into a body:
 * sub_filter, charset, addition, ssi, slice.
 */
#ifndef PENSTOCK_SERVE_BODY_FILTERS_H
#define PENSTOCK_SERVE_BODY_FILTERS_H

#include "route/value.h"

/* Knows which of all filters are wanted where: behind them in the list. */
extern struct conf_module filters_module;

extern struct conf_module sub_filter_module;
extern struct conf_module charset_module;
extern struct conf_module addition_module;
extern struct conf_module ssi_module;
extern struct conf_module slice_module;

/* $slice_range; ends with name NULL. */
extern const struct variable slice_variables[];

/* $date_local, $date_gmt; ends with name NULL. */
extern const struct variable ssi_variables[];

#endif

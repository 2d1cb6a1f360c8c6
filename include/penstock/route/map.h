/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route/map.h - `map`: a variable whose value is looked up by another's.
 *
 * nginx's block with default, hostnames, volatile, ~regex, ~*regex and
 * backslash-escaped keys.  The result is kept for the request unless the map
 * is volatile.  conf->variables must be set before the block is applied.
 */
#ifndef PENSTOCK_ROUTE_MAP_H
#define PENSTOCK_ROUTE_MAP_H

#include "conf/conf.h"

extern struct conf_module map_module;

#endif

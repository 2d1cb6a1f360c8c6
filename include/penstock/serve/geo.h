/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/geo.h - `geo`: a variable whose value depends on an address.
 */
#ifndef PENSTOCK_SERVE_GEO_H
#define PENSTOCK_SERVE_GEO_H

#include "conf/conf.h"

extern struct conf_module geo_module;

#endif

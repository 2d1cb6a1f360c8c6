/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/referer.h - valid_referers and $invalid_referer.
 */
#ifndef PENSTOCK_SERVE_REFERER_H
#define PENSTOCK_SERVE_REFERER_H

#include "route/value.h"

extern struct conf_module referer_module;
extern const struct variable referer_variables[];

#endif

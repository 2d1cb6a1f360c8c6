/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/modules.h - the explicit lists of all there is.
 */
#ifndef PENSTOCK_GATEWAY_MODULES_H
#define PENSTOCK_GATEWAY_MODULES_H

#include "conf/conf.h"
#include "route/value.h"

/* In the order in which their on_scope and on_end hooks run. */
extern struct conf_module *const gateway_modules[];

/* Tables of variables; ends with NULL. */
extern const struct variable *const gateway_variables[];

/* What lower floors are told of higher ones, once at start. */
void modules_start(void);

#endif

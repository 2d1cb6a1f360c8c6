/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/tuning.h - directives that tune what nginx does and we do otherwise.
 *
 * Their arguments are checked, then a warning says that nothing comes of
 * them.
 */
#ifndef PENSTOCK_SERVE_TUNING_H
#define PENSTOCK_SERVE_TUNING_H

#include "conf/conf.h"

extern struct conf_module tuning_module;

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/temp_paths.h - the directories of serve/temp.h, made.
 *
 * By the master, as nginx does: private to the workers' user.  What is above
 * a named one must be there; the defaults are made where they can be.
 */
#ifndef PENSTOCK_GATEWAY_TEMP_PATHS_H
#define PENSTOCK_GATEWAY_TEMP_PATHS_H

#include "serve/generation.h"

/* Make what is missing, give it to the workers' user.  -1 with err. */
int temp_paths_create(const struct generation *g, struct err *err);

#endif

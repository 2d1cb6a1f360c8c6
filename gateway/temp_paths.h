/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/temp_paths.h - client_body_temp_path and its kin.
 *
 * The directories are made by the master, as nginx does: private to the
 * workers' user.  Only what is named is made; what is above it must be there.
 */
#ifndef PENSTOCK_GATEWAY_TEMP_PATHS_H
#define PENSTOCK_GATEWAY_TEMP_PATHS_H

#include "serve/generation.h"

extern struct conf_module temp_paths_module;

/* Make what is missing, give it to the workers' user.  -1 with err. */
int temp_paths_create(const struct generation *g, struct err *err);

#endif

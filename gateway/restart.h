/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/restart.h - which pools -s restart=NAME is about: a signal has no
 * words, so they stand in a file beside the pid file.
 */
#ifndef PENSTOCK_GATEWAY_RESTART_H
#define PENSTOCK_GATEWAY_RESTART_H

#include <stdio.h>

#include "base/err.h"

/* Append the name of a pool for the master that has this pid file. */
int restart_file_add(const char *pid_path, const char *name, struct err *err);

/* In the master: all names, one a line; NULL when there are none. */
FILE *restart_file_take(const char *pid_path);

#endif

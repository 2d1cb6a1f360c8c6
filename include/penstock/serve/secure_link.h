/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/secure_link.h - links that prove who made them, and that end.
 *
 * Decides nothing itself: $secure_link says what came of it.
 */
#ifndef PENSTOCK_SERVE_SECURE_LINK_H
#define PENSTOCK_SERVE_SECURE_LINK_H

#include "route/value.h"

extern struct conf_module secure_link_module;
extern const struct variable secure_link_variables[];

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/auth.h - who asks, by what they know: auth_basic.
 *
 * RFC 7617.  A password that is slow to check is checked beside the loop; one
 * that was right is remembered, hashed with a secret of this process, so that
 * the requests of a browser cost one check.
 */
#ifndef PENSTOCK_SERVE_AUTH_H
#define PENSTOCK_SERVE_AUTH_H

#include "serve/access.h"

extern struct conf_module auth_basic_module;

access_check_fn auth_basic_check;

/* Forget what was read and found: the process ends. */
void auth_stop(void);

#endif

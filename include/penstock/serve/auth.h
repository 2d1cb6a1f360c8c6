/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/auth.h - who asks, by what they know or have: auth_basic, auth_jwt.
 *
 * RFC 7617.  A password that is slow to check is checked beside the loop; one
 * that was right is remembered, hashed with a secret of this process, so that
 * the requests of a browser cost one check.
 */
#ifndef PENSTOCK_SERVE_AUTH_H
#define PENSTOCK_SERVE_AUTH_H

#include "serve/access.h"

extern struct conf_module auth_basic_module;
extern struct conf_module auth_jwt_module;
extern const struct variable auth_jwt_variables[];

access_check_fn auth_basic_check;
access_check_fn auth_jwt_check;

/* Forget what was read and found: the process ends. */
void auth_stop(void);

#endif

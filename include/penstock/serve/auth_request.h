/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/auth_request.h - another location says who may ask: auth_request.
 *
 * A subrequest's status decides: 2xx lets in, 401 and 403 are passed on with
 * its WWW-Authenticate, anything else is a 500.
 */
#ifndef PENSTOCK_SERVE_AUTH_REQUEST_H
#define PENSTOCK_SERVE_AUTH_REQUEST_H

#include "serve/access.h"

struct auth_request_conf {
    struct str uri;        /* n 0: off */
    struct conf_list sets; /* of auth_request_set */
};

extern struct conf_module auth_request_module;

access_check_fn auth_request_check;

#endif

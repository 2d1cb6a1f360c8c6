/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * identity.h - what a backend is told of a request: the TLVs of OPEN,
 * HTTP_REQ and RESUME (SLUICE section 4).
 *
 * Each appends, and returns false when a value is too long for a TLV.
 */
#ifndef PENSTOCK_SRC_BRIDGE_IDENTITY_H
#define PENSTOCK_SRC_BRIDGE_IDENTITY_H

#include "bridge/conf.h"
#include "bridge/link.h"
#include "serve/request.h"

/* Of OPEN's flags those that say who it is. */
uint8_t identity_flags(const struct request *r);

/* METHOD, TARGET, PATH, the addresses, ORIGIN, APP, ROUTE, REQUEST_ID. */
bool identity_put(struct buf *out, struct request *r, const struct app *app,
                  struct str origin);

/* CAPTURE: the groups of pattern (NULL: none) in the path. */
bool identity_put_captures(struct buf *out, struct request *r,
                           struct regex *pattern);

/* VAR: the backend_param of the location. */
bool identity_put_params(struct buf *out, struct request *r,
                         const struct conf_list *params);

/* Of a client that speaks TLS: how, and who its certificate says it is. */
bool identity_put_tls(struct buf *out, struct request *r);

/* HEADER: every field as it came. */
bool identity_put_headers(struct buf *out, struct request *r);

#endif

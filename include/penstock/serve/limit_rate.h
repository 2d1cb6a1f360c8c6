/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/limit_rate.h - how fast a response is sent: limit_rate,
 * limit_rate_after, $limit_rate.
 *
 * HTTP/1.x only: the limit is the connection's while the response leaves.
 */
#ifndef PENSTOCK_SERVE_LIMIT_RATE_H
#define PENSTOCK_SERVE_LIMIT_RATE_H

#include "serve/request.h"

extern struct conf_module limit_rate_module;
extern const struct variable limit_rate_variables[];

/* The head of the client's response is about to be sent. */
void limit_rate_begin(struct request *r);

#endif

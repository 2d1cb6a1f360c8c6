/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/http1.h - a response as HTTP/1.x bytes.
 *
 * RFC 9112 sections 4 to 7.  Small responses wait for the end of the turn, so
 * that pipelined answers leave together; large ones go at once with their
 * head in the same call.
 */
#ifndef PENSTOCK_SERVE_HTTP1_H
#define PENSTOCK_SERVE_HTTP1_H

#include "serve/request.h"

extern const struct wire http1_wire;

/* Give back what is kept for reuse, at the process's end. */
void http1_fini(void);

#endif

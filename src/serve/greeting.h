/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/greeting.h - `listen ... proxy_protocol`: what a load balancer says of
 * a client before the client's own first byte.
 */
#ifndef PENSTOCK_SERVE_GREETING_H
#define PENSTOCK_SERVE_GREETING_H

#include "http/proxy_protocol.h"
#include "serve/client.h"

/* Read the header from fd, which is the callee's from here; then, once,
 * go_on() gets the socket, or -1 when there was no good header (it is logged,
 * and the socket closed). */
void greeting_await(struct client *c, int fd,
                    void (*go_on)(struct client *c, int fd));

/* The client dies: no more calls; and at last, its memory. */
void greeting_forget(struct client *c);
void greeting_free(struct client *c);

/* What was said; NULL: nothing, or the addresses are not known. */
const struct proxy_protocol *greeting_of(const struct client *c);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/real_ip.h - who asks, when a trusted proxy stands before us:
 * set_real_ip_from, real_ip_header, real_ip_recursive.
 *
 * And the variables of that and of the PROXY protocol.
 */
#ifndef PENSTOCK_SERVE_REAL_IP_H
#define PENSTOCK_SERVE_REAL_IP_H

#include "serve/request.h"

extern struct conf_module real_ip_module;
extern const struct variable real_ip_variables[];

/* Sets r->remote when the location's settings have somebody else asking;
 * once a request.  Always VERDICT_DECLINED. */
int real_ip_run(struct request *r);

/* May the other end of this connection say for whom it asks?  When one of
 * the location's set_real_ip_from names it. */
bool real_ip_trusts_peer(const struct request *r);

/*
 * The address at the end of a list such as X-Forwarded-For's; recursive: going
 * back while they are trusted.  False: addr is not trusted, or there is none;
 * *addr is untouched then.
 */
bool real_ip_from_list(struct address *addr, struct str list,
                       const struct conf_list *trusted, bool recursive);

#endif

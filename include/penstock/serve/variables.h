/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/variables.h - the variables of a plain HTTP request.
 *
 * $host, $uri, $args, $http_*, $arg_*, $cookie_*, $sent_http_*, $status, ...
 * with nginx's meanings.  $1 to $9 belong to route, $document_root and its
 * kin to serve/path, $upstream_* and $proxy_* to the proxy.
 */
#ifndef PENSTOCK_SERVE_VARIABLES_H
#define PENSTOCK_SERVE_VARIABLES_H

#include "route/value.h"

/* Rows for variables_init(); ends with name NULL. */
extern const struct variable serve_variables[];
/* modern_browser, ancient_browser; $modern_browser, $ancient_browser, $msie. */
extern struct conf_module browser_module;
extern const struct variable browser_variables[];
/* $connection_time, $tcpinfo_*, $pipe, ...: the same. */
extern const struct variable connection_variables[];

#endif

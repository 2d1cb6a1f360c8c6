/* SPDX-License-Identifier: BSD-2-Clause */
/* serve/tls/tls_parts.h - what the files of this folder and proxy_ssl share. */
#ifndef PENSTOCK_SERVE_TLS_PARTS_H
#define PENSTOCK_SERVE_TLS_PARTS_H

#include "serve/ssl.h"
#include "serve/zone.h"

/* ---- sessions, by ssl_cache.c ---- */

extern const struct zone_kind ssl_session_zone;

/* A store in that zone. */
const struct tls_session_store *ssl_session_store(struct conf *conf,
                                                  struct zone *zone);

/* ---- fetched OCSP responses, by ssl_stapling.c ---- */

/* Prepare to fetch what the context wants; warns about what can not be. */
void ssl_stapling_prepare(struct conf *conf, struct tls_context *ctx,
                          const struct log_target *log);
/* For struct tls_accept_events. */
void ssl_stapling_fetch(void *owner, struct tls_staple *staple);

/* ---- certificates by name, by ssl_certificates.c ---- */

int ssl_certify(void *owner, struct tls *tls);

/* The server whose name was sent; ssl.c. */
const struct server *ssl_server_named(const struct listen *l, struct str name);

#endif

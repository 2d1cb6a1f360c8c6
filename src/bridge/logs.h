/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logs.h - LOG both ways: what a backend writes into our error log, and what
 * we tell a backend that asked for it (SETLOG, OPT DEBUG) of its own clients.
 *
 * Either direction has log_rate lines a second on each link; what is beyond is
 * counted, and the number is a line of its own when the second is over.
 * Telling never waits: who reads too slowly misses lines.
 */
#ifndef PENSTOCK_SRC_BRIDGE_LOGS_H
#define PENSTOCK_SRC_BRIDGE_LOGS_H

#include "bridge/link.h"

void logs_init(struct link *l);
void logs_fini(struct link *l); /* the link ends */

/* Frames of the backend: 0, or a negated link-fatal code. */
int logs_on_log(struct link *l, const struct sluice_frame *f);
void logs_on_setlog(struct link *l, const struct sluice_frame *f);

/* An ERROR of the backend; counts as a line. */
void logs_on_error(struct link *l, const struct sluice_error_frame *e);

/* Is a line of this level wanted, of this client (NULL: of the link)?  Ask
 * before costly work. */
bool logs_wants(const struct link *l, const struct link_client *c,
                enum log_level level);

/* Tell it.  c: NULL, or a client of the link. */
void logs_tell(struct link *l, const struct link_client *c,
               enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Tell every link of the pool, but one (NULL: none). */
void logs_tell_pool(struct pool *p, const struct link *but,
                    enum log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif

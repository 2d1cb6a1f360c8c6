/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/exchange.h - a request's life, as its client drives it.
 *
 * What handlers may call is in serve/request.h; this is the other side.
 */
#ifndef PENSTOCK_SERVE_EXCHANGE_H
#define PENSTOCK_SERVE_EXCHANGE_H

#include "serve/client.h"

/* Make the request of a head; steps_begin() runs it.  g: the caller's
 * reference, which the request takes. */
struct request *exchange_create(struct client *c, struct generation *g,
                                const struct http_head *head);

/* One that its parent makes: what is not the parent's is empty. */
struct request *exchange_create_sub(struct request *parent);

/* The reader refused (or 408): answer with the status and close. */
void exchange_refuse(struct client *c, unsigned status);
void exchange_head_timed_out(struct client *c);

/* The body as it comes. */
bool exchange_wants_body(const struct request *r);
void exchange_body(struct request *r, const uint8_t *p, size_t n);
/* Fields behind the body; never merged into the head. */
void exchange_trailers(struct request *r, const struct http_head *head);
void exchange_body_end(struct request *r);
/* What request_expect_raw() waits for. */
void exchange_raw(struct request *r, struct span *in);

void exchange_eof(struct request *r);
void exchange_written(struct request *r, size_t queued);

/* The connection is gone: the handler lets go, the request is logged.  The
 * client forgets it. */
void exchange_abort(struct request *r);

/* The response is out: log, and tell the client. */
void exchange_done(struct request *r);

/* The last things that happen to any request: its handler lets go, and it is
 * logged.  Once. */
void exchange_say_done(struct request *r);

/* Give back what is kept for reuse, at the process's end. */
void exchange_fini(void);

/* Free at the end of the turn. */
void exchange_bury(struct request *r);

/* A request without a head, for variables that are asked for during the
 * handshake: of the server s of the current generation, for this call only. */
struct request *exchange_probe(struct client *c, const struct server *s);
void exchange_probe_end(struct request *r);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* serve/steps.h - what the files of a request's life share. */
#ifndef PENSTOCK_SERVE_STEPS_H
#define PENSTOCK_SERVE_STEPS_H

#include "serve/request.h"

/* Choose server and location, run the steps; the verdict is acted on. */
void steps_begin(struct request *r);

/* The same for a subrequest, whose URI is set. */
void steps_begin_sub(struct request *r);

/* The response is decided: end the request as soon as its output and its
 * body allow. */
void request_complete(struct request *r);

/* May the connection be kept after this response?  Called once, before the
 * head is written. */
void steps_decide_keep_alive(struct request *r);

/* An internal redirect leaves the handler that asked for it. */
void steps_leave_handler(struct request *r);

/* What was sent has left: more of the file, of what filters hold back, or of
 * what the handler has. */
void request_drained(struct request *r);

#endif

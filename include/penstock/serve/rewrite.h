/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/rewrite.h - return, rewrite, set, if and break, in order of the file.
 *
 * The directives of a server run before a location is chosen (again after
 * each internal redirect to a URI, as in nginx), those of a location each
 * time that it was chosen.  A block does not inherit them.
 */
#ifndef PENSTOCK_SERVE_REWRITE_H
#define PENSTOCK_SERVE_REWRITE_H

#include "serve/request.h"

struct rewrite_program;

struct rewrite_conf {
    struct rewrite_program *program; /* of the scope that owns it, only */
    const struct conf_scope *owner;
    bool log;
};

extern struct conf_module rewrite_module;

/*
 * Run the directives of the server, or of r->location.  VERDICT_DECLINED goes
 * on with the next step; VERDICT_DONE when a response was sent, else the
 * status to answer with (r->response.location is set for redirects).
 *
 * r->uri_changed is set when the URI was rewritten and a location is to be
 * chosen for it; the caller clears it before and counts the rounds.  An if{}
 * that was true is r->location afterwards.
 */
int rewrite_run_server(struct request *r);
int rewrite_run_location(struct request *r);

#endif

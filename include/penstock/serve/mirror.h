/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/mirror.h - copies of requests to other locations: mirror.
 *
 * Subrequests in the background whose responses are ignored.  With
 * mirror_request_body they get the client's body as it comes, so the slowest
 * of all that take it sets the pace; none of it is stored.  The client's next
 * request waits for them, as in nginx.
 */
#ifndef PENSTOCK_SERVE_MIRROR_H
#define PENSTOCK_SERVE_MIRROR_H

#include "serve/request.h"

struct mirror_conf {
    struct conf_list uris; /* struct str */
    bool off;
    bool request_body;
};

extern struct conf_module mirror_module;

/* The step: always VERDICT_DECLINED. */
int mirror_run(struct request *r);

#endif

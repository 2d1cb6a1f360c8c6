/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/error_page.h - what is answered when a request ends with a status.
 */
#ifndef PENSTOCK_SERVE_ERROR_PAGE_H
#define PENSTOCK_SERVE_ERROR_PAGE_H

#include "serve/request.h"

/* error_page 404 500 =200 /oops.html; */
struct error_page {
    unsigned status;   /* that it is for */
    int answer;        /* =200; -1: the original, 0: what the page gives */
    struct value *uri; /* a path, a URL or @name */
    struct str args;   /* behind a ? in a constant uri */
};

/*
 * Answer with the status: the location's error_page, or the built-in page
 * (nginx's, with our name).  Codes that are ours alone are mapped: 494 is sent
 * as 400, 499 sends nothing.  Returns a verdict.
 */
int error_page_answer(struct request *r, unsigned status);

/* Has the location an error_page for it? */
bool error_page_exists(const struct request *r, unsigned status);

/* The built-in body for the status; type is set to text/html. */
int error_page_builtin(struct request *r, unsigned status);

/* The same body alone. */
struct str error_page_text(struct request *r, unsigned status);

conf_setter error_page_set; /* the directive */

#endif

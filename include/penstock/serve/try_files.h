/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/try_files.h - the first of several files that exists.
 *
 * Runs in front of the location's handler, which it wraps while the
 * configuration is loaded; static files ask try_files_run() themselves.
 */
#ifndef PENSTOCK_SERVE_TRY_FILES_H
#define PENSTOCK_SERVE_TRY_FILES_H

#include "serve/request.h"

struct try_files_conf {
    const struct conf_scope *owner; /* is not inherited */
    struct value **files;
    bool *want_directory; /* the file was written with a slash at its end */
    size_t n;
    unsigned code;          /* of a last "=code"; else 0 */
    struct value *fallback; /* a URI or @name */
    const struct handler *inner;
};

extern struct conf_module try_files_module;

/* VERDICT_DECLINED: go on with the handler (r->uri is the file that was
 * found), else what the fallback came to. */
int try_files_run(struct request *r);

#endif

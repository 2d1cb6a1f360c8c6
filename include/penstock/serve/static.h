/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/static.h - answering with files, and index.
 *
 * GET and HEAD of regular files below root or alias, with validators,
 * conditions (RFC 9110 section 13) and ranges (section 14).  Symbolic links
 * are followed; pipes and devices are never read.
 */
#ifndef PENSTOCK_SERVE_STATIC_H
#define PENSTOCK_SERVE_STATIC_H

#include "serve/file.h"
#include "serve/request.h"

struct static_conf {
    struct conf_list index; /* struct value; empty: index.html */
    bool etag;
    bool log_not_found;
    unsigned since;      /* enum http_since */
    uint64_t max_ranges; /* 0: ranges are not served */
    struct file_conf file;
};

extern struct conf_module static_module;
extern const struct handler static_handler;

enum {
    STATIC_ETAG_MAX = 40 /* bytes with the NUL */
};

/* nginx's form: "mtime-size", both in hexadecimal. */
struct str static_etag(time_t modified, uint64_t size,
                       char out[STATIC_ETAG_MAX]);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access_log_parts.h - what the files of the access log share.
 */
#ifndef PENSTOCK_SRC_SERVE_ACCESS_LOG_PARTS_H
#define PENSTOCK_SRC_SERVE_ACCESS_LOG_PARTS_H

#include "log/syslog.h"
#include "log_sink.h"
#include "serve/access_log.h"

struct log_format {
    struct value *text;
    struct str absent;       /* what a variable without value becomes */
    value_escape_fn *escape; /* NULL: none */
};

/* One of sink, path and syslog says where to. */
struct access_log {
    struct log_sink *sink;
    const struct value *path; /* with variables */
    struct syslog_peer *syslog;
    const struct log_format *format;
    const struct value *condition; /* NULL: always */
};

/* Does its condition, when it has one, hold for the request? */
bool access_log_is_wanted(struct request *r, const struct access_log *log);

#endif

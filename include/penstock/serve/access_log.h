/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/access_log.h - one line for each request: log_format and access_log.
 *
 * Lines are collected per worker and file.  Without buffer= all lines of one
 * turn of the loop leave in one write at its end; with it they leave when the
 * buffer is full, when flush= has passed, at a reopen and at the end.  A log
 * that can not take them (full disk, FIFO without a reader) is left alone for
 * a second; what does not fit meanwhile is dropped, counted, and reported in
 * the error log.  Nothing here ever waits.
 */
#ifndef PENSTOCK_SERVE_ACCESS_LOG_H
#define PENSTOCK_SERVE_ACCESS_LOG_H

#include "serve/request.h"

struct access_log_conf {
    struct conf_list logs;    /* struct access_log */
    bool is_set;              /* here or above: the default is not wanted */
    struct file_cache *files; /* open_log_file_cache; NULL: off */
    bool subrequests;         /* log_subrequest */
    /* of the http scope */
    struct map *formats; /* name -> struct log_format */
    struct map *sinks;   /* path -> where its lines are collected */
};

extern struct conf_module access_log_module;

/* Write the request's line to every log of its location. */
void access_log_write(struct request *r);

/*
 * Of a request whose stream was taken (response.status is set): keep what its
 * lines will say, but for what changes until they are written, so that the
 * request need not live as long as who took its stream.  It writes no line of
 * its own then.  NULL when a log here asks for more than can be kept.
 */
struct access_kept;
struct access_kept *access_log_keep(struct request *r);
/* Write them, and free it.  handler and state: what VARIABLE_LIVE ones of its
 * taker look at; sent: bytes beyond those that were sent when it was kept. */
void access_log_write_kept(struct access_kept *k, struct loop *loop,
                           const struct handler *handler, void *state,
                           uint64_t sent);

/*
 * Write out everything that is collected.  Call before the descriptors of log
 * files change (reopen, the end of a generation) and before exit.
 */
void access_log_flush_all(void);

/* Lines that were dropped since the process started. */
uint64_t access_log_dropped(void);

#endif

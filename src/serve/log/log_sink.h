/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/log_sink.h - lines on their way into one file.
 *
 * Knows bytes and when to write them; nothing of requests.
 */
#ifndef PENSTOCK_SERVE_LOG_SINK_H
#define PENSTOCK_SERVE_LOG_SINK_H

#include "base/log.h"
#include "io/loop.h"
#include "io/timer.h"

enum {
    LOG_SINK_KEEP_MAX = 64 * 1024, /* bytes kept, beside the buffer, for a
                                      file that takes nothing */
    LOG_SINK_QUIET_MS = 1000       /* before such a file is tried again */
};

struct log_sink {
    struct list link; /* in the list of all */
    struct log_file *file;
    size_t buffer;     /* bytes of buffer=; 0: write at the turn's end */
    uint64_t flush_ms; /* 0: no time limit */
    int gzip;          /* level 1 to 9, or 0 */
    struct buf pending;
    struct buf packed; /* what gzip made of the last ones, on its way */
    struct loop_task task;
    struct timer timer;
    struct loop *loop;       /* of the last line */
    uint64_t quiet_until_ms; /* a write failed */
    uint64_t dropped;        /* lines, not reported yet */
    struct log_limit failing;
};

/* file is borrowed and outlives the sink. */
void log_sink_init(struct log_sink *s, struct log_file *file);
void log_sink_fini(struct log_sink *s); /* writes what it can */

/* Where to append one line, with its newline; then say so.  NULL: this line
 * is dropped. */
struct buf *log_sink_begin(struct log_sink *s);
void log_sink_end(struct log_sink *s, struct loop *loop);

void log_sink_flush(struct log_sink *s);
void log_sink_flush_all(void);
uint64_t log_sink_dropped(void); /* lines, by all */

#endif

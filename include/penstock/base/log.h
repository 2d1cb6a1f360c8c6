/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/log.h - the error log: who speaks, about which client, while doing what.
 *
 * A line is nginx's:
 *   2026/01/31 12:00:00 [error] 41#0: *7 MESSAGE while DOING, client: ...
 * A log_ctx says where lines go and what they are about; it lives inside the
 * object it speaks of (a client, a session, a link).  Lines are written at
 * once with one write(): an error log that loses its last lines in a crash is
 * of no use, and a full disk or a dead FIFO never blocks (files are opened
 * O_NONBLOCK where that has a meaning).
 */
#ifndef PENSTOCK_BASE_LOG_H
#define PENSTOCK_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* nginx's order; smaller is graver. */
enum log_level {
    LEVEL_EMERG = 1,
    LEVEL_ALERT = 2,
    LEVEL_CRIT = 3,
    LEVEL_ERROR = 4,
    LEVEL_WARN = 5,
    LEVEL_NOTICE = 6,
    LEVEL_INFO = 7,
    LEVEL_DEBUG = 8,
};

/* An open log: shared by all that write there; reopening changes fd. */
struct log_file {
    const char *path; /* "stderr", or absolute */
    int fd;           /* -1: closed, lines are dropped */
};

/* Where a scope's error_log directives lead: each file with its level. */
struct log_target {
    struct log_file *file; /* always there; its fd is -1 when emit is set */
    enum log_level level;
    struct log_target *next;
    /* For what is no file: takes the line, without its newline. */
    void (*emit)(const struct log_target *t, enum log_level level,
                 struct str line);
    void *arg; /* emit's */
};

struct log_ctx {
    const struct log_target *target;
    uint64_t connection; /* 0: none; printed as *N */
    const char *doing;   /* "reading client request headers", or NULL */
    bool debug;          /* debug_connection: every level is wanted */
    /* Appends ", client: ..." and what follows; NULL when there is nothing. */
    void (*describe)(const struct log_ctx *ctx, struct buf *line);
};

/* The log before any configuration and for what belongs to no scope. */
extern struct log_ctx log_process;

const char *log_level_name(enum log_level level);

/* The level of that name, or 0. */
enum log_level log_level_find(const char *name);

/* True when a line of this level would be written: ask before costly work. */
bool log_wants(const struct log_ctx *ctx, enum log_level level);

void log_write(const struct log_ctx *ctx, enum log_level level,
               const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with ": (2: No such file or directory)" of error behind it. */
void log_errno(const struct log_ctx *ctx, enum log_level level, int error,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

#define log_err(ctx, ...) log_write(ctx, LEVEL_ERROR, __VA_ARGS__)
#define log_warn(ctx, ...) log_write(ctx, LEVEL_WARN, __VA_ARGS__)
#define log_notice(ctx, ...) log_write(ctx, LEVEL_NOTICE, __VA_ARGS__)
#define log_info(ctx, ...) log_write(ctx, LEVEL_INFO, __VA_ARGS__)
/* Whether anybody may want debug lines: set once, so that they cost those who
 * do not a branch. */
extern bool log_debug_is_on;
#define log_debug(ctx, ...)                                                    \
    do {                                                                       \
        if (log_debug_is_on && log_wants(ctx, LEVEL_DEBUG))                    \
            log_write(ctx, LEVEL_DEBUG, __VA_ARGS__);                          \
    } while (0)

/*
 * For noise that a peer can cause: true at most once a minute for each
 * struct, with the number of suppressed calls in *skipped.
 */
struct log_limit {
    uint64_t next_ms;
    uint64_t skipped;
};
bool log_limit_pass(struct log_limit *limit, uint64_t *skipped);

#endif

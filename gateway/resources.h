/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/resources.h - what a generation names outside of itself: listening
 * sockets and log files.
 *
 * The master opens them and passes them on; a worker only receives.  A socket
 * whose address the old generation had too is kept, so that no connection is
 * refused while the configuration changes.
 */
#ifndef PENSTOCK_GATEWAY_RESOURCES_H
#define PENSTOCK_GATEWAY_RESOURCES_H

#include "serve/generation.h"

enum {
    RESOURCES_TRY = 1 << 0,  /* -t: bind, but let a port be in use */
    RESOURCES_WAIT = 1 << 1, /* at start: a port may become free soon */
};

/*
 * Open what is not open yet.  old: the generation in use, or NULL.  workers:
 * how many sockets a reuseport address gets.  -1 with err; what was opened is
 * closed again then, and what old has is as it was.
 */
int listens_open(struct generation *g, const struct generation *old,
                 size_t workers, unsigned flags, struct err *err);

/* Close the sockets that next (NULL: nobody) does not use; the files of Unix
 * sockets that are closed for good are removed. */
void listens_close(struct generation *g, const struct generation *next);

/* Open every log that is closed.  -1 with err. */
int logs_open(struct generation *g, struct err *err);

/* Open every log again under its name; one that can not be opened stays as it
 * is, and is reported. */
void logs_reopen(struct generation *g);

/* One log file, by its name; it never blocks who writes.  -1 with errno. */
int log_open(const char *path);

/* Descriptor 2 leads where this generation's error log does. */
void stderr_follow(const struct generation *g);

/* Until a configuration decides: lines go to the file at path, or to stderr
 * when path is NULL.  -1 with errno. */
int log_early_open(const char *path);
bool log_early_is_file(void);

/* The process's own log lines go to the error log of g, and the early log is
 * closed; NULL: to stderr. */
void log_process_use(const struct generation *g);

/*
 * A listening Unix socket at path.  The file of a dead one is replaced; one
 * that answers, or a file of another kind, is left alone and refused.  -1
 * with err; *in_use is set when somebody answers there.
 */
int unix_listen(const struct address *address, int backlog, mode_t mode,
                bool *in_use, struct err *err);

/* Close it, and remove its file when it is a Unix socket of ours; -1 is
 * fine. */
/* Its file has this name now. */
void socket_renamed(int fd, const char *path);
void socket_close(int fd);

#endif

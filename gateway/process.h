/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/process.h - the worker processes, as their master sees them.
 *
 * A place is a worker's number; it holds one process that serves, and there
 * may be older ones that retire.  What a worker must be told is noted here
 * and sent as its channel takes it: a slow worker delays nobody, and skips
 * generations that were overtaken before it could be told of them.
 */
#ifndef PENSTOCK_GATEWAY_PROCESS_H
#define PENSTOCK_GATEWAY_PROCESS_H

#include "base/list.h"
#include "base/log.h"
#include "serve/generation.h"

struct process {
    struct list link;
    pid_t pid;
    int channel;       /* -1: closed */
    unsigned number;   /* of its place */
    unsigned identity; /* what it is known by to backends */
    bool retiring;     /* was told to quit: is not replaced */
    uint64_t started_ms;
    uint64_t kill_ms; /* SIGKILL when it lives then; 0: never */

    struct generation *told; /* the last one it knows or is being told */
    unsigned confirmed;      /* the number of the last one it uses */
    bool telling;            /* told was not sent to its end yet */
    size_t told_fds;         /* descriptors of told that were sent */
    bool head_sent;
    struct list renewals; /* sockets with new processes behind, in order */
    bool wants_reopen, wants_quit, wants_stop;
    int *relays; /* memfds of other workers, to be told in order */
    size_t relays_n;
    struct log_limit noise; /* about those that it will not be told */
    bool stuck;             /* its channel is full: wait for POLLOUT */
};

/* One backend that it is to be told of. */
struct renewal {
    struct list link;
    char path[];
};
void process_renew(struct process *p, const char *path);
void process_fini(struct process *p); /* what it was not told */

struct bundle;

/* Send what is to be said, as much as the channel takes.  newest: what it
 * should use; bundle_fd: the texts of newest.  -1: it can not be told. */
int process_tell(struct process *p, struct generation *newest, int bundle_fd);

/* Note a copy of fd, to be told.  False when there are too many already. */
bool process_relay(struct process *p, int fd);

/* Descriptors of g that worker number is sent, in order: its socket of each
 * address, then the logs, then the memory of zones.  -1 past the end. */
int process_fd(const struct generation *g, unsigned number, size_t i);
size_t process_fds(const struct generation *g);

#endif

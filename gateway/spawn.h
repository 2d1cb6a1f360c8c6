/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/spawn.h - backends that the master starts, watches and restarts.
 *
 * Each instance of a `spawn` line has a listening Unix socket that the master
 * makes and keeps: the process gets it as descriptor 3 (LISTEN_FDS=1), and a
 * restart loses no one who is connecting.  An instance is known by the path
 * of its socket; one whose line did not change lives through reloads.
 */
#ifndef PENSTOCK_GATEWAY_SPAWN_H
#define PENSTOCK_GATEWAY_SPAWN_H

#include <sys/types.h>

#include "serve/generation.h"

/* Make the sockets of instances that g has and nobody made yet.  -1 with err;
 * nothing is left of it then. */
int spawn_open(const struct generation *g, struct err *err);

enum { SPAWN_PATH_MAX = 108 };

/* The workers that use backends, and how to tell them that behind a socket's
 * path there is a new process. */
struct spawn_users {
    pid_t *pids;
    size_t n;
    void (*renewed)(void *arg, const char *path);
    void *arg;
};

/*
 * g is in use now: new instances start, others end, and those whose line
 * changed are renewed: a new process starts, with a socket of its own at the
 * same path, and the old one ends when all users have left it.
 */
void spawn_adopt(const struct generation *g, const struct spawn_users *users);

/* Renew all of this pool.  Returns how many there are. */
size_t spawn_restart(const struct generation *g, struct str pool,
                     const struct spawn_users *users);

/* The user left what was at path before it was renewed or removed; path NULL:
 * it ended, and with it all that it used. */
void spawn_moved(pid_t user, const char *path);

/* Start what is due, kill what does not end.  Returns the milliseconds until
 * it wants to be called again, or -1. */
int spawn_tend(void);

/* True when the process that ended was one of ours. */
bool spawn_ended(pid_t pid, int status);

/* Ask all to end; spawn_living() falls to 0. */
void spawn_stop(void);
size_t spawn_living(void);

/* Close and forget everything: at the end, and in a forked worker (keep_files:
 * the sockets' files are not its own to remove). */
void spawn_forget(bool keep_files);

#endif

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

/* g is in use now: new instances start, changed ones restart, others end. */
void spawn_adopt(const struct generation *g);

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

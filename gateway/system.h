/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/system.h - what a Unix daemon owes its system: standard
 * descriptors, the background, the pid file, privileges, its name in ps.
 */
#ifndef PENSTOCK_GATEWAY_SYSTEM_H
#define PENSTOCK_GATEWAY_SYSTEM_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Descriptors 0, 1 and 2 are open after this, on /dev/null when they were
 * not: nothing else may ever get these numbers. */
void system_open_standard(void);

/*
 * Go to the background.  Returns in the daemon, with a descriptor to give to
 * system_daemon_ready(); the process that was started waits for that and ends
 * with 0, or with 1 when the daemon died first.  -1 with err.
 */
int system_daemonise(struct err *err);
void system_daemon_ready(int ready_fd); /* -1 is fine */

/* The file appears whole or not at all.  -1 with err. */
int pid_file_write(const char *path, pid_t pid, struct err *err);
/* The number in it.  -1 with err. */
pid_t pid_file_read(const char *path, struct err *err);

/* Become uid and gid with the groups of user, for good.  -1 with err. */
int system_drop_privileges(const char *user, uid_t uid, gid_t gid,
                           struct err *err);

/* Where argv and environ lie, for system_set_title(); call first in main. */
void system_keep_arguments(int argc, char **argv);
void system_set_title(const char *title); /* "penstock: " is put before */

/* Read the clock; milliseconds that only grow. */
uint64_t system_now_ms(void);

/* Block these signals and read them from a descriptor.  -1 with err. */
int system_signal_fd(const sigset_t *set, struct err *err);
/* The set our processes listen to. */
void system_signals(sigset_t *set);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/master.h - the privileged parent: signals, reload, processes.
 */
#ifndef PENSTOCK_GATEWAY_MASTER_H
#define PENSTOCK_GATEWAY_MASTER_H

#include "load.h"

/*
 * Run until told to end.  how: the way the configuration was read and is read
 * again; g: the first generation, its sockets and logs open (taken over).
 * ready_fd: for system_daemon_ready().  Returns the exit
 * code, or -1 with err when it could not begin (g is the caller's again).  In a
 * child it does not return.
 */
int master_run(const struct load *how, struct generation *g,
               const struct conf_file *files, int ready_fd, struct err *err);

#endif

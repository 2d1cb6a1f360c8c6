/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/inherit.h - what the process that started us left open for us.
 *
 * PENSTOCK_INHERIT=FD[;FD...]: listening sockets.  A `listen` of the same
 * address takes such a socket instead of opening one, so that who starts us
 * can bind a port, see why that fails and which port it became.  Until a
 * configuration has one, clients wait in its backlog.
 *
 * PENSTOCK_LIFELINE=FD: a pipe or socket whose other end only our parent
 * holds.  When that is closed, however the parent ended, we end too.
 *
 * PENSTOCK_PRIVATE=DIRECTORY: the prefix, of mode 0700 and ours, which is
 * removed with all that is in it when the master ends.
 */
#ifndef PENSTOCK_GATEWAY_INHERIT_H
#define PENSTOCK_GATEWAY_INHERIT_H

#include "base/address.h"
#include "base/err.h"

/* Reads the variables; spawned processes do not get them.  -1 with err: a
 * number that is not an open descriptor, or not a listening socket; a
 * directory that may not be removed. */
int inherit_start(const char *prefix, struct err *err);

/* The inherited socket of this address, now the caller's; or -1. */
int inherit_take(const struct address *address);

/* In a worker: all that is the master's. */
void inherit_forget(void);
/* At the end of the master: what nobody took, and the directory. */
void inherit_end(void);

int inherit_lifeline(void); /* or -1 */
/* It can be read: is its other end closed?  It is closed here then. */
bool inherit_is_cut(void);

#endif

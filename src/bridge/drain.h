/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drain.h - a worker retires: its sessions are closed, not all at once.
 */
#ifndef PENSTOCK_SRC_BRIDGE_DRAIN_H
#define PENSTOCK_SRC_BRIDGE_DRAIN_H

#include "bridge/link.h"

/* Close the sessions of p one after the other.  Returns the ms that it will
 * take. */
uint64_t drain_begin(struct pool *p);
/* The pool goes. */
void drain_fini(struct pool *p);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cross.h - what a backend may do to a client of its pool that another backend
 * has (CROSS): send it messages, put it into channels, close it.  Fragments,
 * state and moving are its owner's.
 */
#ifndef PENSTOCK_SRC_BRIDGE_CROSS_H
#define PENSTOCK_SRC_BRIDGE_CROSS_H

#include "bridge/link.h"

/* The session of an id on this link or, when it may, on any of its pool; also
 * one that waits for a backend.  NULL: there is none that lives. */
struct session *cross_find(struct link *l, uint64_t cid);

/* A frame about a client that is not the link's.  0, or a negated link-fatal
 * code. */
int cross_take(struct link *l, const struct sluice_frame *f);

#endif

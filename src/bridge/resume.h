/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resume.h - a session comes to another backend: RESUME, and what follows.
 */
#ifndef PENSTOCK_SRC_BRIDGE_RESUME_H
#define PENSTOCK_SRC_BRIDGE_RESUME_H

#include "bridge/session.h"

/* Bind s, which has no link, to l, whose backend counts it already.  foreign:
 * that backend did not have it before.  False when RESUME is too big for its
 * frames; s is bound nowhere then. */
bool resume_on(struct session *s, struct link *l, struct app *app,
               bool foreign);

/* RESUME_END: all that are to come now have been announced. */
void resume_end(struct link *l);

#endif

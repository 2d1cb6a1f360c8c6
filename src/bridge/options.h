/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - OPT of REGISTER, ACCEPT and SET_OPTS (SLUICE section 4).
 *
 * An app's options are what its clients begin with; a client's own come on
 * top.  Limits can only be made narrower than the location's.
 */
#ifndef PENSTOCK_SRC_BRIDGE_OPTIONS_H
#define PENSTOCK_SRC_BRIDGE_OPTIONS_H

#include "bridge/session.h"

/* Of REGISTER. */
void app_add_option(struct app *a, const struct sluice_tlv *t);
bool app_has_option(const struct app *a, enum sluice_option id,
                    uint32_t *value);

/* What the location says, then what the app does (NULL: there is none). */
void session_begin_options(struct session *s, const struct app *app);

/* The connection is there now: what concerns its socket. */
void session_connect_options(struct session *s);

#endif

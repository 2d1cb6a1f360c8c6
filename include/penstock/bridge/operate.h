/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bridge/operate.h - backend_status and backend_sessions: what an operator
 * sees of pools and sessions of all workers, as JSON, and how to end one.
 *
 * Who may ask is the location's to say (allow, auth_basic, limit_except).
 */
#ifndef PENSTOCK_BRIDGE_OPERATE_H
#define PENSTOCK_BRIDGE_OPERATE_H

#include "serve/request.h"

extern struct conf_module operate_module;

#endif

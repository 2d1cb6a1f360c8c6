/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/userid.h - a cookie that tells browsers apart: userid, $uid_got,
 * $uid_set.
 */
#ifndef PENSTOCK_SERVE_USERID_H
#define PENSTOCK_SERVE_USERID_H

#include "serve/request.h"

extern struct conf_module userid_module;
extern const struct variable userid_variables[];

/* Adds the Set-Cookie that is due; a head filter. */
void userid_filter(struct request *r);
bool userid_is_on(const struct conf_scope *scope);

#endif

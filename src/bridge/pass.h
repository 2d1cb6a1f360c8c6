/* SPDX-License-Identifier: BSD-2-Clause */
/* pass.h - what websocket_pass and backend_pass have in common. */
#ifndef PENSTOCK_SRC_BRIDGE_PASS_H
#define PENSTOCK_SRC_BRIDGE_PASS_H

#include "bridge/conf.h"

/* "NAME [app=NAME]"; *pattern is the location's own, NULL when it is not a
 * regular expression.  -1 with the error told. */
int pass_read(struct conf *conf, const struct conf_scope *scope,
              const struct conf_node *node, const struct pool_conf **pool,
              struct str *app, struct regex **pattern);

#endif

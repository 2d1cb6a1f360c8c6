/* SPDX-License-Identifier: BSD-2-Clause */
/* conf/engine.h - what the engine's files share. */
#ifndef PENSTOCK_CONF_ENGINE_H
#define PENSTOCK_CONF_ENGINE_H

#include "conf/conf.h"

/* Is it one of conf.h's setters for common fields, which a row's default_text
 * can be given to? */
bool conf_setter_is_common(conf_setter *set);

/* Apply default_text to field as if it stood in the configuration. */
int conf_set_default(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, void *field);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/nameless.h - the locations that if{} and limit_except{} make.
 *
 * Each starts as a copy of the one it stands in (whose own directives are
 * applied by then): the same handler, unless its block names another.
 */
#ifndef PENSTOCK_SERVE_NAMELESS_H
#define PENSTOCK_SERVE_NAMELESS_H

#include "blocks.h"

/* Apply node's block in such a location.  NULL with conf's error. */
static inline struct location *nameless_location(struct conf *conf,
                                                 struct conf_scope *scope,
                                                 enum conf_context context,
                                                 const struct conf_node *node)
{
    struct location *outer = location_of_scope(scope);
    struct location *l = arena_copy(conf->arena, outer, sizeof *l);
    struct conf_scope *made;

    l->nameless = true;
    l->parent = outer;
    if (conf_block(conf, scope, context, node, l, &made) == -1)
        return NULL;
    l->scope = made;
    return l;
}

#endif

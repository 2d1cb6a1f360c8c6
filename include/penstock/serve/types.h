/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/types.h - the media type of a URI, by its extension.
 */
#ifndef PENSTOCK_SERVE_TYPES_H
#define PENSTOCK_SERVE_TYPES_H

#include "serve/request.h"

struct types_conf {
    struct map *by_extension; /* -> struct type; NULL: the built-in three */
    const struct conf_scope *owner;
    struct str default_type;
};

extern struct conf_module types_module;

/* The extension of the last segment, without its dot; empty: none.  A name
 * that starts with a dot has none for that. */
struct str types_extension(struct str uri);

/* default_type when the extension is unknown; n 0: send no type. */
struct str types_find(const struct types_conf *c, struct str uri);

#endif

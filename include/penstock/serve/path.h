/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/path.h - which file a URI means: root and alias.
 *
 * Knows text, not the file system.  A path never leaves its root by a ".."
 * segment of the URI, whatever a rewrite or an alias without a slash at its
 * end made of it.
 */
#ifndef PENSTOCK_SERVE_PATH_H
#define PENSTOCK_SERVE_PATH_H

#include "serve/request.h"

struct path_conf {
    struct value *root;  /* of root or alias; NULL: the default, html */
    struct str constant; /* its full path when it has no variables */
    bool is_alias;
    bool alias_is_whole; /* in a regex location: the path is all of it */
    struct str alias_stands_for; /* the location's text that it replaces */
    const struct conf_scope *owner;
};

extern struct conf_module path_module;

struct path {
    struct str text; /* NUL-terminated, in the request's arena */
    size_t root_n;   /* bytes of it that are root or alias */
};

/*
 * The path of uri (which starts with a slash) at the request's location.
 * 0, or the status to answer with: 404 when the path would leave the root or
 * holds a NUL, 500 when an alias does not fit the (rewritten) URI.  The
 * reason is in the error log.
 */
int path_of_uri(struct request *r, struct str uri, struct path *out);

/* The root or alias itself, without a slash at its end if it is a root. */
struct str path_root(struct request *r);

/* $document_root, $realpath_root, $request_filename; ends with name NULL. */
extern const struct variable path_variables[];

#endif

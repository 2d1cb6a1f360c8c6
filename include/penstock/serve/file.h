/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/file.h - files as a location wants them opened: open_file_cache,
 * disable_symlinks.
 */
#ifndef PENSTOCK_SERVE_FILE_H
#define PENSTOCK_SERVE_FILE_H

#include <sys/stat.h>

#include "serve/open_cache.h"
#include "serve/path.h"

enum file_symlinks {
    SYMLINKS_FOLLOWED = 0,
    SYMLINKS_REFUSED,
    SYMLINKS_OF_THEIR_OWNER, /* followed to what belongs to the same user */
};

/* In struct static_conf. */
struct file_conf {
    struct open_cache *cache; /* NULL: none */
    struct open_cache_rules rules;
    unsigned symlinks;   /* enum file_symlinks */
    struct value *trust; /* from=: the part of a path that is not looked at */
};

/* Sets *st, and *fd, which is the caller's, for a regular file; -1 for any
 * other.  0 or an errno: ELOOP for a link that is not followed. */
int file_open(struct request *r, const struct path *path, struct stat *st,
              int *fd);
int file_stat(struct request *r, const struct path *path, struct stat *st);

#endif

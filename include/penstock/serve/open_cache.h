/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/open_cache.h - descriptors and what stat() said, kept by path.
 *
 * Of one process and one generation.  Who was not asked for during
 * inactive_ms goes, and so does the one that was idle the longest when there
 * are more than max.  What somebody
 * holds stays whole until it is given back.
 */
#ifndef PENSTOCK_SERVE_OPEN_CACHE_H
#define PENSTOCK_SERVE_OPEN_CACHE_H

#include <sys/stat.h>

#include "base/list.h"
#include "conf/conf.h"

struct open_cache;

enum open_how {
    OPEN_TO_READ = 1, /* O_RDONLY; only regular files stay open */
    OPEN_TO_LOG,      /* O_APPEND | O_CREAT */
};

struct open_cache_settings {
    enum open_how how;
    uint64_t max; /* entries; 0: there is no cache */
    uint64_t inactive_ms;
};

/* Each who asks has his own. */
struct open_cache_rules {
    uint64_t valid_ms; /* what is older is looked at again */
    uint64_t min_uses; /* during inactive_ms, for the descriptor to stay */
    bool errors;       /* that a file could not be opened is kept, too */
};

struct open_file {
    int error;      /* of open() or fstat(); 0: */
    struct stat st; /* is known */
    int fd;         /* -1: no regular file */
};

/* Read "off" (max is 0) or "max=N [inactive=TIME] ..." into *s, and valid= and
 * min_uses= into *rules; NULL: these are directives of their own. */
int open_cache_parse(struct conf *conf, const struct conf_node *node,
                     struct open_cache_settings *s,
                     struct open_cache_rules *rules);

struct open_cache *open_cache_create(const struct open_cache_settings *s);
void open_cache_destroy(struct open_cache *c);
/* Close everything that nobody holds. */
void open_cache_clear(struct open_cache *c);

/* Never NULL; give it back in the same turn. */
struct open_file *open_cache_get(struct open_cache *c,
                                 const struct open_cache_rules *rules,
                                 const char *path);
void open_cache_give(struct open_cache *c, struct open_file *f);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/load.h - from text to a generation, in the master and in a worker.
 */
#ifndef PENSTOCK_GATEWAY_LOAD_H
#define PENSTOCK_GATEWAY_LOAD_H

#include "serve/generation.h"

struct load {
    struct conf_source source;
    const char *path;   /* of the configuration file */
    const char *prefix; /* with a slash at its end */
    struct str globals; /* the text of -g */
    unsigned number;
    void (*warn)(void *arg, const char *sentence); /* NULL: nobody listens */
    void *warn_arg;
    struct conf_file *files_read; /* out: also when it failed; in the arena */
};

enum {
    LOAD_ARENA_CHUNK = 64 * 1024 /* bytes */
};

/*
 * Read, apply and resolve.  Nothing outside is opened.  The arena is the
 * generation's from here, and is destroyed when this fails.  NULL with the
 * sentence, with its file and line, in err.
 */
struct generation *generation_load(struct load *load, struct arena *arena,
                                   struct err *err);

/*
 * The texts of a configuration as bytes in a memory file, and back.  What
 * comes back is a load whose source is the bundle; texts are in the arena.
 * -1 with err.
 */
int bundle_write(const struct load *load, const struct conf_file *files,
                 struct err *err);
int bundle_read(struct load *load, int fd, struct arena *arena,
                struct err *err);

#endif

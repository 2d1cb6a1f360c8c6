/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serve/temp.h - where bodies go that memory is too small for.
 *
 * The directories are made by the master, for the workers' user; a worker
 * makes their subdirectories and the files, which have numbers for names.
 */
#ifndef PENSTOCK_SERVE_TEMP_H
#define PENSTOCK_SERVE_TEMP_H

#include "serve/generation.h"

enum {
    TEMP_LEVELS_MAX = 3 /* of subdirectories */
};

struct temp_path {
    const char *path;
    unsigned levels[TEMP_LEVELS_MAX]; /* digits of each; 0: no more */
};

struct temp_conf {
    struct temp_path client_body, proxy, other;
    struct conf_list all; /* const char, of the main scope: every path that
                             was named */
};

extern struct conf_module temp_module;

/* PATH [LEVEL [LEVEL [LEVEL]]], from the word after the name; to a struct
 * temp_path.  The path becomes one that is made. */
conf_setter temp_path_set;
void temp_path_add(struct conf *conf, const char *path);
int temp_levels_read(struct conf *conf, const struct directive *row,
                     struct str text, unsigned *level);

/* Every path to make: those that were named (which must be there), and then,
 * from *optional on, the defaults (which need not). */
void temp_paths(const struct generation *g, const struct conf_list **named,
                const char *defaults[2]);

/*
 * A new file, open for reading and writing; *name, in the arena, ends with a
 * NUL that is not counted.  -1 with errno.
 */
int temp_file_create(const struct temp_path *in, struct arena *arena,
                     struct str *name);

/* All of n bytes at offset; -1 with errno.  At most step bytes in one call
 * (0: no limit). */
int temp_file_write(int fd, const void *p, size_t n, uint64_t offset,
                    size_t step);

/* Give the file behind fd another name, on another file system too (then with
 * that mode); what was there is replaced.  -1 with errno. */
int temp_file_move(int fd, const char *name, const char *path, unsigned mode);

#endif

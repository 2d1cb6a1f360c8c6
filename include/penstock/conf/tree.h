/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf/tree.h - nginx's configuration grammar, as a tree of directives.
 *
 * Knows words, quotes, escapes, blocks, comments and include; nothing of what
 * a directive means.  Files are read through a conf_source, so that a worker
 * without access to the file system can parse what its master read.
 *
 * One parse is one snapshot: a path that is included twice is read once and
 * listed once, and a mask that stands twice has the same matches.
 */
#ifndef PENSTOCK_CONF_TREE_H
#define PENSTOCK_CONF_TREE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* Bounds on a whole configuration; passing one is an error at its place. */
enum {
    CONF_TEXT_MAX = 64 << 20, /* bytes, a file counted as often as included */
    CONF_WORDS_MAX = 4 << 20,
    CONF_FILES_MAX = 10000, /* inclusions */
    CONF_INCLUDE_DEPTH_MAX = 32,
    CONF_BLOCK_DEPTH_MAX = 64,
    CONF_WORD_MAX = 4095, /* bytes as written, nginx's */
};

/* One file of a configuration, as read. */
struct conf_file {
    const char *path; /* absolute */
    struct str text;
    struct conf_file *next; /* in the order of reading */
};

struct conf_word {
    struct str text; /* unquoted, unescaped as nginx does it */
    bool quoted;     /* "" or '': `on` and "on" differ nowhere, but a quoted
                        "{" opens no block */
};

/* name args ;   or   name args { children } */
struct conf_node {
    struct conf_word *words; /* words[0] is the name */
    size_t words_n;
    const char *file;  /* "command line" for what -g says */
    unsigned line;     /* of its ';' or '{', which is the line that nginx
                          names in messages; 0 on the command line */
    unsigned end_line; /* of its '}', or the same */
    bool is_block;
    struct conf_node *children; /* of a block, in order */
    struct conf_node *next;
    struct conf_node *parent; /* NULL at the top */
};

/*
 * Where text comes from.  read: the whole of a file, in the arena, or -1
 * with err ("open() \"/x\" failed (2: No such file or directory)"); glob: the
 * matches of an include mask, sorted, NULL-terminated, in the arena.
 */
struct conf_source {
    int (*read)(void *self, const char *path, struct arena *arena,
                struct str *text, struct err *err);
    int (*glob)(void *self, const char *mask, struct arena *arena,
                char ***paths, struct err *err);
    void *self;
};

/* Reads the file system. */
extern const struct conf_source conf_source_files;

/* Reads a list of files that was parsed before (a mask matches among them);
 * the list outlives the source. */
struct conf_source conf_source_bundle(const struct conf_file *files);

struct conf_tree {
    struct conf_node *top; /* the main context's directives */
    struct conf_file *files;
    const struct conf_file *data; /* where in files conf_read_file()'s begin:
                                     never shown, there are keys among them */
    const struct conf_source *source; /* while the configuration is applied */
    const char *prefix; /* directory of the main file, with a slash at its end:
                           where relative include paths start */
};

/*
 * Parse path and what it includes.  Everything lives in the arena.
 * -1 with nginx's sentence, e.g.
 *   unexpected end of file, expecting ";" or "}" in /etc/x.conf:12
 * globals: the text of -g, parsed before the file, or an empty str.
 */
int conf_tree_parse(struct conf_tree *tree, struct arena *arena,
                    const struct conf_source *source, const char *path,
                    struct str globals, struct err *err);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access/users_file.h - "name:hash" lines, as htpasswd writes them.
 *
 * Files are read by the worker, with its rights, and kept until they change
 * on disk.  Only for the loop.
 */
#ifndef PENSTOCK_SERVE_USERS_FILE_H
#define PENSTOCK_SERVE_USERS_FILE_H

#include "base/str.h"

enum {
    USERS_FILE_MAX = 64 << 20, /* bytes */
    USERS_FILES_MAX = 32,      /* that are kept; the least used goes */
};

/*
 * The hash of user in the file at path, borrowed until the next call.  1: it
 * is there; 0: no such user; -1 with errno: the file can not be read.
 */
int users_file_find(const char *path, struct str user, struct str *hash);

/* Forget all files. */
void users_files_drop(void);

#endif

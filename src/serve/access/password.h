/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access/password.h - does a password fit a hash of a password file?
 *
 * "$apr1$", "{PLAIN}", "{SHA}" and "{SSHA}" (RFC 2307) are known here, all
 * others are crypt(3)'s: DES, MD5, SHA-2, bcrypt, yescrypt, as the C library
 * has them.
 */
#ifndef PENSTOCK_SERVE_PASSWORD_H
#define PENSTOCK_SERVE_PASSWORD_H

#include "base/str.h"

enum {
    PASSWORD_MAX = 1024, /* bytes; longer ones fit nothing */
};

/* Reentrant.  A NUL that is not counted stands behind both. */
bool password_fits(struct str hash, struct str password);

/* Checking takes so long that a loop should not wait for it. */
bool password_is_slow(struct str hash);

#endif

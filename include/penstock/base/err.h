/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * base/err.h - the sentence that says why a setup function failed.
 *
 * The caller owns the struct; who fails fills it and returns -1 (or NULL).
 */
#ifndef PENSTOCK_BASE_ERR_H
#define PENSTOCK_BASE_ERR_H

enum {
    ERR_TEXT_MAX = 1024 /* bytes with the NUL; longer text is cut */
};

struct err {
    char text[ERR_TEXT_MAX];
};

/* Write the sentence (no full stop, no newline).  Always returns -1. */
int err_set(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Put "prefix: " before the sentence that is there.  Always returns -1. */
int err_prefix(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

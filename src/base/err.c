/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return -1;
}

int err_prefix(struct err *err, const char *format, ...)
{
    char prefix[ERR_TEXT_MAX];
    char old[ERR_TEXT_MAX];
    va_list args;

    memcpy(old, err->text, sizeof old);
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    int n = snprintf(err->text, sizeof err->text, "%s: ", prefix);
    if (n > 0 && (size_t)n < sizeof err->text)
        memcpy(err->text + n, old, sizeof err->text - (size_t)n);
    err->text[sizeof err->text - 1] = '\0';
    return -1;
}

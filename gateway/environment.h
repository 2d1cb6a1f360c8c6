/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gateway/environment.h - rows of words that end with NULL, as exec has them;
 * and what spawned backends get of our environment.
 */
#ifndef PENSTOCK_GATEWAY_ENVIRONMENT_H
#define PENSTOCK_GATEWAY_ENVIRONMENT_H

#include "settings.h"

/* A copy, and its end (NULL is fine). */
char **words_copy(char *const *words);
void words_free(char **words);
bool words_eq(char *const *a, char *const *b);

/* PATH and the like, and what `env` says. */
char **environment_make(const struct settings *s);

#endif

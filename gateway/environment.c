/* SPDX-License-Identifier: BSD-2-Clause */
#include "environment.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* ---- words ---- */

char **words_copy(char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    char **copy = xcalloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(words[i]);
    return copy;
}

void words_free(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

bool words_eq(char *const *a, char *const *b)
{
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return !*a && !*b;
}

/* ---- the environment ---- */

/* PATH, HOME, TZ and the locale, and what `env` says. */
static bool is_kept(const char *word, const struct settings *s)
{
    static const char *const always[] = {
        "PATH=", "HOME=", "TZ=", "LANG=", "LC_", "TMPDIR="};
    for (size_t i = 0; i < COUNT(always); i++)
        if (strncmp(word, always[i], strlen(always[i])) == 0)
            return true;
    for (size_t i = 0; i < s->env.n; i++) {
        const char *name = s->env.items[i];
        size_t n = strlen(name);
        if (!strchr(name, '=') && strncmp(word, name, n) == 0 && word[n] == '=')
            return true;
    }
    return false;
}

char **environment_make(const struct settings *s)
{
    extern char **environ;
    size_t n = 0, at = 0;
    while (environ[n])
        n++;
    char **environment = xcalloc(n + s->env.n + 1, sizeof *environment);
    for (size_t i = 0; i < n; i++)
        if (is_kept(environ[i], s))
            environment[at++] = xstrdup(environ[i]);
    for (size_t i = 0; i < s->env.n; i++)
        if (strchr(s->env.items[i], '='))
            environment[at++] = xstrdup(s->env.items[i]);
    return environment;
}

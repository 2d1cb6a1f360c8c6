/* SPDX-License-Identifier: BSD-2-Clause */
#include "temp_paths.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings.h"

enum {
    LEVELS_MAX = 3, /* of subdirectories */
};

/* Of the main scope: every path, whichever scope names it. */
struct temp_paths {
    struct conf_list all; /* const char */
};

static struct conf_list *paths_of(const struct conf_scope *main)
{
    return &((struct temp_paths *)conf_get(main, &temp_paths_module))->all;
}

static int set_path(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)scope, (void)field;
    for (size_t i = 2; i < node->words_n; i++) {
        uint64_t digits;
        if (!str_to_u64(conf_arg(node, i), LEVELS_MAX, &digits) || !digits)
            return conf_fail(conf,
                             "invalid value \"%.*s\" in \"%s\", a level is 1, "
                             "2 or 3 digits",
                             STR_ARG(conf_arg(node, i)), row->name);
    }
    const char *path = conf_full_path(conf, conf_arg(node, 1), false);
    conf_list_add(conf, conf->main, paths_of(conf->main),
                  (void *)(uintptr_t)path);
    return 0;
}

static int create(const char *path, const struct settings *s, struct err *err)
{
    struct stat st;

    if (mkdir(path, 0700) == -1 && errno != EEXIST)
        return err_set(err, "mkdir() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    if (stat(path, &st) == -1)
        return err_set(err, "stat() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_set(err, "\"%s\" is not a directory", path);
    if (s->user && geteuid() == 0 && st.st_uid != s->uid &&
        chown(path, s->uid, (gid_t)-1) == -1)
        return err_set(err, "chown(\"%s\", %u) failed (%d: %s)", path,
                       (unsigned)s->uid, errno, strerror(errno));
    if ((st.st_mode & 0700) != 0700 && chmod(path, st.st_mode | 0700) == -1)
        return err_set(err, "chmod() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    return 0;
}

int temp_paths_create(const struct generation *g, struct err *err)
{
    const struct conf_list *paths = paths_of(g->conf.main);

    for (size_t i = 0; i < paths->n; i++)
        if (create(paths->items[i], settings_of(g), err) == -1)
            return -1;
    return 0;
}

#define TEMP_PATH(directive)                                                   \
    {                                                                          \
        .name = directive,                                                     \
        .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,                   \
        .arity = ARGS_1 | ARGS_2 | ARGS_3 | ARGS_4, .set = set_path,           \
        .syntax = "PATH [LEVEL [LEVEL [LEVEL]]]",                              \
        .help = "A directory that is made at start; bodies are streamed, "     \
                "nothing is put there.",                                       \
    }

static const struct directive temp_paths_directives[] = {
    TEMP_PATH("client_body_temp_path"), TEMP_PATH("proxy_temp_path"),
    TEMP_PATH("fastcgi_temp_path"),     TEMP_PATH("uwsgi_temp_path"),
    TEMP_PATH("scgi_temp_path"),        {.name = NULL},
};

struct conf_module temp_paths_module = {
    .name = "temp_paths",
    .size = sizeof(struct temp_paths),
    .directives = temp_paths_directives,
};

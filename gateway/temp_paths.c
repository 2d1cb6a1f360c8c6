/* SPDX-License-Identifier: BSD-2-Clause */
#include "temp_paths.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/temp.h"
#include "settings.h"

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
    const struct conf_list *named;
    const char *defaults[2];
    struct err ignored;

    temp_paths(g, &named, defaults);
    for (size_t i = 0; i < named->n; i++)
        if (create(named->items[i], settings_of(g), err) == -1)
            return -1;
    /* Who needs one of these and has it not is told by whom it is needed. */
    for (size_t i = 0; i < 2; i++)
        create(defaults[i], settings_of(g), &ignored);
    return 0;
}

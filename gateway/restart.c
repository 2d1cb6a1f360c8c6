/* SPDX-License-Identifier: BSD-2-Clause */
#include "restart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void restart_path(char path[PATH_MAX], const char *pid_path)
{
    snprintf(path, PATH_MAX, "%s.restart", pid_path);
}

int restart_file_add(const char *pid_path, const char *name, struct err *err)
{
    char path[PATH_MAX];

    restart_path(path, pid_path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                  0600);
    FILE *f = fd == -1 ? NULL : fdopen(fd, "a");
    if (!f || fprintf(f, "%s\n", name) < 0 || fclose(f) != 0)
        return err_set(err, "open() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    return 0;
}

FILE *restart_file_take(const char *pid_path)
{
    char path[PATH_MAX];
    struct stat st;

    restart_path(path, pid_path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd == -1)
        return NULL;
    unlink(path);
    /* Nobody else's words. */
    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
        (st.st_uid != 0 && st.st_uid != geteuid())) {
        close(fd);
        return NULL;
    }
    return fdopen(fd, "r");
}

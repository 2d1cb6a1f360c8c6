/* SPDX-License-Identifier: BSD-2-Clause */
#include "resources.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/core.h"

int log_open(const char *path)
{
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC;
    int fd = open(path, flags, 0644);
    /* A FIFO that nobody reads yet: as its own reader we may open it, and
     * lines are dropped while it is full. */
    if (fd == -1 && errno == ENXIO)
        fd = open(path, O_RDWR | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    return fd;
}

int logs_open(struct generation *g, struct err *err)
{
    for (size_t i = 0; i < g->files_n; i++) {
        struct log_file *f = g->files[i];
        if (f->fd != -1)
            continue;
        f->fd = log_open(f->path);
        if (f->fd == -1)
            return err_set(err, "open() \"%s\" failed (%d: %s)", f->path, errno,
                           strerror(errno));
    }
    return 0;
}

void logs_reopen(struct generation *g)
{
    for (size_t i = 0; i < g->files_n; i++) {
        struct log_file *f = g->files[i];
        if (f->fd == STDERR_FILENO)
            continue;
        int fd = log_open(f->path);
        if (fd == -1) {
            log_errno(&log_process, LEVEL_EMERG, errno, "open() \"%s\" failed",
                      f->path);
            continue;
        }
        if (f->fd != -1)
            close(f->fd);
        f->fd = fd;
    }
}

static struct log_file early_file = {.path = "stderr", .fd = STDERR_FILENO};
static const struct log_target early_target = {.file = &early_file,
                                               .level = LEVEL_NOTICE};

int log_early_open(const char *path)
{
    log_process.target = &early_target;
    if (!path)
        return 0;
    int fd = log_open(path);
    if (fd == -1)
        return -1;
    early_file.fd = fd;
    return 0;
}

bool log_early_is_file(void)
{
    return early_file.fd != STDERR_FILENO;
}

void log_process_use(const struct generation *g)
{
    log_process.target = &early_target;
    if (g) {
        const struct error_log_conf *c =
            conf_get(g->conf.main, &error_log_module);
        if (c->target)
            log_process.target = c->target;
    }
    if (log_early_is_file())
        close(early_file.fd);
    early_file.fd = STDERR_FILENO;
}

void stderr_follow(const struct generation *g)
{
    const struct error_log_conf *c = conf_get(g->conf.main, &error_log_module);
    for (const struct log_target *t = c->target; t; t = t->next)
        if (t->file->fd == STDERR_FILENO)
            return;
    if (c->target && c->target->file->fd != -1)
        dup2(c->target->file->fd, STDERR_FILENO);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/str.h"

extern char **environ;

void system_open_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

/* The process that was started: its exit code is the daemon's start. */
static _Noreturn void wait_for_daemon(int fd)
{
    char byte;
    ssize_t got;
    do
        got = read(fd, &byte, 1);
    while (got == -1 && errno == EINTR);
    _exit(got == 1 ? 0 : 1);
}

int system_daemonise(struct err *err)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) == -1)
        return err_set(err, "pipe() failed (%d: %s)", errno, strerror(errno));

    pid_t pid = fork();
    if (pid == -1) {
        close(ready[0]);
        close(ready[1]);
        return err_set(err, "fork() failed (%d: %s)", errno, strerror(errno));
    }
    if (pid > 0) {
        close(ready[1]);
        wait_for_daemon(ready[0]);
    }
    close(ready[0]);
    if (setsid() == -1)
        return err_set(err, "setsid() failed (%d: %s)", errno, strerror(errno));
    /* Once more: a session's leader could get a terminal again. */
    pid = fork();
    if (pid == -1)
        return err_set(err, "fork() failed (%d: %s)", errno, strerror(errno));
    if (pid > 0)
        _exit(0);

    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null == -1)
        return err_set(err, "open() \"/dev/null\" failed (%d: %s)", errno,
                       strerror(errno));
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    close(null);
    return ready[1];
}

void system_daemon_ready(int ready_fd)
{
    if (ready_fd == -1)
        return;
    /* When nobody waits any more there is nobody to tell. */
    ssize_t ignored = write(ready_fd, "", 1);
    (void)ignored;
    close(ready_fd);
}

int pid_file_write(const char *path, pid_t pid, struct err *err)
{
    char temporary[4096], text[24];
    int n = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof temporary)
        return err_set(err, "the path of the pid file is too long");

    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd == -1)
        return err_set(err, "open() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    n = snprintf(text, sizeof text, "%d\n", (int)pid);
    bool good = write(fd, text, (size_t)n) == n;
    int error = errno;
    close(fd);
    if (good && rename(temporary, path) == 0)
        return 0;
    if (good)
        error = errno;
    unlink(temporary);
    return err_set(err, "writing \"%s\" failed (%d: %s)", path, error,
                   strerror(error));
}

pid_t pid_file_read(const char *path, struct err *err)
{
    char text[24];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return err_set(err, "open() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    if (n == -1)
        return err_set(err, "read() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    uint64_t pid;
    if (!str_to_u64(str_n(text, (size_t)n), INT32_MAX, &pid) || pid == 0)
        return err_set(err, "invalid PID number \"%.*s\" in \"%s\"", (int)n,
                       text, path);
    return (pid_t)pid;
}

int system_drop_privileges(const char *user, uid_t uid, gid_t gid,
                           struct err *err)
{
    if (setgid(gid) == -1)
        return err_set(err, "setgid(%u) failed (%d: %s)", gid, errno,
                       strerror(errno));
    if (initgroups(user, gid) == -1)
        return err_set(err, "initgroups(%s, %u) failed (%d: %s)", user, gid,
                       errno, strerror(errno));
    if (setuid(uid) == -1)
        return err_set(err, "setuid(%u) failed (%d: %s)", uid, errno,
                       strerror(errno));
    return 0;
}

static char **kept_argv;
static char *title_end; /* one past the room that a title may use */

/*
 * The kernel shows the bytes where argv was put at start, up to where environ
 * ends when a title runs over; environ is copied away to make that room.
 */
void system_keep_arguments(int argc, char **argv)
{
    if (argc < 1)
        return;
    char *end = argv[0];
    for (int i = 0; i < argc; i++)
        if (argv[i] == end)
            end = argv[i] + strlen(argv[i]) + 1;
    size_t n = 0;
    while (environ[n])
        n++;
    char **copy = xcalloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        if (environ[i] == end)
            end = environ[i] + strlen(environ[i]) + 1;
        copy[i] = xstrdup(environ[i]);
    }
    environ = copy;
    kept_argv = argv;
    title_end = end;
}

void system_set_title(const char *title)
{
    if (!kept_argv)
        return;
    char *at = kept_argv[0];
    size_t room = (size_t)(title_end - at);
    kept_argv[1] = NULL;
    memset(at, 0, room);
    snprintf(at, room, "penstock: %s", title);
}

uint64_t system_now_ms(void)
{
    clock_update();
    return clock_now_ms();
}

void system_signals(sigset_t *set)
{
    static const int numbers[] = {SIGTERM, SIGINT,  SIGQUIT, SIGHUP,
                                  SIGUSR1, SIGUSR2, SIGCHLD, SIGWINCH};
    sigemptyset(set);
    for (size_t i = 0; i < COUNT(numbers); i++)
        sigaddset(set, numbers[i]);
}

int system_signal_fd(const sigset_t *set, struct err *err)
{
    if (sigprocmask(SIG_SETMASK, set, NULL) == -1)
        return err_set(err, "sigprocmask() failed (%d: %s)", errno,
                       strerror(errno));
    int fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd == -1)
        return err_set(err, "signalfd() failed (%d: %s)", errno,
                       strerror(errno));
    return fd;
}

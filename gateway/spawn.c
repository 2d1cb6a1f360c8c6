/* SPDX-License-Identifier: BSD-2-Clause */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/list.h"
#include "bridge/pool.h"
#include "resources.h"
#include "settings.h"
#include "system.h"

enum {
    BACKLOG = 511,
    SOCKET_MODE = 0660, /* the backend's user, and the workers' group */
    DIRECTORY_MODE = 0750,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 10000,
    GOOD_LIFE_MS = 30000, /* who lived so long starts afresh at once */
    KILL_AFTER_MS = 10000,
    LISTEN_FD = 3,
};

struct instance {
    struct list link;
    char *path;
    char **argv; /* own copies */
    char *user;  /* NULL: as the workers */
    uid_t uid;
    gid_t gid;
    bool drop;    /* become user before exec */
    int fd;       /* listening; -1: retired */
    bool fresh;   /* made by spawn_open(), not adopted yet */
    bool named;   /* by the generation in use */
    bool changed; /* start anew with other words once it ended */
    pid_t pid;    /* 0: does not run */
    uint64_t started_ms, start_ms, kill_ms, backoff_ms;
};

static struct list instances = {&instances, &instances};
static char **environment; /* what backends get, but for the last few */
static bool stopping;

#define INSTANCE(item) CONTAINER(item, struct instance, link)

static char **copy_words(char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    char **copy = xcalloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(words[i]);
    return copy;
}

static void free_words(char **words)
{
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

static bool words_eq(char *const *a, char *const *b)
{
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return !*a && !*b;
}

static bool text_eq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void forget(struct instance *in, bool keep_file)
{
    list_remove(&in->link);
    if (in->fd != -1 && keep_file)
        close(in->fd);
    else
        socket_close(in->fd);
    free_words(in->argv);
    free(in->user);
    free(in->path);
    free(in);
}

static struct instance *find(const char *path)
{
    LIST_EACH(item, after, &instances)
    if (strcmp(INSTANCE(item)->path, path) == 0 && INSTANCE(item)->fd != -1)
        return INSTANCE(item);
    return NULL;
}

/* ---- sockets ---- */

/* The directory is the workers' group's to enter and nobody else's. */
static int make_directory(const char *path, gid_t gid, struct err *err)
{
    if (mkdir(path, DIRECTORY_MODE) == -1) {
        if (errno == EEXIST)
            return 0;
        return err_set(err, "mkdir() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    }
    if (geteuid() == 0 && chown(path, (uid_t)-1, gid) == -1)
        return err_set(err, "chown() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    /* The process's umask must not decide this. */
    if (chmod(path, DIRECTORY_MODE) == -1)
        return err_set(err, "chmod() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    return 0;
}

static int set_identity(struct instance *in, const struct pool_spawn *spawn,
                        const struct settings *s, struct err *err)
{
    free(in->user);
    in->user = NULL;
    in->drop = geteuid() == 0;
    if (!in->drop)
        return 0;
    in->user = xstrdup(spawn->user ? spawn->user : s->user);
    in->uid = s->uid;
    in->gid = s->gid;
    if (!spawn->user)
        return 0;
    struct passwd *pw = getpwnam(spawn->user);
    if (!pw)
        return err_set(err, "getpwnam(\"%s\") failed", spawn->user);
    in->uid = pw->pw_uid;
    in->gid = pw->pw_gid;
    return 0;
}

static int open_instance(const char *path, const char *directory,
                         const struct pool_spawn *spawn,
                         const struct settings *s, struct err *err)
{
    struct address a;
    bool in_use = false;
    if (make_directory(directory, s->gid, err) == -1 ||
        address_from_path(&a, str_c(path), err) == -1)
        return -1;

    struct instance *in = xcalloc(1, sizeof *in);
    in->path = xstrdup(path);
    in->argv = copy_words(spawn->argv);
    in->fresh = true;
    in->fd = -1;
    list_push_back(&instances, &in->link);
    if (set_identity(in, spawn, s, err) == -1)
        return -1;
    in->fd = unix_listen(&a, BACKLOG, SOCKET_MODE, &in_use, err);
    if (in->fd == -1)
        return -1;
    if (in->drop && chown(path, in->uid, s->gid) == -1)
        return err_set(err, "chown() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    return 0;
}

static void forget_fresh(void)
{
    LIST_EACH(item, after, &instances)
    if (INSTANCE(item)->fresh)
        forget(INSTANCE(item), false);
}

/* Call fn for each instance that g names. */
typedef int instance_fn(const struct generation *g, const struct pool_conf *p,
                        const struct pool_server *server, struct err *err);

static int each_instance(const struct generation *g, instance_fn *fn,
                         struct err *err)
{
    size_t it = 0;
    struct pool_conf *p;
    while ((p = pool_conf_next(g, &it)))
        for (size_t i = 0; i < p->servers_n; i++)
            if (p->servers[i].spawn >= 0 && fn(g, p, &p->servers[i], err) == -1)
                return -1;
    return 0;
}

static int open_if_new(const struct generation *g, const struct pool_conf *p,
                       const struct pool_server *server, struct err *err)
{
    if (find(server->path))
        return 0;
    return open_instance(server->path, p->set.socket_dir,
                         &p->spawns[server->spawn], settings_of(g), err);
}

int spawn_open(const struct generation *g, struct err *err)
{
    if (each_instance(g, open_if_new, err) == 0)
        return 0;
    forget_fresh();
    return -1;
}

/* ---- which should run ---- */

static void end_process(struct instance *in)
{
    if (!in->pid || in->kill_ms)
        return;
    kill(in->pid, SIGTERM);
    in->kill_ms = system_now_ms() + KILL_AFTER_MS;
}

static int adopt(const struct generation *g, const struct pool_conf *p,
                 const struct pool_server *server, struct err *err)
{
    struct instance *in = find(server->path);
    const struct pool_spawn *spawn = &p->spawns[server->spawn];
    const char *user = spawn->user ? spawn->user : settings_of(g)->user;

    in->named = true;
    if (in->fresh) {
        in->fresh = false;
        return 0;
    }
    if (words_eq(in->argv, spawn->argv) &&
        (geteuid() != 0 || text_eq(in->user, user)))
        return 0;
    free_words(in->argv);
    in->argv = copy_words(spawn->argv);
    in->backoff_ms = 0;
    in->changed = in->pid != 0;
    end_process(in);
    return set_identity(in, spawn, settings_of(g), err);
}

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

static void make_environment(const struct settings *s)
{
    extern char **environ;
    size_t n = 0, at = 0;
    while (environ[n])
        n++;
    free_words(environment);
    environment = xcalloc(n + s->env.n + 1, sizeof *environment);
    for (size_t i = 0; i < n; i++)
        if (is_kept(environ[i], s))
            environment[at++] = xstrdup(environ[i]);
    for (size_t i = 0; i < s->env.n; i++)
        if (strchr(s->env.items[i], '='))
            environment[at++] = xstrdup(s->env.items[i]);
}

void spawn_adopt(const struct generation *g)
{
    struct err err;
    make_environment(settings_of(g));
    LIST_EACH(item, after, &instances)
    INSTANCE(item)->named = false;
    if (each_instance(g, adopt, &err) == -1)
        log_write(&log_process, LEVEL_EMERG, "%s", err.text);
    LIST_EACH(item, after, &instances)
    {
        struct instance *in = INSTANCE(item);
        if (in->named)
            continue;
        socket_close(in->fd);
        in->fd = -1;
        end_process(in);
        if (!in->pid)
            forget(in, false);
    }
}

/* ---- processes ---- */

static void put_in_order(struct instance *in)
{
    sigset_t none;
    sigemptyset(&none);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int i = 1; i < 32; i++)
        sigaction(i, &standard, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* A terminal's Ctrl-C is for the master, which ends backends last. */
    setpgid(0, 0);
    dup2(STDERR_FILENO, STDOUT_FILENO);

    struct err err;
    if (in->drop &&
        system_drop_privileges(in->user, in->uid, in->gid, &err) == -1) {
        log_write(&log_process, LEVEL_EMERG, "%s", err.text);
        _exit(2);
    }
}

static _Noreturn void become(struct instance *in, pid_t master)
{
    put_in_order(in);
    /* A master that is killed takes its backends along: without it they
     * would keep the sockets and nobody could start new ones. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != master)
        _exit(0);

    if (in->fd == LISTEN_FD)
        fcntl(in->fd, F_SETFD, 0);
    else
        dup2(in->fd, LISTEN_FD);
    size_t n = 0;
    while (environment[n])
        n++;
    char **env = xcalloc(n + 5, sizeof *env);
    memcpy(env, environment, n * sizeof *env);
    char pid[32], path[160];
    snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int)getpid());
    snprintf(path, sizeof path, "PENSTOCK_SOCKET=%s", in->path);
    env[n++] = (char *)(uintptr_t) "LISTEN_FDS=1";
    env[n++] = (char *)(uintptr_t) "LISTEN_FDNAMES=sluice";
    env[n++] = pid;
    env[n++] = path;
    execvpe(in->argv[0], in->argv, env);
    log_errno(&log_process, LEVEL_EMERG, errno, "execve() \"%s\" failed",
              in->argv[0]);
    _exit(127);
}

static void start(struct instance *in, uint64_t now_ms)
{
    pid_t master = getpid(), pid = fork();
    if (pid == 0)
        become(in, master);
    if (pid == -1) {
        log_errno(&log_process, LEVEL_ALERT, errno, "fork() failed");
        in->start_ms = now_ms + BACKOFF_LAST_MS;
        return;
    }
    in->pid = pid;
    in->started_ms = now_ms;
    in->kill_ms = 0;
    log_notice(&log_process, "start backend process %d: %s", (int)pid,
               in->argv[0]);
}

static void sooner(int *wait_ms, uint64_t at_ms, uint64_t now_ms)
{
    int left = at_ms > now_ms ? (int)(at_ms - now_ms) : 0;
    if (*wait_ms == -1 || left < *wait_ms)
        *wait_ms = left;
}

int spawn_tend(void)
{
    uint64_t now_ms = system_now_ms();
    int wait_ms = -1;
    LIST_EACH(item, after, &instances)
    {
        struct instance *in = INSTANCE(item);
        if (!in->pid && !stopping && in->named && now_ms >= in->start_ms)
            start(in, now_ms);
        if (in->pid && in->kill_ms && now_ms >= in->kill_ms) {
            log_warn(&log_process, "backend process %d does not end, killed",
                     (int)in->pid);
            kill(in->pid, SIGKILL);
            in->kill_ms = now_ms + KILL_AFTER_MS;
        }
        if (!in->pid && !stopping && in->named)
            sooner(&wait_ms, in->start_ms, now_ms);
        if (in->pid && in->kill_ms)
            sooner(&wait_ms, in->kill_ms, now_ms);
    }
    return wait_ms;
}

static void back_off(struct instance *in)
{
    uint64_t now_ms = system_now_ms();
    if (in->changed || now_ms - in->started_ms >= GOOD_LIFE_MS)
        in->backoff_ms = 0;
    else if (in->backoff_ms == 0)
        in->backoff_ms = BACKOFF_FIRST_MS;
    else if (in->backoff_ms < BACKOFF_LAST_MS / 2)
        in->backoff_ms *= 2;
    else
        in->backoff_ms = BACKOFF_LAST_MS;
    in->start_ms = now_ms + in->backoff_ms;
    in->changed = false;
}

bool spawn_ended(pid_t pid, int status)
{
    LIST_EACH(item, after, &instances)
    {
        struct instance *in = INSTANCE(item);
        if (in->pid != pid)
            continue;
        bool meant = in->kill_ms != 0;
        enum log_level level = meant ? LEVEL_NOTICE : LEVEL_ERROR;
        if (WIFSIGNALED(status))
            log_write(&log_process, level,
                      "backend process %d exited on signal %d: %s", (int)pid,
                      WTERMSIG(status), in->argv[0]);
        else
            log_write(&log_process, level,
                      "backend process %d exited with code %d: %s", (int)pid,
                      WEXITSTATUS(status), in->argv[0]);
        in->pid = 0;
        in->kill_ms = 0;
        if (in->named)
            back_off(in);
        else
            forget(in, false);
        return true;
    }
    return false;
}

void spawn_stop(void)
{
    stopping = true;
    LIST_EACH(item, after, &instances)
    end_process(INSTANCE(item));
}

size_t spawn_living(void)
{
    size_t n = 0;
    LIST_EACH(item, after, &instances)
    n += INSTANCE(item)->pid != 0;
    return n;
}

void spawn_forget(bool keep_files)
{
    LIST_EACH(item, after, &instances)
    forget(INSTANCE(item), keep_files);
    free_words(environment);
    environment = NULL;
}

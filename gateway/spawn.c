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
#include "environment.h"
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
    CRASHES_TOLD = 5,     /* from then on it is said once, and counted */
    LEAVE_MORE_MS = 5000, /* than drain_timeout */
};

struct instance {
    struct list link;
    char *path;
    char **argv; /* own copies */
    char *user;  /* NULL: as the workers */
    uid_t uid;
    gid_t gid;
    bool drop;      /* become user before exec */
    int fd;         /* listening; -1: retired */
    bool fresh;     /* made by spawn_open(), not adopted yet */
    bool named;     /* by the generation in use */
    bool leaving;   /* ends when nobody awaited is left */
    pid_t *awaited; /* users that have not left it yet */
    size_t awaited_n;
    uint64_t leave_ms;   /* it ends then at the latest; 0: no limit */
    unsigned crashes;    /* in a row: it ended soon and unasked */
    uint64_t crashed_ms; /* the first of them */
    pid_t pid;           /* 0: does not run */
    uint64_t started_ms, start_ms, kill_ms, backoff_ms, drain_ms;
};

static struct list instances = {&instances, &instances};
static char **environment; /* what backends get, but for the last few */
static bool stopping;

#define INSTANCE(item) CONTAINER(item, struct instance, link)

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
    words_free(in->argv);
    free(in->user);
    free(in->path);
    free(in->awaited);
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
    in->argv = words_copy(spawn->argv);
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

static void end_if_left(struct instance *in)
{
    if (in->leaving && !in->awaited_n)
        end_process(in);
}

/* It ends when all that use it have left. */
static void leave(struct instance *in, const struct spawn_users *users)
{
    in->leaving = true;
    in->named = false;
    socket_close(in->fd);
    in->fd = -1;
    in->awaited = xcalloc(users->n + 1, sizeof *in->awaited);
    in->awaited_n = users->n;
    if (users->n)
        memcpy(in->awaited, users->pids, users->n * sizeof *in->awaited);
    end_if_left(in);
}

void spawn_moved(pid_t user, const char *path)
{
    LIST_EACH(item, after, &instances)
    {
        struct instance *in = INSTANCE(item);
        if (!in->leaving || (path && strcmp(in->path, path) != 0))
            continue;
        for (size_t i = 0; i < in->awaited_n; i++) {
            if (in->awaited[i] != user)
                continue;
            in->awaited[i] = in->awaited[--in->awaited_n];
            end_if_left(in);
            /* What was left is the oldest that it used there. */
            if (path)
                return;
            break;
        }
    }
}

/* A listening socket that takes the place of the one at path at once; nobody
 * who connects finds none. */
static int listen_over(const struct instance *in, gid_t gid, struct err *err)
{
    char path[SPAWN_PATH_MAX + 8];
    struct address a;
    bool in_use = false;

    snprintf(path, sizeof path, "%s.new", in->path);
    if (address_from_path(&a, str_c(path), err) == -1)
        return -1;
    int fd = unix_listen(&a, BACKLOG, SOCKET_MODE, &in_use, err);
    if (fd == -1)
        return -1;
    if ((in->drop && chown(path, in->uid, gid) == -1) ||
        rename(path, in->path) == -1) {
        err_set(err, "rename() \"%s\" failed (%d: %s)", path, errno,
                strerror(errno));
        socket_close(fd);
        return -1;
    }
    socket_renamed(fd, in->path);
    return fd;
}

/* A new process beside the old one. */
static int renew(struct instance *in, const struct pool_spawn *spawn,
                 const struct settings *s, const struct spawn_users *users,
                 struct err *err)
{
    struct instance *heir = xcalloc(1, sizeof *heir);

    heir->path = xstrdup(in->path);
    heir->argv = words_copy(spawn->argv);
    heir->named = true;
    heir->fd = -1;
    list_push_back(&instances, &heir->link);
    if (set_identity(heir, spawn, s, err) == -1 ||
        (heir->fd = listen_over(heir, s->gid, err)) == -1) {
        forget(heir, false);
        return -1;
    }
    leave(in, users);
    if (users->renewed)
        users->renewed(users->arg, heir->path);
    if (!in->pid)
        forget(in, false);
    return 0;
}

static const struct spawn_users *current_users;

static int adopt(const struct generation *g, const struct pool_conf *p,
                 const struct pool_server *server, struct err *err)
{
    struct instance *in = find(server->path);
    const struct pool_spawn *spawn = &p->spawns[server->spawn];
    const char *user = spawn->user ? spawn->user : settings_of(g)->user;

    in->named = true;
    in->drain_ms = p->set.drain_timeout_ms;
    if (in->fresh) {
        in->fresh = false;
        return 0;
    }
    if (words_eq(in->argv, spawn->argv) &&
        (geteuid() != 0 || text_eq(in->user, user)))
        return 0;
    return renew(in, spawn, settings_of(g), current_users, err);
}

static struct str restarted;
static size_t restarted_n;

static int restart(const struct generation *g, const struct pool_conf *p,
                   const struct pool_server *server, struct err *err)
{
    struct instance *in = find(server->path);

    if (!in || !str_eq(p->name, restarted))
        return 0;
    restarted_n++;
    return renew(in, &p->spawns[server->spawn], settings_of(g), current_users,
                 err);
}

size_t spawn_restart(const struct generation *g, struct str pool,
                     const struct spawn_users *users)
{
    struct err err;

    restarted = pool;
    restarted_n = 0;
    current_users = users;
    if (each_instance(g, restart, &err) == -1)
        log_write(&log_process, LEVEL_EMERG, "%s", err.text);
    current_users = NULL;
    return restarted_n;
}

void spawn_adopt(const struct generation *g, const struct spawn_users *users)
{
    struct err err;
    words_free(environment);
    environment = environment_make(settings_of(g));
    LIST_EACH(item, after, &instances)
    INSTANCE(item)->named = false;
    current_users = users;
    if (each_instance(g, adopt, &err) == -1)
        log_write(&log_process, LEVEL_EMERG, "%s", err.text);
    LIST_EACH(item, after, &instances)
    {
        struct instance *in = INSTANCE(item);
        if (in->named || in->leaving)
            continue;
        leave(in, users);
        in->leave_ms = system_now_ms() + in->drain_ms + LEAVE_MORE_MS;
        if (!in->pid)
            forget(in, false);
    }
    current_users = NULL;
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
    log_write(&log_process,
              in->crashes < CRASHES_TOLD ? LEVEL_NOTICE : LEVEL_INFO,
              "start backend process %d: %s", (int)pid, in->argv[0]);
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
        if (in->pid && in->crashes >= CRASHES_TOLD &&
            now_ms - in->started_ms >= GOOD_LIFE_MS) {
            log_notice(&log_process, "backend at %s runs again, after %u ends",
                       in->path, in->crashes);
            in->crashes = 0;
        }
        if (in->leave_ms && now_ms >= in->leave_ms) {
            in->leave_ms = 0;
            end_process(in);
        }
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
        if (in->leave_ms)
            sooner(&wait_ms, in->leave_ms, now_ms);
    }
    return wait_ms;
}

static void back_off(struct instance *in)
{
    uint64_t now_ms = system_now_ms();
    if (now_ms - in->started_ms >= GOOD_LIFE_MS)
        in->backoff_ms = 0;
    else if (in->backoff_ms == 0)
        in->backoff_ms = BACKOFF_FIRST_MS;
    else if (in->backoff_ms < BACKOFF_LAST_MS / 2)
        in->backoff_ms *= 2;
    else
        in->backoff_ms = BACKOFF_LAST_MS;
    in->start_ms = now_ms + in->backoff_ms;
}

/* How it ended; one that keeps ending is told of once, with a count. */
static void report_end(struct instance *in, int status)
{
    bool meant = in->kill_ms != 0;
    uint64_t now_ms = system_now_ms();
    enum log_level level = meant ? LEVEL_NOTICE : LEVEL_ERROR;

    if (meant || now_ms - in->started_ms >= GOOD_LIFE_MS)
        in->crashes = 0;
    else if (in->crashes++ == 0)
        in->crashed_ms = in->started_ms;
    if (in->crashes == CRASHES_TOLD)
        log_write(&log_process, LEVEL_ALERT,
                  "backend at %s ended %u times within %llu s, it is started "
                  "less and less often from now on: %s",
                  in->path, in->crashes,
                  (unsigned long long)(now_ms - in->crashed_ms) / 1000,
                  in->argv[0]);
    if (in->crashes >= CRASHES_TOLD)
        level = LEVEL_INFO;
    if (WIFSIGNALED(status))
        log_write(&log_process, level,
                  "backend process %d exited on signal %d: %s", (int)in->pid,
                  WTERMSIG(status), in->argv[0]);
    else
        log_write(&log_process, level,
                  "backend process %d exited with code %d: %s", (int)in->pid,
                  WEXITSTATUS(status), in->argv[0]);
}

bool spawn_ended(pid_t pid, int status)
{
    LIST_EACH(item, after, &instances)
    {
        struct instance *in = INSTANCE(item);
        if (in->pid != pid)
            continue;
        report_end(in, status);
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
    words_free(environment);
    environment = NULL;
}

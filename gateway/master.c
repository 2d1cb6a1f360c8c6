/* SPDX-License-Identifier: BSD-2-Clause */
#include "master.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "channel.h"
#include "io/tls.h"
#include "process.h"
#include "resources.h"
#include "restart.h"
#include "serve/zone.h"
#include "settings.h"
#include "spawn.h"
#include "system.h"
#include "temp_paths.h"
#include "worker.h"

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 10000,
    GOOD_LIFE_MS = 5000, /* a worker that lived so long is replaced at once */
    STOP_PATIENCE_MS = 5000, /* from a fast stop to SIGKILL */
};

/* A worker's number, and when it may have a new process. */
struct place {
    struct process *process; /* that serves, or NULL */
    uint64_t start_ms, backoff_ms;
};

struct master {
    struct load how;
    struct generation *current;
    int bundle;
    unsigned last_number; /* of generations, also of refused ones */
    struct list processes;
    struct place *places;
    size_t places_n;
    int signal_fd;
    int ready_fd;
    uint64_t epoch;
    bool quitting, stopping, backends_told;
    uint64_t kill_ms;
    bool announced; /* that all workers run the current generation */
};

#define PROCESS(item) CONTAINER(item, struct process, link)

/* ---- workers ---- */

static void forget_process(struct process *p)
{
    list_remove(&p->link);
    if (p->channel != -1)
        close(p->channel);
    process_fini(p);
    generation_unref(p->told);
    free(p);
}

/* In the child: let go of what is the master's, and serve. */
static _Noreturn void become_worker(struct master *m, unsigned number,
                                    int channel)
{
    struct worker_start start = {
        .generation = m->current,
        .number = number,
        .channel = channel,
        .epoch = m->epoch,
    };
    LIST_EACH(item, after, &m->processes)
    forget_process(PROCESS(item));
    spawn_forget(true);
    free(m->places);
    close(m->signal_fd);
    close(m->bundle);
    if (m->ready_fd != -1)
        close(m->ready_fd);
    exit(worker_run(&start));
}

static void delay_place(struct place *place, uint64_t now_ms)
{
    if (place->backoff_ms == 0)
        place->backoff_ms = BACKOFF_FIRST_MS;
    else if (place->backoff_ms < BACKOFF_LAST_MS / 2)
        place->backoff_ms *= 2;
    else
        place->backoff_ms = BACKOFF_LAST_MS;
    place->start_ms = now_ms + place->backoff_ms;
}

static void start_worker(struct master *m, unsigned number, uint64_t now_ms)
{
    struct place *place = &m->places[number];
    struct err err;
    int ends[2];

    if (channel_open(ends, &err) == -1) {
        log_write(&log_process, LEVEL_ALERT, "%s", err.text);
        delay_place(place, now_ms);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become_worker(m, number, ends[1]);
    }
    close(ends[1]);
    if (pid == -1) {
        log_errno(&log_process, LEVEL_ALERT, errno, "fork() failed");
        close(ends[0]);
        delay_place(place, now_ms);
        return;
    }
    struct process *p = xcalloc(1, sizeof *p);
    *p = (struct process){
        .pid = pid,
        .channel = ends[0],
        .number = number,
        .started_ms = now_ms,
        .told = generation_ref(m->current),
        .confirmed = m->current->number,
    };
    list_init(&p->renewals);
    list_push_back(&m->processes, &p->link);
    place->process = p;
    log_notice(&log_process, "start worker process %d", (int)pid);
}

/* Ask p to leave; its place is free for another. */
static void retire(struct master *m, struct process *p)
{
    if (p->retiring)
        return;
    p->retiring = true;
    p->wants_quit = true;
    if (p->number < m->places_n && m->places[p->number].process == p)
        m->places[p->number].process = NULL;
}

static void resize_places(struct master *m, size_t n)
{
    LIST_EACH(item, after, &m->processes)
    if (PROCESS(item)->number >= n)
        retire(m, PROCESS(item));
    m->places = xrealloc(m->places, n * sizeof *m->places);
    for (size_t i = m->places_n; i < n; i++)
        m->places[i] = (struct place){0};
    m->places_n = n;
}

static void start_due_workers(struct master *m, uint64_t now_ms)
{
    if (m->quitting || m->stopping)
        return;
    for (size_t i = 0; i < m->places_n; i++)
        if (!m->places[i].process && now_ms >= m->places[i].start_ms)
            start_worker(m, (unsigned)i, now_ms);
}

static void log_end(pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_write(&log_process, LEVEL_ALERT,
                  "worker process %d exited on signal %d%s", (int)pid,
                  WTERMSIG(status), WCOREDUMP(status) ? " (core dumped)" : "");
    else
        log_notice(&log_process, "worker process %d exited with code %d",
                   (int)pid, WEXITSTATUS(status));
}

static void worker_ended(struct master *m, struct process *p, int status)
{
    uint64_t now_ms = system_now_ms();
    log_end(p->pid, status);
    spawn_moved(p->pid, NULL);
    if (!p->retiring && p->number < m->places_n) {
        struct place *place = &m->places[p->number];
        place->process = NULL;
        if (now_ms - p->started_ms < GOOD_LIFE_MS && place->backoff_ms) {
            delay_place(place, now_ms);
        } else {
            /* The first death is mended at once. */
            place->start_ms = now_ms;
            place->backoff_ms = BACKOFF_FIRST_MS;
        }
    }
    forget_process(p);
}

static void reap(struct master *m)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct process *p = NULL;
        LIST_EACH(item, after, &m->processes)
        if (PROCESS(item)->pid == pid)
            p = PROCESS(item);
        if (p)
            worker_ended(m, p, status);
        else
            spawn_ended(pid, status);
    }
}

/* ---- what workers say ---- */

static void announce(struct master *m)
{
    if (m->announced)
        return;
    for (size_t i = 0; i < m->places_n; i++)
        if (!m->places[i].process ||
            m->places[i].process->confirmed != m->current->number)
            return;
    m->announced = true;
    log_notice(&log_process, "all workers run generation %u",
               m->current->number);
}

static void lose_channel(struct master *m, struct process *p)
{
    close(p->channel);
    p->channel = -1;
    /* A worker that is alive retires when it sees this, too. */
    retire(m, p);
}

static const char *message_path(struct message *msg, char path[SPAWN_PATH_MAX])
{
    struct str text = message_get_text(msg);
    snprintf(path, SPAWN_PATH_MAX, "%.*s", STR_ARG(text));
    return path;
}

/* What one worker has for all others. */
static void relay(struct master *m, struct process *from, int fd)
{
    LIST_EACH(item, after, &m->processes)
    {
        struct process *p = PROCESS(item);
        if (p == from || p->channel == -1)
            continue;
        if (!process_relay(p, fd))
            log_write(&log_process, LEVEL_ERROR,
                      "worker process %d is slow, a publication is lost",
                      (int)p->pid);
        else if (process_tell(p, m->current, m->bundle) == -1)
            lose_channel(m, p);
    }
}

static void on_message(struct master *m, struct process *p, struct message *msg)
{
    uint32_t number;
    char path[SPAWN_PATH_MAX];
    switch (msg->type) {
    case MESSAGE_READY:
        return;
    case MESSAGE_RELOADED:
        if (message_get_u32(msg, &number))
            p->confirmed = number;
        return;
    case MESSAGE_REFUSED:
        message_get_u32(msg, &number);
        log_write(&log_process, LEVEL_ALERT,
                  "worker process %d can not use the configuration, replaced: "
                  "%.*s",
                  (int)p->pid, STR_ARG(message_get_text(msg)));
        retire(m, p);
        return;
    case MESSAGE_RELAY:
        if (msg->fds_n != 1)
            break;
        relay(m, p, msg->fds[0]);
        return;
    case MESSAGE_MOVED:
        spawn_moved(p->pid, message_path(msg, path));
        return;
    case MESSAGE_RENEW:
    case MESSAGE_CONFIGURATION:
    case MESSAGE_DESCRIPTORS:
    case MESSAGE_REOPEN:
    case MESSAGE_QUIT:
    case MESSAGE_STOP:
        break;
    }
    log_write(&log_process, LEVEL_ALERT, "worker process %d sent %s",
              (int)p->pid, message_name(msg->type));
    lose_channel(m, p);
}

static void hear(struct master *m, struct process *p)
{
    struct message msg;
    while (p->channel != -1) {
        int got = channel_receive(p->channel, &msg);
        if (got == 0)
            return;
        if (got == -1) {
            /* Its end is logged when it is reaped. */
            close(p->channel);
            p->channel = -1;
            return;
        }
        on_message(m, p, &msg);
        message_close_fds(&msg);
    }
}

static void tell_all(struct master *m)
{
    LIST_EACH(item, after, &m->processes)
    {
        struct process *p = PROCESS(item);
        if (process_tell(p, m->current, m->bundle) == -1)
            lose_channel(m, p);
    }
}

/* ---- signals ---- */

/* Everything a new configuration needs; nothing changes when it fails. */
static struct generation *prepare(struct master *m, int *bundle,
                                  struct err *err)
{
    m->how.number = ++m->last_number;
    struct generation *g =
        generation_load(&m->how, arena_create(LOAD_ARENA_CHUNK), err);
    if (!g)
        return NULL;
    if (logs_open(g, err) == -1 || temp_paths_create(g, err) == -1 ||
        zones_open(g, m->current, err) == -1)
        goto drop;
    *bundle = bundle_write(&m->how, m->how.files_read, err);
    if (*bundle == -1)
        goto drop;
    if (listens_open(g, m->current, settings_of(g)->workers, 0, err) == -1)
        goto close_bundle;
    if (spawn_open(g, err) == -1)
        goto close_listens;
    const char *pid = settings_of(g)->pid;
    if (strcmp(pid, settings_of(m->current)->pid) != 0 &&
        pid_file_write(pid, getpid(), err) == -1)
        goto close_listens;
    return g;

close_listens:
    listens_close(g, m->current);
close_bundle:
    close(*bundle);
drop:
    generation_unref(g);
    return NULL;
}

static void on_renewed(void *arg, const char *path)
{
    struct master *m = arg;
    LIST_EACH(item, after, &m->processes)
    if (!PROCESS(item)->retiring)
        process_renew(PROCESS(item), path);
}

/* The workers that use backends now. */
static void users_of(struct master *m, struct spawn_users *users)
{
    *users = (struct spawn_users){.renewed = on_renewed, .arg = m};
    LIST_EACH(item, after, &m->processes)
    if (!PROCESS(item)->retiring)
        users->n++;
    users->pids = xcalloc(users->n + 1, sizeof *users->pids);
    size_t at = 0;
    LIST_EACH(item, after, &m->processes)
    if (!PROCESS(item)->retiring)
        users->pids[at++] = PROCESS(item)->pid;
}

/* SIGUSR2: the names of pools are in a file beside the pid file. */
static void restart_pools(struct master *m)
{
    char name[128];
    FILE *f = restart_file_take(settings_of(m->current)->pid);
    struct spawn_users users;

    if (!f) {
        log_warn(&log_process, "SIGUSR2 is ignored: the binary is not "
                               "replaced while it runs");
        return;
    }
    users_of(m, &users);
    while (fscanf(f, "%127s", name) == 1) {
        log_notice(&log_process, "restarting backend \"%s\"", name);
        if (spawn_restart(m->current, str_c(name), &users) == 0)
            log_write(&log_process, LEVEL_ERROR,
                      "backend \"%s\" has nothing that is spawned", name);
    }
    free(users.pids);
    fclose(f);
}

static void reload(struct master *m)
{
    struct err err = {{0}};
    int bundle = -1;

    log_notice(&log_process, "reconfiguring");
    struct generation *g = prepare(m, &bundle, &err);
    if (!g) {
        log_write(&log_process, LEVEL_EMERG, "%s", err.text);
        return;
    }
    struct spawn_users users;
    users_of(m, &users);
    struct generation *old = m->current;
    m->current = g;
    log_process_use(g);
    stderr_follow(g);
    listens_close(old, g);
    spawn_adopt(g, &users);
    if (strcmp(settings_of(old)->pid, settings_of(g)->pid) != 0)
        unlink(settings_of(old)->pid);
    generation_unref(old);
    close(m->bundle);
    m->bundle = bundle;
    free(users.pids);
    resize_places(m, settings_of(g)->workers);
    m->announced = false;
}

static void reopen(struct master *m)
{
    log_notice(&log_process, "reopening logs");
    logs_reopen(m->current);
    stderr_follow(m->current);
    LIST_EACH(item, after, &m->processes)
    PROCESS(item)->wants_reopen = true;
}

static void quit(struct master *m)
{
    if (m->quitting || m->stopping)
        return;
    m->quitting = true;
    log_notice(&log_process, "gracefully shutting down");
    listens_close(m->current, NULL);
    LIST_EACH(item, after, &m->processes)
    retire(m, PROCESS(item));
}

static void stop(struct master *m)
{
    if (m->stopping)
        return;
    m->stopping = true;
    log_notice(&log_process, "exiting");
    m->kill_ms = system_now_ms() + STOP_PATIENCE_MS;
    LIST_EACH(item, after, &m->processes)
    PROCESS(item)->wants_stop = true;
}

static void on_signal(struct master *m, const struct signalfd_siginfo *info)
{
    switch ((int)info->ssi_signo) {
    case SIGTERM:
    case SIGINT:
        stop(m);
        break;
    case SIGQUIT:
        quit(m);
        break;
    case SIGHUP:
        if (!m->quitting && !m->stopping)
            reload(m);
        break;
    case SIGUSR1:
        reopen(m);
        break;
    case SIGUSR2:
        if (!m->quitting && !m->stopping)
            restart_pools(m);
        break;
    default:
        break; /* SIGCHLD: reaped each turn; SIGWINCH */
    }
}

static void hear_signals(struct master *m)
{
    struct signalfd_siginfo info;
    while (read(m->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(m, &info);
    reap(m);
}

/* ---- the loop ---- */

static int soonest(int a, int b)
{
    return a == -1 ? b : b == -1 ? a : a < b ? a : b;
}

static int until(uint64_t at_ms, uint64_t now_ms)
{
    return at_ms > now_ms ? (int)(at_ms - now_ms) : 0;
}

static int time_left(struct master *m, uint64_t now_ms)
{
    int wait_ms = soonest(spawn_tend(), tls_tickets_tend());
    if (m->kill_ms)
        wait_ms = soonest(wait_ms, until(m->kill_ms, now_ms));
    if (m->quitting || m->stopping)
        return wait_ms;
    for (size_t i = 0; i < m->places_n; i++)
        if (!m->places[i].process)
            wait_ms = soonest(wait_ms, until(m->places[i].start_ms, now_ms));
    return wait_ms;
}

static void wait_for_news(struct master *m, int wait_ms)
{
    size_t n = 1;
    LIST_EACH(item, after, &m->processes)
    n += PROCESS(item)->channel != -1;
    struct pollfd *fds = xcalloc(n, sizeof *fds);
    struct process **who = xcalloc(n, sizeof(struct process *));
    fds[0] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
    n = 1;
    LIST_EACH(item, after, &m->processes)
    {
        struct process *p = PROCESS(item);
        if (p->channel == -1)
            continue;
        fds[n] = (struct pollfd){.fd = p->channel, .events = POLLIN};
        if (p->stuck)
            fds[n].events |= POLLOUT;
        who[n++] = p;
    }
    if (poll(fds, n, wait_ms) > 0) {
        system_now_ms();
        for (size_t i = 1; i < n; i++)
            if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
                hear(m, who[i]);
        if (fds[0].revents)
            hear_signals(m);
    }
    free(fds);
    free(who);
}

static void kill_late(struct master *m, uint64_t now_ms)
{
    if (!m->kill_ms || now_ms < m->kill_ms)
        return;
    LIST_EACH(item, after, &m->processes)
    kill(PROCESS(item)->pid, SIGKILL);
    m->kill_ms = now_ms + STOP_PATIENCE_MS;
}

/* True when nothing is left to wait for. */
static bool has_ended(struct master *m)
{
    if (!m->quitting && !m->stopping)
        return false;
    /* Workers first: their sessions still need the backends. */
    if (!list_is_empty(&m->processes))
        return false;
    m->kill_ms = 0;
    if (!m->backends_told) {
        m->backends_told = true;
        spawn_stop();
    }
    return spawn_living() == 0;
}

static int end(struct master *m)
{
    if (unlink(settings_of(m->current)->pid) == -1)
        log_errno(&log_process, LEVEL_ERROR, errno, "unlink() \"%s\" failed",
                  settings_of(m->current)->pid);
    listens_close(m->current, NULL);
    spawn_forget(false);
    log_notice(&log_process, "exit");
    log_process_use(NULL);
    generation_unref(m->current);
    close(m->bundle);
    close(m->signal_fd);
    free(m->places);
    return 0;
}

static int begin(struct master *m, const struct conf_file *files,
                 struct err *err)
{
    sigset_t set;
    system_signals(&set);
    m->bundle = bundle_write(&m->how, files, err);
    m->signal_fd = system_signal_fd(&set, err);
    if (m->bundle == -1 || m->signal_fd == -1)
        return -1;
    if (spawn_open(m->current, err) == -1)
        return -1;
    return pid_file_write(settings_of(m->current)->pid, getpid(), err);
}

int master_run(const struct load *how, struct generation *g,
               const struct conf_file *files, int ready_fd, struct err *err)
{
    struct master m = {
        .how = *how,
        .current = g,
        .last_number = g->number,
        .ready_fd = ready_fd,
        .epoch = random_u64(),
        .announced = true,
    };
    list_init(&m.processes);
    if (begin(&m, files, err) == -1) {
        spawn_forget(false);
        return -1;
    }
    log_process_use(g);
    stderr_follow(g);
    m.how.warn = NULL;
    system_daemon_ready(ready_fd);
    m.ready_fd = -1;
    spawn_adopt(g, &(struct spawn_users){0});
    resize_places(&m, settings_of(g)->workers);
    system_set_title("master process");
    log_notice(&log_process, "start worker processes");
    while (!has_ended(&m)) {
        uint64_t now_ms = system_now_ms();
        start_due_workers(&m, now_ms);
        kill_late(&m, now_ms);
        tell_all(&m);
        announce(&m);
        wait_for_news(&m, time_left(&m, now_ms));
    }
    return end(&m);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "master.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/random.h"
#include "channel.h"
#include "inherit.h"
#include "io/tls.h"
#include "master_parts.h"
#include "resources.h"
#include "restart.h"
#include "serve/zone.h"
#include "settings.h"
#include "spawn.h"
#include "system.h"
#include "temp_paths.h"

enum {
    STOP_PATIENCE_MS = 5000, /* from a fast stop to SIGKILL */
};

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
    workers_retire(m, p);
}

static const char *message_path(struct message *msg, char path[SPAWN_PATH_MAX])
{
    struct str text = message_get_text(msg);
    snprintf(path, SPAWN_PATH_MAX, "%.*s", STR_ARG(text));
    return path;
}

/* Once a minute: a worker that hangs while others publish would fill the log
 * with this. */
static void say_lost(struct process *p)
{
    uint64_t skipped;

    if (!log_limit_pass(&p->noise, &skipped))
        return;
    if (skipped)
        log_write(&log_process, LEVEL_ERROR,
                  "worker process %d is slow, a publication is lost, and %llu "
                  "since it was last said",
                  (int)p->pid, (unsigned long long)skipped);
    else
        log_write(&log_process, LEVEL_ERROR,
                  "worker process %d is slow, a publication is lost",
                  (int)p->pid);
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
            say_lost(p);
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
        workers_retire(m, p);
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
    workers_resize(m, settings_of(g)->workers);
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
    workers_retire(m, PROCESS(item));
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
    workers_reap(m);
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
    size_t n = 2;
    LIST_EACH(item, after, &m->processes)
    n += PROCESS(item)->channel != -1;
    struct pollfd *fds = xcalloc(n, sizeof *fds);
    struct process **who = xcalloc(n, sizeof(struct process *));
    fds[0] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = inherit_lifeline(), .events = POLLIN};
    n = 2;
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
        for (size_t i = 2; i < n; i++)
            if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
                hear(m, who[i]);
        if (fds[0].revents)
            hear_signals(m);
        if (fds[1].revents && inherit_is_cut()) {
            log_notice(&log_process, "the process that started us has ended");
            stop(m);
        }
    }
    free(fds);
    free(who);
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
    /* Whose directory it was in may have ended before us. */
    if (unlink(settings_of(m->current)->pid) == -1 && errno != ENOENT)
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
    inherit_end();
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
    workers_resize(&m, settings_of(g)->workers);
    system_set_title("master process");
    log_notice(&log_process, "start worker processes");
    while (!has_ended(&m)) {
        uint64_t now_ms = system_now_ms();
        workers_start_due(&m, now_ms);
        workers_kill_late(&m, now_ms);
        tell_all(&m);
        announce(&m);
        wait_for_news(&m, time_left(&m, now_ms));
    }
    return end(&m);
}

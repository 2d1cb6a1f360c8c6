/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "channel.h"
#include "inherit.h"
#include "master_parts.h"
#include "spawn.h"
#include "system.h"
#include "worker.h"

enum {
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 10000,
    GOOD_LIFE_MS = 5000, /* who lived so long is replaced at once */
    KILL_AGAIN_MS = 5000,
    IDENTITIES = 512,
};

void workers_forget(struct process *p)
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
                                    unsigned identity, int channel)
{
    struct worker_start start = {
        .generation = m->current,
        .number = number,
        .identity = identity,
        .channel = channel,
        .epoch = m->epoch,
    };
    LIST_EACH(item, after, &m->processes)
    workers_forget(PROCESS(item));
    spawn_forget(true);
    free(m->places);
    close(m->signal_fd);
    close(m->bundle);
    inherit_forget();
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

/* Ids of clients have room for that many (SLUICE section 3), and one that
 * retires may still have clients. */
static unsigned free_identity(const struct master *m)
{
    bool used[IDENTITIES] = {false};

    LIST_EACH(item, after, &m->processes)
    used[PROCESS(item)->identity % IDENTITIES] = true;
    for (unsigned i = 0; i < IDENTITIES; i++)
        if (!used[i])
            return i;
    return 0;
}

static void start_worker(struct master *m, unsigned number, uint64_t now_ms)
{
    struct place *place = &m->places[number];
    unsigned identity = free_identity(m);
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
        become_worker(m, number, identity, ends[1]);
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
        .identity = identity,
        .started_ms = now_ms,
        .told = generation_ref(m->current),
        .confirmed = m->current->number,
    };
    list_init(&p->renewals);
    list_push_back(&m->processes, &p->link);
    place->process = p;
    log_notice(&log_process, "start worker process %d", (int)pid);
}

void workers_retire(struct master *m, struct process *p)
{
    if (p->retiring)
        return;
    p->retiring = true;
    p->wants_quit = true;
    if (p->number < m->places_n && m->places[p->number].process == p)
        m->places[p->number].process = NULL;
}

void workers_resize(struct master *m, size_t n)
{
    LIST_EACH(item, after, &m->processes)
    if (PROCESS(item)->number >= n)
        workers_retire(m, PROCESS(item));
    m->places = xrealloc(m->places, n * sizeof *m->places);
    for (size_t i = m->places_n; i < n; i++)
        m->places[i] = (struct place){0};
    m->places_n = n;
}

void workers_start_due(struct master *m, uint64_t now_ms)
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
    workers_forget(p);
}

void workers_reap(struct master *m)
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

void workers_kill_late(struct master *m, uint64_t now_ms)
{
    if (!m->kill_ms || now_ms < m->kill_ms)
        return;
    LIST_EACH(item, after, &m->processes)
    kill(PROCESS(item)->pid, SIGKILL);
    m->kill_ms = now_ms + KILL_AGAIN_MS;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "worker.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/random.h"
#include "bridge/pool.h"
#include "bridge/publish.h"
#include "channel.h"
#include "io/background.h"
#include "io/loop.h"
#include "io/timer.h"
#include "load.h"
#include "resources.h"
#include "serve/access_log.h"
#include "serve/auth.h"
#include "serve/listeners.h"
#include "serve/upstream.h"
#include "serve/zone.h"
#include "settings.h"
#include "system.h"

enum {
    DRAIN_LOOK_MS = 20, /* how often a retiring worker counts what is left */
    EXIT_FATAL = 2,     /* nginx's "fatal code" */
};

/* A configuration of which not all has arrived. */
struct arriving {
    unsigned number;
    size_t listens, files, zones;
    int bundle; /* -1: nothing arrives */
    int *fds;
    size_t fds_n; /* that have come */
};

struct worker {
    struct loop *loop;
    struct listeners listeners;
    struct generation *generation;
    struct arriving arriving;
    struct event *channel_event, *signal_event;
    struct timer look, deadline;
    int channel; /* -1: the master is gone */
    int signal_fd;
    unsigned number, identity;
    uint64_t epoch;
    bool draining;
};

/* ---- leaving ---- */

static void look(struct timer *timer)
{
    struct worker *w = CONTAINER(timer, struct worker, look);
    if (list_is_empty(&w->listeners.clients) && bridge_live() == 0)
        loop_stop(w->loop);
    else
        timer_set(w->loop, &w->look, DRAIN_LOOK_MS);
}

static void out_of_time(struct timer *timer)
{
    struct worker *w = CONTAINER(timer, struct worker, deadline);
    log_notice(&log_process, "worker_shutdown_timeout has passed, what is "
                             "left is closed");
    loop_stop(w->loop);
}

static void drain(struct worker *w)
{
    if (w->draining)
        return;
    w->draining = true;
    log_notice(&log_process, "gracefully shutting down");
    system_set_title("worker process is shutting down");
    listeners_drain(&w->listeners);
    bridge_drain();
    timer_set(w->loop, &w->look, 0);
    uint64_t limit_ms = settings_of(w->generation)->shutdown_ms;
    if (limit_ms > 0)
        timer_set(w->loop, &w->deadline, limit_ms);
}

static void stop(struct worker *w)
{
    log_notice(&log_process, "exiting");
    loop_stop(w->loop);
}

/* ---- a new configuration ---- */

static void forget_arriving(struct worker *w)
{
    struct arriving *a = &w->arriving;
    if (a->bundle == -1)
        return;
    for (size_t i = 0; i < a->fds_n; i++)
        if (a->fds[i] != -1)
            close(a->fds[i]);
    free(a->fds);
    close(a->bundle);
    *a = (struct arriving){.bundle = -1};
}

static size_t arriving_fds(const struct arriving *a)
{
    return a->listens + a->files + a->zones;
}

static int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* The address is the socket's: what a name or a default port meant was the
 * master's to decide. */
static void attach_socket(struct generation *g, struct listen *l, int fd)
{
    struct sockaddr_storage sa;
    socklen_t length = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &length) == 0)
        address_from_sockaddr(&l->address, (struct sockaddr *)&sa, length);
    l->fds = arena_alloc(g->arena, sizeof *l->fds);
    l->fds[0] = fd;
    l->fds_n = 1;
}

static int attach(struct generation *g, struct arriving *a, struct err *err)
{
    size_t listens = 0;
    for (struct listen *l = g->listens; l; l = l->next)
        listens++;
    size_t zones = zones_count(g);
    if (listens != a->listens || g->files_n != a->files || zones != a->zones)
        return err_set(err,
                       "%zu sockets, %zu logs and %zu zones were named, %zu, "
                       "%zu and %zu were sent",
                       listens, g->files_n, zones, a->listens, a->files,
                       a->zones);
    int *fd = a->fds;
    for (struct listen *l = g->listens; l; l = l->next)
        attach_socket(g, l, take_fd(fd++));
    for (size_t i = 0; i < g->files_n; i++, fd++)
        if (g->files[i]->fd == -1)
            g->files[i]->fd = take_fd(fd);
    for (size_t i = 0; i < zones; i++, fd++)
        if (zones_attach(g, i, *fd, err) == -1)
            return -1;
    return 0;
}

static struct generation *load_arrived(struct worker *w, struct err *err)
{
    struct arriving *a = &w->arriving;
    struct load load = {.number = a->number};
    struct arena *arena = arena_create(LOAD_ARENA_CHUNK);

    if (bundle_read(&load, a->bundle, arena, err) == -1) {
        arena_destroy(arena);
        return NULL;
    }
    struct generation *g = generation_load(&load, arena, err);
    if (g && attach(g, a, err) == -1) {
        generation_unref(g);
        return NULL;
    }
    return g;
}

static void use(struct worker *w, struct generation *g)
{
    struct generation *old = w->generation;
    access_log_flush_all();
    w->generation = g;
    log_process_use(g);
    stderr_follow(g);
    w->listeners.max_connections = settings_of(g)->connections;
    listeners_adopt(&w->listeners, g);
    bridge_adopt(w->loop, g, w->identity, w->epoch);
    upstreams_adopt(w->loop, g, old);
    generation_unref(old);
}

static void report(struct worker *w, enum message_type type, unsigned number,
                   const char *text)
{
    struct message m;
    message_init(&m, type);
    if (type != MESSAGE_READY && type != MESSAGE_MOVED)
        message_put_u32(&m, number);
    message_put_text(&m, str_c(text));
    /* A master that reads nothing is in trouble of its own; a word that is
     * lost delays nothing but its log line. */
    channel_send(w->channel, &m);
}

/* A word that the master does not get makes it wait in vain for a while. */
static void on_moved(void *arg, const char *path)
{
    struct worker *w = arg;
    if (w->channel != -1)
        report(w, MESSAGE_MOVED, 0, path);
}

/* The master passes it on. */
static bool send_relay(void *owner, int fd)
{
    struct worker *w = owner;
    struct message m;

    message_init(&m, MESSAGE_RELAY);
    message_put_fd(&m, fd);
    return w->channel != -1 && channel_send(w->channel, &m) == 1;
}

static void use_arrived(struct worker *w)
{
    unsigned number = w->arriving.number;
    struct err err = {{0}};
    struct generation *g = load_arrived(w, &err);
    forget_arriving(w);
    if (!g) {
        report(w, MESSAGE_REFUSED, number, err.text);
        return;
    }
    use(w, g);
    report(w, MESSAGE_RELOADED, number, "");
}

static bool on_configuration(struct worker *w, struct message *m)
{
    uint32_t number, listens, files, zones;
    if (!message_get_u32(m, &number) || !message_get_u32(m, &listens) ||
        !message_get_u32(m, &files) || !message_get_u32(m, &zones) ||
        m->fds_n != 1)
        return false;
    forget_arriving(w);
    if (w->draining)
        return true;
    w->arriving = (struct arriving){
        .number = number,
        .listens = listens,
        .files = files,
        .zones = zones,
        .bundle = take_fd(&m->fds[0]),
        .fds = xcalloc((size_t)listens + files + zones + 1, sizeof(int)),
    };
    if (arriving_fds(&w->arriving) == 0)
        use_arrived(w);
    return true;
}

static bool on_descriptors(struct worker *w, struct message *m)
{
    struct arriving *a = &w->arriving;
    uint32_t number, first;
    if (!message_get_u32(m, &number) || !message_get_u32(m, &first))
        return false;
    if (a->bundle == -1 || a->number != number)
        return true; /* of one that was overtaken */
    if (first != a->fds_n || m->fds_n > arriving_fds(a) - a->fds_n)
        return false;
    for (size_t i = 0; i < m->fds_n; i++)
        a->fds[a->fds_n++] = take_fd(&m->fds[i]);
    if (a->fds_n == arriving_fds(a))
        use_arrived(w);
    return true;
}

static bool on_reopen(struct worker *w, struct message *m)
{
    struct generation *g = w->generation;
    uint32_t number, first;
    size_t listens = 0;
    if (!message_get_u32(m, &number) || !message_get_u32(m, &first))
        return false;
    if (number != g->number)
        return true;
    for (struct listen *l = g->listens; l; l = l->next)
        listens++;
    if (first < listens || m->fds_n > g->files_n ||
        first - listens > g->files_n - m->fds_n)
        return false;
    access_log_flush_all();
    for (size_t i = 0; i < m->fds_n; i++) {
        struct log_file *f = g->files[first - listens + i];
        if (f->fd == STDERR_FILENO)
            continue;
        if (f->fd != -1)
            close(f->fd);
        f->fd = take_fd(&m->fds[i]);
    }
    stderr_follow(g);
    return true;
}

static bool on_renew(struct message *m)
{
    struct str text = message_get_text(m);
    char path[sizeof(struct sockaddr_un)];

    if (!text.n || text.n >= sizeof path)
        return false;
    memcpy(path, text.p, text.n);
    path[text.n] = '\0';
    bridge_renew(path);
    return true;
}

/* ---- being told ---- */

static bool on_message(struct worker *w, struct message *m)
{
    switch (m->type) {
    case MESSAGE_CONFIGURATION:
        return on_configuration(w, m);
    case MESSAGE_DESCRIPTORS:
        return on_descriptors(w, m);
    case MESSAGE_REOPEN:
        return on_reopen(w, m);
    case MESSAGE_RENEW:
        return on_renew(m);
    case MESSAGE_QUIT:
        drain(w);
        return true;
    case MESSAGE_STOP:
        stop(w);
        return true;
    case MESSAGE_RELAY:
        if (m->fds_n != 1)
            return false;
        bridge_relayed(m->fds[0]);
        return true;
    case MESSAGE_READY:
    case MESSAGE_RELOADED:
    case MESSAGE_REFUSED:
    case MESSAGE_MOVED:
        break; /* a worker's own words */
    }
    return false;
}

/* Without a master nothing can be reloaded or restarted: end in peace. */
static void lose_master(struct worker *w, const char *why)
{
    log_write(&log_process, LEVEL_CRIT, "%s, this worker retires", why);
    event_free(w->channel_event);
    w->channel_event = NULL;
    close(w->channel);
    w->channel = -1;
    forget_arriving(w);
    drain(w);
}

static void on_channel(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct worker *w = arg;
    struct message m;
    int got;

    loop_enter(w->loop);
    while ((got = channel_receive(w->channel, &m)) == 1) {
        bool good = on_message(w, &m);
        message_close_fds(&m);
        if (!good) {
            lose_master(w, "the master sent what no master sends");
            return;
        }
        if (w->loop->stop)
            return;
    }
    if (got == 0)
        return;
    if (errno == EMFILE) {
        /* The master will tell a fresh process. */
        report(w, MESSAGE_REFUSED, w->arriving.number, "no descriptors left");
        forget_arriving(w);
        return;
    }
    lose_master(w, "the master process is gone");
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct worker *w = arg;
    struct signalfd_siginfo info;

    loop_enter(w->loop);
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
            stop(w);
            break;
        case SIGQUIT:
            drain(w);
            break;
        default:
            break; /* the master hears these for us */
        }
}

/* ---- the process ---- */

static int set_limits(const struct settings *s)
{
    struct err err;
    if (s->rlimit_nofile > 0) {
        struct rlimit r = {s->rlimit_nofile, s->rlimit_nofile};
        if (setrlimit(RLIMIT_NOFILE, &r) == -1)
            log_errno(&log_process, LEVEL_ALERT, errno,
                      "setrlimit(RLIMIT_NOFILE, %llu) failed",
                      (unsigned long long)s->rlimit_nofile);
    }
    if (s->priority != 0 && setpriority(PRIO_PROCESS, 0, s->priority) == -1)
        log_errno(&log_process, LEVEL_ALERT, errno, "setpriority(%d) failed",
                  s->priority);
    if (geteuid() == 0 && s->user &&
        system_drop_privileges(s->user, s->uid, s->gid, &err) == -1) {
        log_write(&log_process, LEVEL_EMERG, "%s", err.text);
        return -1;
    }
    /* Changing identity forbids core dumps and leak checks; allow them. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

static struct event *watch(struct worker *w, int fd, event_callback_fn fn)
{
    struct event *e = event_new(w->loop->base, fd, EV_READ | EV_PERSIST, fn, w);
    check(e && event_add(e, NULL) == 0);
    return e;
}

static void end(struct worker *w)
{
    bridge_stop();
    listeners_fini(&w->listeners);
    background_stop();
    auth_stop();
    timer_clear(&w->look);
    timer_clear(&w->deadline);
    forget_arriving(w);
    if (w->channel_event)
        event_free(w->channel_event);
    event_free(w->signal_event);
    if (w->channel != -1)
        close(w->channel);
    close(w->signal_fd);
    access_log_flush_all();
    log_notice(&log_process, "exit");
    log_process_use(NULL);
    upstreams_stop(w->generation);
    /* Its death closes pooled connections, which the loop then buries. */
    generation_unref(w->generation);
    loop_destroy(w->loop);
}

int worker_run(const struct worker_start *start)
{
    struct worker w = {
        .number = start->number,
        .identity = start->identity,
        .channel = start->channel,
        .epoch = start->epoch,
        .arriving.bundle = -1,
    };
    struct err err;
    sigset_t set;

    random_after_fork();
    system_set_title("worker process");
    if (set_limits(settings_of(start->generation)) == -1)
        return EXIT_FATAL;
    system_signals(&set);
    w.signal_fd = system_signal_fd(&set, &err);
    if (w.signal_fd == -1) {
        log_write(&log_process, LEVEL_EMERG, "%s", err.text);
        return EXIT_FATAL;
    }
    w.loop = loop_create();
    timer_init(&w.look, look);
    timer_init(&w.deadline, out_of_time);
    w.signal_event = watch(&w, w.signal_fd, on_signal);
    w.channel_event = watch(&w, w.channel, on_channel);
    listeners_init(&w.listeners, w.loop, w.number,
                   settings_of(start->generation)->connections);
    bridge_set_relay(send_relay, &w);
    use(&w, start->generation);
    bridge_on_moved(on_moved, &w);
    report(&w, MESSAGE_READY, 0, "");
    loop_run(w.loop);
    end(&w);
    return 0;
}

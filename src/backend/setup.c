/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/random.h"
#include "internal.h"

int psb_fail(psb_t *b, int error, const char *what)
{
    err_set(&b->err, "%s: %s", what, strerror(error));
    errno = error;
    return -1;
}

const char *psb_error(const psb_t *b)
{
    return b->err.text;
}

/* ---- watches ---- */

void psb_watch_open(struct psb_watch *w, psb_t *b, int fd, int wants,
                    void (*ready)(struct psb_watch *, int))
{
    w->psb = b;
    w->fd = fd;
    w->wants = wants;
    w->ready = ready;
    list_push_back(&b->watches, &w->all);
}

void psb_watch_close(struct psb_watch *w)
{
    if (w->handle)
        w->psb->ops->del(w->psb->loop, w->handle);
    w->handle = NULL;
    list_remove(&w->all);
    if (w->fd != -1)
        close(w->fd);
    w->fd = -1;
}

static void on_wake(struct psb_watch *w, int events)
{
    uint64_t count;
    (void)events;
    while (read(w->fd, &count, sizeof count) > 0)
        ;
}

/* ---- the backend ---- */

/* PENSTOCK_RESUME_OF: boot ids, in decimal or 0x hexadecimal, by commas. */
static void read_predecessors(psb_t *b)
{
    const char *at = getenv("PENSTOCK_RESUME_OF");

    while (at && *at) {
        char *end;
        uint64_t id = strtoull(at, &end, 0);
        if (end == at)
            return;
        sluice_tlv_put_u64(&b->resume_of, SLUICE_TAG_RESUME_OF, id);
        at = *end ? end + 1 : end;
    }
}

psb_t *psb_new(const char *name)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd == -1)
        return NULL;
    psb_t *b = xcalloc(1, sizeof *b);
    b->name = xstrdup(name ? name : "backend");
    b->boot_id = random_u64();
    read_predecessors(b);
    b->read_buffer =
        xmalloc(SLUICE_HEADER_SIZE + PSB_MAX_FRAME + PSB_READ_SIZE);
    list_init(&b->watches);
    list_init(&b->listeners);
    list_init(&b->links);
    list_init(&b->connectors);
    list_init(&b->streams);
    list_init(&b->reports);
    psb_watch_open(&b->wake, b, fd, POLLIN, on_wake);
    b->now_ms = psb_now();
    return b;
}

static void free_app(struct psb_app_entry *a)
{
    for (size_t i = 0; i < a->protocols_n; i++)
        free(a->protocols[i]);
    free(a->protocols);
    buf_fini(&a->tlvs);
    free(a);
}

void psb_free(psb_t *b)
{
    if (!b)
        return;
    b->busy++;
    LIST_EACH(item, after, &b->listeners)
    {
        psb_listener_close(CONTAINER(item, struct psb_listener, all));
    }
    LIST_EACH(item, after, &b->links)
    {
        psb_link_lose(CONTAINER(item, struct psb_link, all),
                      PSB_CAUSE_SHUTDOWN);
    }
    psb_turn_end(b);
    psb_dial_fini(b);
    psb_bstreams_fini(b);
    psb_reports_run(b);
    buf_fini(&b->claims);
    if (b->timer)
        b->ops->untimer(b->loop, b->timer);
    psb_watch_close(&b->wake);
    for (size_t i = 0; i < b->apps_n; i++)
        free_app(b->apps[i]);
    buf_fini(&b->resume_of);
    free(b->read_buffer);
    free(b->name);
    free(b);
}

/* ---- apps ---- */

static bool put_patterns(struct buf *out, const psb_app *app)
{
    bool ok = true;

    if (app->host)
        ok = sluice_tlv_put_pattern(out, SLUICE_TAG_HOST_PATTERN,
                                    SLUICE_PATTERN_EXACT, str_c(app->host));
    if (app->path)
        ok = ok &&
             sluice_tlv_put_pattern(out, SLUICE_TAG_PATH_PATTERN,
                                    (enum sluice_pattern_kind)app->path_kind,
                                    str_c(app->path));
    for (size_t i = 0; app->origins && app->origins[i]; i++)
        ok = ok && sluice_tlv_put_pattern(out, SLUICE_TAG_ORIGIN_PATTERN,
                                          SLUICE_PATTERN_EXACT,
                                          str_c(app->origins[i]));
    return ok;
}

/* Handlers that are there ask for their events. */
static uint32_t event_mask(const psb_handlers *h)
{
    uint32_t mask = SLUICE_EVENT_OPENED | SLUICE_EVENT_WIRE;
    if (h->on_ping)
        mask |= SLUICE_EVENT_PING;
    if (h->on_pong)
        mask |= SLUICE_EVENT_PONG;
    if (h->on_fragment)
        mask |= SLUICE_EVENT_FRAGMENTS;
    if (h->on_http)
        mask |= SLUICE_EVENT_HTTP_DONE;
    if (h->on_conn)
        mask |= SLUICE_EVENT_CONN;
    if (h->on_refused)
        mask |= SLUICE_EVENT_CLIENT_ERROR;
    return mask;
}

static void fill_tlvs(struct psb_app_entry *a)
{
    const psb_app *app = &a->app;
    struct buf *out = &a->tlvs;

    sluice_tlv_put(out, SLUICE_TAG_NAME, str_c(app->name));
    put_patterns(out, app);
    for (size_t i = 0; i < a->protocols_n; i++)
        sluice_tlv_put(out, SLUICE_TAG_SUBPROTOCOL, str_c(a->protocols[i]));
    sluice_tlv_put_opt(out, SLUICE_OPT_EVENT_MASK,
                       event_mask(&a->h) | app->event_mask);
    if (app->nodelay)
        sluice_tlv_put_opt(out, SLUICE_OPT_NODELAY, app->nodelay > 0);
    if (app->idle_timeout_ms)
        sluice_tlv_put_opt(out, SLUICE_OPT_IDLE_TIMEOUT_MS,
                           app->idle_timeout_ms);
    if (app->versions)
        sluice_tlv_put_opt(out, SLUICE_OPT_VERSIONS, app->versions);
    if (app->stream_threshold)
        sluice_tlv_put_opt(out, SLUICE_OPT_STREAM_THRESHOLD,
                           app->stream_threshold);
    if (app->max_clients)
        sluice_tlv_put_u32(out, SLUICE_TAG_MAX_CLIENTS, app->max_clients);
}

int psb_app_add(psb_t *b, const psb_app *app)
{
    bool kind_ok = app->path_kind >= PSB_EXACT && app->path_kind <= PSB_REGEX;
    size_t n = 0;

    if (!app->name || !*app->name || strlen(app->name) > 255 || !kind_ok)
        return psb_fail(b, EINVAL, "an app needs a name and a known path_kind");
    if (b->apps_n == PSB_APPS_MAX || !list_is_empty(&b->links))
        return psb_fail(b, EBUSY, "too many apps, or links are there already");
    struct psb_app_entry *a = xcalloc(1, sizeof *a);
    a->app = *app;
    if (app->h)
        a->h = *app->h;
    while (app->protocols && app->protocols[n])
        n++;
    a->protocols = xcalloc(n + 1, sizeof *a->protocols);
    for (; a->protocols_n < n; a->protocols_n++)
        a->protocols[a->protocols_n] = xstrdup(app->protocols[a->protocols_n]);
    fill_tlvs(a);
    if (a->tlvs.n > SLUICE_MAX_FRAME_MIN) {
        free_app(a);
        return psb_fail(b, E2BIG, "the app's texts are too long");
    }
    b->apps[b->apps_n++] = a;
    return (int)b->apps_n;
}

void psb_link_withdraw(struct psb_link *l, size_t app)
{
    if (!l->ready || l->dead || !l->app_ids[app])
        return;
    sluice_empty_put(&l->out, SLUICE_UNREGISTER, l->app_ids[app], 0);
    psb_link_dirty(l);
}

int psb_app_withdraw(psb_t *b, int app)
{
    if (app < 1 || (size_t)app > b->apps_n)
        return psb_refuse(EINVAL);
    if (b->apps[app - 1]->withdrawn)
        return 0;
    b->apps[app - 1]->withdrawn = true;
    LIST_EACH(item, after, &b->links)
    {
        psb_link_withdraw(CONTAINER(item, struct psb_link, all),
                          (size_t)app - 1);
    }
    return 0;
}

/* ---- listening ---- */

void psb_listener_close(struct psb_listener *l)
{
    struct stat st;

    /* Only what we made: somebody may have put their own there since. */
    if (l->path && lstat(l->path, &st) == 0 && st.st_ino == l->inode &&
        st.st_dev == l->device)
        unlink(l->path);
    psb_watch_close(&l->watch);
    list_remove(&l->all);
    free(l->path);
    free(l);
}

static void on_connections(struct psb_watch *w, int events)
{
    struct psb_listener *l = CONTAINER(w, struct psb_listener, watch);
    (void)events;

    for (;;) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd != -1) {
            psb_link_open(w->psb, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        /* Without descriptors, the socket would stay readable: look away
         * for a while rather than spin. */
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            l->paused_until_ms = w->psb->now_ms + PSB_ACCEPT_PAUSE_MS;
            w->wants = 0;
        }
        return;
    }
}

static int add_listener(psb_t *b, int fd, const char *path)
{
    struct psb_listener *l = xcalloc(1, sizeof *l);
    struct stat st;

    if (path && lstat(path, &st) == 0) {
        l->path = xstrdup(path);
        l->inode = st.st_ino;
        l->device = st.st_dev;
    }
    list_push_back(&b->listeners, &l->all);
    psb_watch_open(&l->watch, b, fd, POLLIN, on_connections);
    psb_sync(b);
    return 0;
}

/* 1: a dead socket is there and may go; 0: nothing is there; -1: leave it. */
static int look_at(const struct sockaddr_un *addr)
{
    struct stat st;

    if (lstat(addr->sun_path, &st) == -1)
        return errno == ENOENT ? 0 : -1;
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return -1;
    int got = connect(fd, (const struct sockaddr *)addr, sizeof *addr);
    int error = errno;
    close(fd);
    errno = EADDRINUSE;
    /* EAGAIN is a full backlog: somebody is there. */
    return got == -1 && error == ECONNREFUSED ? 1 : -1;
}

static int bind_private(int fd, const struct sockaddr_un *addr)
{
    /* Nobody may connect between bind and chmod. */
    mode_t before = umask(0117);
    int got = bind(fd, (const struct sockaddr *)addr, sizeof *addr);
    int error = errno;
    umask(before);
    errno = error;
    return got;
}

int psb_serve(psb_t *b, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof addr.sun_path)
        return psb_fail(b, ENAMETOOLONG, path);
    memcpy(addr.sun_path, path, length + 1);
    int stale = look_at(&addr);
    if (stale == -1 || (stale == 1 && unlink(path) == -1))
        return psb_fail(b, errno, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return psb_fail(b, errno, "socket");
    if (bind_private(fd, &addr) == -1 || listen(fd, SOMAXCONN) == -1) {
        psb_fail(b, errno, path);
        close(fd);
        return -1;
    }
    return add_listener(b, fd, path);
}

static int serve_inherited(psb_t *b, int fd)
{
    int listening = 0;
    socklen_t n = sizeof listening;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == -1)
        return psb_fail(b, errno, "inherited socket");
    if (!listening)
        return psb_fail(b, EINVAL, "inherited socket does not listen");
    int flags = fcntl(fd, F_GETFL);
    if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
        return psb_fail(b, errno, "inherited socket");
    return add_listener(b, fd, NULL);
}

int psb_serve_fd(psb_t *b, int fd)
{
    const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");

    if (fd >= 0)
        return serve_inherited(b, fd);
    int n = fds ? atoi(fds) : 0;
    if (n < 1 || n > 64 || (pid && atol(pid) != (long)getpid()))
        return psb_fail(b, ENOENT, "LISTEN_FDS");
    for (int i = 0; i < n; i++)
        if (serve_inherited(b, 3 + i) == -1)
            return -1;
    return 0;
}

int psb_adopt(psb_t *b, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
        return psb_fail(b, errno, "adopted socket");
    psb_link_open(b, fd);
    psb_sync(b);
    return 0;
}

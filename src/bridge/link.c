/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "bridge/bstream.h"
#include "bridge/loss.h"
#include "bridge/session.h"
#include "claim.h"
#include "io/connect.h"
#include "logs.h"
#include "sluice/hello.h"
#include "stats.h"

enum {
    SOCKET_BUFFER = 1 << 20 /* SLUICE section 2 */
};

static const char *const state_names[] = {
    [LINK_GREETING] = "greeting", [LINK_WARMING] = "warming",
    [LINK_READY] = "ready",       [LINK_DRAINING] = "draining",
    [LINK_CLOSED] = "closed",
};

static void describe(const struct log_ctx *ctx, struct buf *line)
{
    const struct link *l = CONTAINER(ctx, struct link, log);
    buf_printf(line, ", backend: unix:%s", l->backend->path);
}

const struct log_ctx *link_log(struct link *l)
{
    /* The process's targets change with a reload. */
    l->log.target = log_process.target;
    return &l->log;
}

const char *link_state_name(enum link_state state)
{
    return state_names[state];
}

void link_set_state(struct link *l, enum link_state state)
{
    if (l->state == state)
        return;
    log_debug(link_log(l), "link %s -> %s", state_names[l->state],
              state_names[state]);
    l->state = state;
    if (state == LINK_READY)
        backend_link_ready(l->backend);
    else
        backend_link_unready(l->backend);
}

static void bury(struct loop_task *task)
{
    struct link *l = CONTAINER(task, struct link, grave);
    loss_forget_link(l);
    arena_destroy(l->arena);
    buf_fini(&l->scratch);
    free(l);
}

static void lose_clients(struct link *l, struct list *clients)
{
    while (!list_is_empty(clients)) {
        struct link_client *c =
            CONTAINER(clients->next, struct link_client, on_link);
        link_client_lost(c);
        check(c->link != l);
    }
}

/* The one place where a link ends.  What is queued is tried once more. */
static void end(struct link *l)
{
    if (l->state == LINK_CLOSED)
        return;
    link_set_state(l, LINK_CLOSED);
    bstreams_lost(l);
    timer_clear(&l->timer);
    timer_clear(&l->ack_timer);
    loop_cancel(&l->ack_task);
    loop_cancel(&l->wake_task);
    loop_cancel(&l->move_task);
    stream_close(l->stream);
    logs_fini(l);
    claim_forget_link(l);
    stats_forget_link(l);
    counters_add(&l->backend->pool->counters.data, &l->counters);
    if (!list_is_empty(&l->sessions) && !l->backend->pool->retired)
        log_notice(link_log(l), "%zu clients lose their backend", l->clients_n);
    logs_tell_pool(l->backend->pool, l, LEVEL_WARN,
                   "link to unix:%s is gone, %zu clients lose their backend",
                   l->backend->path, l->clients_n);
    lose_clients(l, &l->sessions);
    lose_clients(l, &l->exchanges);
    backend_link_ended(l->backend);
    loop_bury(bridge.loop, &l->grave);
}

void link_fail(struct link *l, enum sluice_error code, unsigned type,
               const char *why)
{
    uint64_t skipped;

    if (l->state == LINK_CLOSED || l->failing)
        return;
    l->failing = true;
    l->backend->pool->counters.links_lost++;
    if (log_limit_pass(&l->backend->noise, &skipped))
        log_err(link_log(l), "backend broke the protocol: %s: %s in %s frame",
                sluice_error_name(code), why, sluice_type_name(type));
    logs_tell(l, NULL, LEVEL_ERROR,
              "backend broke the protocol: %s: %s in %s frame",
              sluice_error_name(code), why, sluice_type_name(type));
    link_send_error(l, 0, code, type, SLUICE_SEVERITY_LINK, 0, why);
    end(l);
}

void link_close(struct link *l, const char *why)
{
    if (l->state == LINK_CLOSED)
        return;
    log_info(link_log(l), "link closed: %s", why);
    link_send_empty(l, SLUICE_BYE, 0, 0);
    end(l);
}

void link_drain(struct link *l, uint64_t timeout_ms, bool move)
{
    move &= (l->features & SLUICE_FEATURE_MOVE) != 0;
    if (l->state == LINK_CLOSED || l->drain_until_ms)
        return;
    l->drain_until_ms = clock_now_ms() + timeout_ms;
    if (l->state == LINK_READY) {
        struct sluice_goaway g = {
            .mode = move ? SLUICE_GOAWAY_HANDOVER : SLUICE_GOAWAY_DRAIN,
            .grace_ms =
                (uint32_t)(timeout_ms < UINT32_MAX ? timeout_ms : UINT32_MAX),
        };
        sluice_goaway_put(&l->scratch, &g);
        link_send_scratch(l);
        link_set_state(l, LINK_DRAINING);
    }
    if (move)
        link_hand_over(l);
    timer_set(bridge.loop, &l->timer, 0);
}

void link_hand_over(struct link *l)
{
    l->handover = l->features & SLUICE_FEATURE_MOVE;
    if (l->handover)
        loop_defer(bridge.loop, &l->move_task);
}

/* Those that can not leave now do when they can: see session_move(). */
void link_run_moves(struct loop_task *task)
{
    struct link *l = CONTAINER(task, struct link, move_task);
    int n = 0;

    LIST_EACH(item, after, &l->sessions)
    {
        if (!session_move(CONTAINER(item, struct session, on_link)))
            continue;
        if (++n == LOSS_BATCH) {
            loop_defer_next(bridge.loop, &l->move_task);
            return;
        }
    }
}

void link_client_gone(struct link *l)
{
    if (!l->clients_n && l->drain_until_ms && l->state != LINK_CLOSED)
        timer_set(bridge.loop, &l->timer, 0);
}

/* ---- time ---- */

static void lost_silently(struct link *l, uint64_t silent_ms)
{
    l->backend->pool->counters.links_lost++;
    log_err(link_log(l), "backend was silent for %llu ms, link given up",
            (unsigned long long)silent_ms);
    link_send_error(l, 0, SLUICE_ERROR_TIMEOUT, 0, SLUICE_SEVERITY_LINK, 0,
                    "silent");
    end(l);
}

static void on_timer(struct timer *t)
{
    struct link *l = CONTAINER(t, struct link, timer);
    const struct pool_settings *set = &l->backend->pool->conf->set;
    uint64_t now = clock_now_ms();
    uint64_t silent_ms = now - l->heard_ms;
    uint64_t limit_ms = l->state == LINK_GREETING ? set->connect_timeout_ms
                                                  : set->keepalive_timeout_ms;

    if (stream_queued(l->stream) > l->window_in + LINK_QUEUE_HARD) {
        link_fail(l, SLUICE_ERROR_LIMIT, 0, "too much waits to be read");
        return;
    }
    if (silent_ms >= limit_ms) {
        lost_silently(l, silent_ms);
        return;
    }
    if (l->drain_until_ms && (!l->clients_n || now >= l->drain_until_ms)) {
        link_close(l, l->clients_n ? "drain timeout" : "drained");
        return;
    }
    if (l->grace_until_ms && now >= l->grace_until_ms) {
        link_close(l, "its grace is over");
        return;
    }
    if (l->state != LINK_GREETING &&
        (now - l->said_ms >= set->keepalive_ms / 2 ||
         silent_ms >= set->keepalive_ms / 2)) {
        struct sluice_keepalive k = {0};
        le64_put(k.opaque, now);
        sluice_keepalive_put(&l->scratch, &k);
        link_send_scratch(l);
    }
    uint64_t next = set->keepalive_ms / 2 + 1;
    if (next > limit_ms - silent_ms)
        next = limit_ms - silent_ms;
    if (l->drain_until_ms && next > l->drain_until_ms - now)
        next = l->drain_until_ms - now;
    if (l->grace_until_ms && next > l->grace_until_ms - now)
        next = l->grace_until_ms - now;
    timer_set(bridge.loop, t, next);
}

static void on_ack_timer(struct timer *t)
{
    struct link *l = CONTAINER(t, struct link, ack_timer);
    loop_defer(bridge.loop, &l->ack_task);
}

/* ---- the socket ---- */

static void on_end(void *owner, enum stream_end what, int error)
{
    struct link *l = owner;
    uint64_t skipped;

    l->backend->pool->counters.links_lost += !l->bye;
    if (l->bye)
        log_info(link_log(l), "backend said goodbye");
    else if (!log_limit_pass(&l->backend->noise, &skipped))
        ;
    else if (what == STREAM_ERROR)
        log_errno(link_log(l), LEVEL_ERROR, error, "link to backend failed");
    else
        log_err(link_log(l), "backend closed the link%s",
                l->state == LINK_GREETING ? " before its HELLO" : "");
    end(l);
}

static void on_written(void *owner, size_t queued)
{
    struct link *l = owner;
    if (queued < LINK_QUEUE_SOFT && !list_is_empty(&l->starved))
        link_wake_starved(l);
}

static const struct stream_events link_events = {
    .on_data = link_on_data,
    .on_end = on_end,
    .on_written = on_written,
};

static uint64_t offered_features(const struct link *l)
{
    const struct pool_settings *set = &l->backend->pool->conf->set;
    return LINK_FEATURES | (set->at_least_once ? SLUICE_FEATURE_ALO : 0) |
           (set->cross_backend ? SLUICE_FEATURE_CROSS : 0) |
           (set->allow_raw ? SLUICE_FEATURE_RAW : 0) |
           (set->allow_tunnel ? SLUICE_FEATURE_TUNNEL : 0);
}

static void send_hello(struct link *l)
{
    const struct pool *p = l->backend->pool;
    const struct pool_settings *set = &p->conf->set;
    char name[32];
    struct sluice_hello h = {
        .version_min = SLUICE_VERSION,
        .version_max = SLUICE_VERSION,
        .role = SLUICE_ROLE_GATEWAY,
        .process = (uint16_t)bridge.process,
        .max_frame = (uint32_t)set->max_frame,
        .window = (uint32_t)set->reply_window,
        .link_window = (uint32_t)set->link_window_out,
        .keepalive_ms = (uint32_t)set->keepalive_ms,
        .features = l->features,
        .epoch = bridge.epoch,
    };
    struct buf tlvs = {0};

    snprintf(name, sizeof name, "gateway-%u", bridge.process);
    sluice_tlv_put(&tlvs, SLUICE_TAG_NAME, str_c(name));
    sluice_tlv_put(&tlvs, SLUICE_TAG_AGENT, STR("penstock"));
    sluice_tlv_put(&tlvs, SLUICE_TAG_POOL, p->name);
    sluice_tlv_put_u32(&tlvs, SLUICE_TAG_PID, (uint32_t)getpid());
    h.tlvs = buf_str(&tlvs);
    sluice_hello_put(&l->scratch, &h);
    link_send_scratch(l);
    buf_fini(&tlvs);
}

/* SLUICE section 16: who called listen() there? */
static bool listener_is_allowed(struct link *l)
{
    const struct pool_conf *conf = l->backend->pool->conf;
    struct ucred who;
    socklen_t length = sizeof who;

    if (!conf->allow_uids_n)
        return true;
    if (getsockopt(l->stream->fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == -1)
        return false;
    for (size_t i = 0; i < conf->allow_uids_n; i++)
        if (conf->allow_uids[i] == who.uid)
            return true;
    /* A spawned backend inherits the socket: the master listened. */
    if (l->backend->spawned && (who.uid == 0 || who.uid == geteuid()))
        return true;
    uint64_t skipped;
    if (log_limit_pass(&l->backend->noise, &skipped))
        log_err(link_log(l), "user %u may not listen on a backend's socket",
                (unsigned)who.uid);
    return false;
}

static void discard(struct link *l)
{
    stream_close(l->stream);
    loop_bury(bridge.loop, &l->grave);
    l->state = LINK_CLOSED;
}

struct link *link_create(struct backend *b)
{
    const struct pool_settings *set = &b->pool->conf->set;
    struct address to;
    struct err err;
    bool pending;

    if (address_from_path(&to, str_c(b->path), &err) == -1) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    struct link *l = xcalloc(1, sizeof *l);
    l->stream =
        stream_connect(bridge.loop, &to, NULL, &link_events, l, &pending);
    if (!l->stream) {
        int error = errno;
        free(l);
        errno = error;
        return NULL;
    }
    /* A backend that dies with bytes unread gives us its last words and an
     * error at once. */
    l->stream->thorough = true;
    int size = SOCKET_BUFFER;
    setsockopt(l->stream->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(l->stream->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);

    l->backend = b;
    l->log = (struct log_ctx){.describe = describe};
    l->arena = arena_create(1024);
    l->grave.run = bury;
    l->window_out = set->link_window_out;
    list_init(&l->sessions);
    list_init(&l->exchanges);
    list_init(&l->owing);
    list_init(&l->starved);
    list_init(&l->streams);
    list_init(&l->claims);
    list_init(&l->inquiries);
    l->ack_task.run = link_run_acks;
    l->wake_task.run = link_run_wake;
    l->move_task.run = link_run_moves;
    timer_init(&l->timer, on_timer);
    timer_init(&l->ack_timer, on_ack_timer);
    logs_init(l);
    sluice_reader_init(&l->reader, SLUICE_ROLE_BACKEND,
                       (uint32_t)set->max_frame);
    if (!listener_is_allowed(l)) {
        discard(l);
        errno = EACCES;
        return NULL;
    }
    l->heard_ms = clock_now_ms();
    l->features = offered_features(l);
    send_hello(l);
    timer_set(bridge.loop, &l->timer, set->connect_timeout_ms);
    return l;
}

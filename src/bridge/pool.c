/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/random.h"
#include "bridge/loss.h"
#include "bridge/session.h"
#include "claim.h"
#include "drain.h"
#include "events.h"
#include "serve/accepted.h"
#include "serve/stats.h"

enum {
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 5000,
};

struct bridge bridge;

struct pool *pool_find(struct str name)
{
    if (!bridge.loop)
        return NULL;
    LIST_EACH(item, after, &bridge.pools)
    {
        struct pool *p = CONTAINER(item, struct pool, link);
        if (str_eq(p->name, name))
            return p;
    }
    return NULL;
}

/* ---- one backend ---- */

static struct peer *peer_of(struct backend *b)
{
    return b->index >= 0 ? &b->pool->balance.peers[b->index] : NULL;
}

void pool_destroy_if_done(struct pool *p)
{
    if (!p->retired || !list_is_empty(&p->backends) || p->clients ||
        !list_is_empty(&p->losses))
        return;
    list_remove(&p->link);
    drain_fini(p);
    generation_unref(p->generation);
    free(p->balance.peers);
    channels_fini(&p->channels);
    free((void *)(uintptr_t)p->name.p);
    free(p);
}

static void tell_moved(const char *path, unsigned times)
{
    while (times-- && bridge.on_moved)
        bridge.on_moved(bridge.on_moved_arg, path);
}

static void bury_backend(struct loop_task *task)
{
    struct backend *b = CONTAINER(task, struct backend, grave);
    struct pool *p = b->pool;
    list_remove(&b->in_pool);
    if (b->spawned)
        tell_moved(b->path, 1 + b->told_again);
    free(b->path);
    free(b);
    pool_destroy_if_done(p);
}

static void forget(struct backend *b)
{
    timer_clear(&b->retry);
    if (b->heir)
        b->heir->replaces = NULL;
    if (b->replaces)
        b->replaces->heir = NULL;
    b->heir = b->replaces = NULL;
    if (!list_is_linked(&b->grave.link))
        loop_bury(bridge.loop, &b->grave);
}

/* Half of the interval is fixed, half is chance, so that many workers do not
 * dial a reborn backend in step. */
static void dial_later(struct backend *b)
{
    uint32_t half = b->backoff_ms / 2;
    timer_set(bridge.loop, &b->retry, half + random_below(half + 1));
    b->backoff_ms *= 2;
    if (b->backoff_ms > BACKOFF_MAX_MS)
        b->backoff_ms = BACKOFF_MAX_MS;
}

static void dial(struct backend *b)
{
    struct log_ctx log = {.target = log_process.target,
                          .doing = "connecting to a backend"};
    uint64_t skipped;

    b->link = link_create(b);
    if (b->link)
        return;
    int error = errno;
    if (error != EACCES && log_limit_pass(&b->noise, &skipped))
        log_errno(&log, LEVEL_ERROR, error, "connect() to unix:%s failed",
                  b->path);
    dial_later(b);
}

static void on_retry(struct timer *t)
{
    dial(CONTAINER(t, struct backend, retry));
}

static void take_place(struct backend *b);

void backend_link_ready(struct backend *b)
{
    if (b->replaces)
        take_place(b->replaces);
    struct peer *peer = peer_of(b);
    b->backoff_ms = BACKOFF_MIN_MS;
    b->noise = (struct log_limit){0};
    if (peer)
        peer->unready = false;
    log_info(link_log(b->link), "backend is ready");
    pool_place_all(b->pool);
}

void backend_count(struct backend *b)
{
    struct peer *peer = peer_of(b);
    if (peer)
        balance_take(&b->pool->balance, peer, clock_now_ms());
}

void backend_link_unready(struct backend *b)
{
    struct peer *peer = peer_of(b);
    if (peer)
        peer->unready = true;
}

void backend_link_ended(struct backend *b)
{
    b->link = NULL;
    if (b->heir)
        take_place(b);
    else if ((b->index < 0 && !b->replaces) || bridge.draining)
        forget(b);
    else
        dial_later(b);
}

static struct backend *backend_create(struct pool *p, const char *path)
{
    struct backend *b = xcalloc(1, sizeof *b);
    b->pool = p;
    b->path = xstrdup(path);
    struct peer named = {.name = str_c(b->path)};
    sticky_identify(&named, b->id);
    b->index = -1;
    b->backoff_ms = BACKOFF_MIN_MS;
    b->grave.run = bury_backend;
    timer_init(&b->retry, on_retry);
    list_push_back(&p->backends, &b->in_pool);
    return b;
}

static void retire_within(struct backend *b, uint64_t timeout_ms)
{
    if (list_is_linked(&b->grave.link))
        return;
    b->index = -1;
    if (b->link)
        link_drain(b->link, timeout_ms, !b->pool->retired && !bridge.draining);
    else
        forget(b);
}

static void retire(struct backend *b)
{
    retire_within(b, b->pool->conf->set.drain_timeout_ms);
}

/* The heir of b has the place from now on. */
static void take_place(struct backend *b)
{
    struct backend *heir = b->heir;
    struct pool *p = b->pool;

    b->heir = heir->replaces = NULL;
    heir->index = b->index;
    heir->told_again = 0;
    if (b->index >= 0) {
        struct peer *peer = &p->balance.peers[b->index];
        peer->object = heir;
        peer->unready = !heir->link || heir->link->state != LINK_READY;
        *peer->state = (struct peer_state){
            .active = heir->link ? (uint32_t)heir->link->clients_n : 0};
    }
    retire(b);
}

/* ---- one pool ---- */

static struct backend *find_backend(struct pool *p, const char *path)
{
    LIST_EACH(item, after, &p->backends)
    {
        struct backend *b = CONTAINER(item, struct backend, in_pool);
        bool is_leaving = list_is_linked(&b->grave.link) ||
                          (b->link && b->link->drain_until_ms);
        if (!is_leaving && !b->replaces && strcmp(b->path, path) == 0)
            return b;
    }
    return NULL;
}

static void fill_peer(struct peer *peer, const struct pool_server *server,
                      struct backend *b)
{
    *peer = (struct peer){
        .route = str_n(b->id, sizeof b->id),
        .name = str_c(b->path),
        .server = str_c(b->path),
        .object = b,
        .weight = server->weight,
        .max_conns = server->max_clients,
        .backup = server->backup,
        .down = server->down,
        .unready = !b->link || b->link->state != LINK_READY,
        .users = b->link ? (uint32_t)b->link->clients_n : 0,
        .own.active = b->link ? (uint32_t)b->link->clients_n : 0,
    };
}

/* What the new configuration says of this pool.  Backends are known by their
 * paths; links to those that stay are kept as they are. */
static void configure(struct pool *p, struct generation *g,
                      const struct pool_conf *conf)
{
    struct generation *old = p->generation;
    struct peer *peers = xcalloc(conf->servers_n, sizeof *peers);

    p->generation = generation_ref(g);
    p->conf = conf;
    p->retired = false;
    LIST_EACH(item, after, &p->backends)
    {
        CONTAINER(item, struct backend, in_pool)->index = -1;
    }
    for (size_t i = 0; i < conf->servers_n; i++) {
        const struct pool_server *server = &conf->servers[i];
        struct backend *b = find_backend(p, server->path);
        if (!b)
            b = backend_create(p, server->path);
        b->spawned = server->spawn >= 0;
        b->index = (int)i;
        fill_peer(&peers[i], server, b);
    }
    free(p->balance.peers);
    p->balance = (struct balance){
        .method = conf->set.method, .peers = peers, .peers_n = conf->servers_n};
    balance_init(&p->balance, g->arena);
    LIST_EACH(item, after, &p->backends)
    {
        struct backend *b = CONTAINER(item, struct backend, in_pool);
        if (b->replaces && b->replaces->index >= 0)
            continue;
        if (b->index < 0 || conf->servers[b->index].down)
            retire(b);
        else if (!b->link && !timer_is_set(&b->retry))
            dial(b);
    }
    if (old)
        generation_unref(old);
}

static struct pool *pool_create(struct str name)
{
    struct pool *p = xcalloc(1, sizeof *p);
    char *copy = xmalloc(name.n + 1);

    memcpy(copy, name.p, name.n);
    p->name = str_n(copy, name.n);
    list_init(&p->backends);
    list_init(&p->losses);
    list_init(&p->sessions);
    list_push_back(&bridge.pools, &p->link);
    return p;
}

static void retire_pool(struct pool *p, uint64_t timeout_ms)
{
    p->retired = true;
    loss_hurry(p, timeout_ms);
    LIST_EACH(item, after, &p->backends)
    {
        retire_within(CONTAINER(item, struct backend, in_pool), timeout_ms);
    }
}

/* ---- the worker's calls ---- */

static void begin(struct loop *loop, unsigned process, uint64_t epoch)
{
    bridge = (struct bridge){.loop = loop, .process = process, .epoch = epoch};
    list_init(&bridge.pools);
    list_init(&bridge.sessions);
    slots_init(&bridge.slots, process);
    stats_join();
}

void bridge_adopt(struct loop *loop, struct generation *g, unsigned process,
                  uint64_t epoch)
{
    size_t it = 0;
    const struct pool_conf *conf;

    if (!bridge.loop)
        begin(loop, process, epoch);
    if (bridge.draining)
        return;
    while ((conf = pool_conf_next(g, &it))) {
        struct pool *p = pool_find(conf->name);
        configure(p ? p : pool_create(conf->name), g, conf);
    }
    LIST_EACH(item, after, &bridge.pools)
    {
        struct pool *p = CONTAINER(item, struct pool, link);
        if (!p->retired && !pool_conf_find(g, p->name))
            retire_pool(p, p->conf->set.drain_timeout_ms);
    }
    events_adopt();
    LIST_EACH(item, after, &bridge.sessions)
    {
        session_adopt(CONTAINER(item, struct session, all), g);
    }
}

/* False when no pool has it. */
static bool renew_in(struct pool *p, const char *path)
{
    struct backend *b = find_backend(p, path);

    if (!b)
        return false;
    if (b->heir) {
        b->told_again++;
        return true;
    }
    b->heir = backend_create(p, path);
    b->heir->replaces = b;
    b->heir->spawned = true;
    dial(b->heir);
    return true;
}

void bridge_renew(const char *path)
{
    bool found = false;

    if (!bridge.loop || bridge.draining)
        return;
    LIST_EACH(item, after, &bridge.pools)
    {
        found |= renew_in(CONTAINER(item, struct pool, link), path);
    }
    if (!found)
        tell_moved(path, 1);
}

void bridge_on_moved(bridge_moved_fn *moved, void *arg)
{
    bridge.on_moved = moved;
    bridge.on_moved_arg = arg;
}

void bridge_drain(void)
{
    if (!bridge.loop || bridge.draining)
        return;
    bridge.draining = true;
    LIST_EACH(item, after, &bridge.sessions)
    {
        struct session *s = CONTAINER(item, struct session, all);
        if (!s->stream && !session_is_over(s))
            session_fail(s, ENDING_SHUTDOWN);
    }
    LIST_EACH(item, after, &bridge.pools)
    {
        struct pool *p = CONTAINER(item, struct pool, link);
        uint64_t last_ms = drain_begin(p);
        retire_pool(p, last_ms + p->conf->set.drain_timeout_ms);
    }
}

size_t bridge_live(void)
{
    return bridge.live;
}

void bridge_stop(void)
{
    if (!bridge.loop)
        return;
    bridge.draining = true;
    accepted_hook = NULL;
    while (!list_is_empty(&bridge.sessions))
        session_destroy_now(
            CONTAINER(bridge.sessions.next, struct session, all));
    LIST_EACH(item, after, &bridge.pools)
    {
        struct pool *p = CONTAINER(item, struct pool, link);
        drain_fini(p);
        p->retired = true;
        LIST_EACH(backend, next, &p->backends)
        {
            struct backend *b = CONTAINER(backend, struct backend, in_pool);
            b->index = -1;
            if (b->link)
                link_close(b->link, "the worker stops");
            else
                forget(b);
        }
    }
    /* Graves are dug by now, nothing is looked up any more. */
    struct loop *loop = bridge.loop;
    loop_turn(loop, false);
    slots_fini(&bridge.slots);
    claims_fini();
    if (bridge.spare)
        buf_fini(bridge.spare);
    free(bridge.spare);
    buf_fini(&bridge.spare_kept);
    deflate_fini();
    bridge.loop = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/listeners.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "exchange.h"
#include "serve/accepted.h"
#include "serve/cache.h"
#include "serve/core.h"
#include "serve/http1.h"

enum {
    FULL_REST_MS = 100 /* worker_connections reached: try again then */
};

void listeners_init(struct listeners *ls, struct loop *loop, unsigned worker,
                    uint64_t max_connections)
{
    *ls = (struct listeners){
        .loop = loop,
        .worker = worker,
        .max_connections = max_connections,
        .next_number = 1,
    };
    list_init(&ls->slots);
    list_init(&ls->clients);
}

static void tell_accepted(const struct listener_slot *slot, int fd,
                          const struct address *remote)
{
    struct accepted a = {.remote = remote, .tls = slot->listen->ssl};
    struct sockaddr_storage sa;
    socklen_t length = sizeof sa;
    const struct listen *l = slot->listeners->generation->listens;

    for (; l && l != slot->listen; l = l->next)
        a.listener++;
    if (getsockname(fd, (struct sockaddr *)&sa, &length) == -1)
        return;
    address_from_sockaddr(&a.local, (struct sockaddr *)&sa, length);
    accepted_hook(&a);
}

static void on_accept(void *owner, int fd, const struct address *remote)
{
    struct listener_slot *slot = owner;
    struct listeners *ls = slot->listeners;

    ls->accepted++;
    if (ls->connections >= ls->max_connections) {
        log_write(&log_process, LEVEL_ALERT,
                  "%llu worker_connections are not enough",
                  (unsigned long long)ls->max_connections);
        close(fd);
        listener_rest(slot->listener, FULL_REST_MS);
        return;
    }
    ls->handled++;
    if (accepted_hook && slot->listen)
        tell_accepted(slot, fd, remote);
    client_accept(ls, slot, fd, remote);
}

/* The socket of this listen that is this worker's. */
static int fd_of(const struct listeners *ls, const struct listen *l)
{
    if (!l->fds_n)
        return -1;
    return l->fds[l->fds_n > 1 ? ls->worker % l->fds_n : 0];
}

static struct listener_slot *find_slot(struct listeners *ls,
                                       const struct address *address)
{
    LIST_EACH(link, after, &ls->slots)
    {
        struct listener_slot *s = CONTAINER(link, struct listener_slot, link);
        if (s->listener && address_eq(&s->address, address))
            return s;
    }
    return NULL;
}

void listener_slot_unref(struct listener_slot *slot)
{
    if (--slot->references)
        return;
    list_remove(&slot->link);
    free(slot);
}

/* Nobody new comes in through it. */
static void stop_accepting(struct listener_slot *slot)
{
    if (!slot->listener)
        return;
    listener_close(slot->listener);
    slot->listener = NULL;
    close(slot->fd);
    slot->fd = -1;
}

static void close_slot(struct listener_slot *slot)
{
    stop_accepting(slot);
    slot->listen = NULL;
    if (slot->held) {
        slot->held = false;
        listener_slot_unref(slot);
    }
}

/* What is accepted inherits it: that is one call less for each client. */
static void set_nodelay(const struct listener_slot *slot)
{
    const struct server *s = slot->listen->default_server;
    int on = core_conf_of(s->root)->tcp_nodelay;

    if (!address_is_unix(&slot->address))
        setsockopt(slot->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void open_slot(struct listeners *ls, struct listen *l, int fd)
{
    struct listener_slot *slot = xcalloc(1, sizeof *slot);

    *slot = (struct listener_slot){
        .listeners = ls,
        .listen = l,
        .address = l->address,
        .fd = fd,
        .references = 1,
        .held = true,
    };
    list_push_back(&ls->slots, &slot->link);
    set_nodelay(slot);
    slot->listener = listener_open(ls->loop, fd, on_accept, slot);
}

/* A worker keeps its own socket of each address and no other. */
static void close_other_fds(struct listen *l, int keep)
{
    for (size_t i = 0; i < l->fds_n; i++)
        if (l->fds[i] != keep && l->fds[i] >= 0)
            close(l->fds[i]);
    l->fds_n = 0;
}

void listeners_adopt(struct listeners *ls, struct generation *g)
{
    struct generation *old = ls->generation;

    ls->generation = generation_ref(g);
    LIST_EACH(link, after, &ls->slots)
    CONTAINER(link, struct listener_slot, link)->listen = NULL;

    for (struct listen *l = g->listens; l; l = l->next) {
        struct listener_slot *slot = find_slot(ls, &l->address);
        int fd = fd_of(ls, l);
        if (slot) {
            slot->listen = l;
            set_nodelay(slot);
            close_other_fds(l, -1); /* we have it open already */
        } else if (fd >= 0) {
            close_other_fds(l, fd);
            open_slot(ls, l, fd);
        }
    }
    LIST_EACH(link, after, &ls->slots)
    {
        struct listener_slot *s = CONTAINER(link, struct listener_slot, link);
        if (!s->listen)
            close_slot(s);
    }
    LIST_EACH(link, after, &ls->clients)
    {
        struct client *c = CONTAINER(link, struct client, link);
        if (!c->slot->listen)
            client_close_if_idle(c);
    }
    caches_start(g, ls->loop);
    generation_unref(old);
}

void listeners_drain(struct listeners *ls)
{
    /* Who is there may still ask once more (see keepalive_min_timeout), so
     * the listens stay known. */
    ls->draining = true;
    LIST_EACH(link, after, &ls->slots)
    stop_accepting(CONTAINER(link, struct listener_slot, link));
    LIST_EACH(link, after, &ls->clients)
    client_close_if_idle(CONTAINER(link, struct client, link));
}

void listeners_fini(struct listeners *ls)
{
    listeners_drain(ls);
    LIST_EACH(link, after, &ls->clients)
    client_abort(CONTAINER(link, struct client, link));
    LIST_EACH(link, after, &ls->slots)
    close_slot(CONTAINER(link, struct listener_slot, link));
    generation_unref(ls->generation);
    ls->generation = NULL;
}

void serve_fini(void)
{
    exchange_fini();
    http1_fini();
}

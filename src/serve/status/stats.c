/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/stats.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

enum {
    PLACES = 1024, /* workers; more of them are not counted rightly */
};

enum counted {
    COUNTED_NOT = 0,
    COUNTED_READING,
    COUNTED_WRITING,
};

struct place {
    _Atomic int pid; /* 0: free */
    _Atomic uint64_t accepted, requests, active, reading, writing;
};

static struct place *places; /* PLACES of them, and one for the dead */
static struct place *own;

void stats_start(void)
{
    size_t size = (PLACES + 1) * sizeof *places;

    if (places)
        return;
    places = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(places != MAP_FAILED);
}

/* What is past goes to the place of the dead. */
static void clear(struct place *p)
{
    struct place *dead = &places[PLACES];

    atomic_fetch_add(&dead->accepted, atomic_exchange(&p->accepted, 0));
    atomic_fetch_add(&dead->requests, atomic_exchange(&p->requests, 0));
    atomic_store(&p->active, 0);
    atomic_store(&p->reading, 0);
    atomic_store(&p->writing, 0);
}

static bool is_dead(int pid)
{
    return kill(pid, 0) == -1 && errno == ESRCH;
}

static struct place *take_place(void)
{
    int pid = getpid();

    for (size_t i = 0; i < PLACES; i++) {
        int has = atomic_load(&places[i].pid);
        if (has && has != pid && !is_dead(has))
            continue;
        if (!atomic_compare_exchange_strong(&places[i].pid, &has, pid))
            continue;
        clear(&places[i]);
        return &places[i];
    }
    return &places[PLACES - 1];
}

/* Taken by who first counts something: that is a worker, never the master
 * that it is forked from. */
static struct place *mine(void)
{
    if (own)
        return own;
    stats_start(); /* it was, but for a test of this folder alone */
    return own = take_place();
}

void stats_join(void)
{
    mine();
}

size_t stats_others(int *pids, size_t max)
{
    int self = getpid();
    size_t n = 0;

    mine();
    for (size_t i = 0; i < PLACES && n < max; i++) {
        int pid = atomic_load(&places[i].pid);
        if (pid && pid != self && !is_dead(pid))
            pids[n++] = pid;
    }
    return n;
}

/* A place has one writer: no locked instruction is needed. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
        memory_order_relaxed);
}

void stats_accepted(void)
{
    struct place *p = mine();
    add(&p->accepted, 1);
    add(&p->active, 1);
}

void stats_request(void)
{
    add(&mine()->requests, 1);
}

static void count(struct client *c, enum counted now)
{
    struct place *p = mine();

    if (c->counted == (uint8_t)now)
        return;
    if (c->counted == COUNTED_READING)
        add(&p->reading, (uint64_t)-1);
    if (c->counted == COUNTED_WRITING)
        add(&p->writing, (uint64_t)-1);
    if (now == COUNTED_READING)
        add(&p->reading, 1);
    if (now == COUNTED_WRITING)
        add(&p->writing, 1);
    c->counted = (uint8_t)now;
}

void stats_client(struct client *c)
{
    count(c, c->state == CLIENT_HEAD ? COUNTED_READING
             : c->request            ? COUNTED_WRITING
                                     : COUNTED_NOT);
}

void stats_closed(struct client *c)
{
    count(c, COUNTED_NOT);
    add(&mine()->active, (uint64_t)-1);
}

struct stats stats_sum(void)
{
    struct stats sum = {.accepted = 0};

    mine();
    for (size_t i = 0; i <= PLACES; i++) {
        struct place *p = &places[i];
        int pid = atomic_load(&p->pid);
        if (pid && is_dead(pid) &&
            atomic_compare_exchange_strong(&p->pid, &pid, 0))
            clear(p);
        sum.accepted += atomic_load(&p->accepted);
        sum.requests += atomic_load(&p->requests);
        sum.active += atomic_load(&p->active);
        sum.reading += atomic_load(&p->reading);
        sum.writing += atomic_load(&p->writing);
    }
    return sum;
}

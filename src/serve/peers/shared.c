/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone: the states of peers in memory that all workers share.
 *
 * A state is found by upstream, server and address, so it outlives reloads
 * and workers.  Each worker's part of the active requests stands beside the
 * sum, so that it can be taken out when the worker died.  When room is short,
 * states that nobody used for long go; then, and when the memory was emptied
 * after a crash, everybody looks up all of theirs again.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/shm_dict.h"
#include "peers/peers.h"
#include "serve/zone.h"

enum { UNUSED_MS = 10 * 60 * 1000 };

struct root {
    shm_ref states;   /* a shm_dict of struct shared */
    shm_ref turns;    /* a shm_dict of struct turn; 0: none yet */
    uint32_t version; /* counts the times that states were removed */
};

struct shared {
    struct peer_state state;
    uint64_t bound_ms;
    uint32_t held[SHM_OWNERS_MAX + 1]; /* of state.active, by process */
};

/* ---- who died ---- */

static void bury(struct shm *s, unsigned owner, void *arg)
{
    struct root *root = shm_at(s, shm_root(s));
    struct shm_dict *d = root ? shm_at(s, root->states) : NULL;
    (void)arg;

    for (struct shared *e = d ? shm_dict_oldest(s, d) : NULL; e;
         e = shm_dict_newer(s, e)) {
        uint32_t held = e->held[owner];
        if (!held || held > e->state.active)
            continue;
        /* When they began is not known: at the mean. */
        e->state.under_way_ms -= e->state.under_way_ms / e->state.active * held;
        e->state.active -= held;
        e->held[owner] = 0;
    }
}

const struct zone_kind upstream_zone_kind = {.name = "upstream", .bury = bury};

/* ---- where a peer's state is ---- */

static struct root *root_of(struct shm *s)
{
    struct root *root = shm_at(s, shm_root(s));

    if (root)
        return root;
    root = shm_alloc(s, sizeof *root);
    struct shm_dict *d = root ? shm_dict_create(s) : NULL;
    if (!d) {
        shm_free(s, root);
        return NULL;
    }
    root->states = shm_ref_of(s, d);
    shm_set_root(s, shm_ref_of(s, root));
    return root;
}

/* "upstream\0server\0address\0n": the n-th of equal ones. */
static void put_key(struct buf *key, const struct upstream *u,
                    const struct peer *p)
{
    unsigned ordinal = 0;

    for (const struct peer *q = u->balance.peers; q < p; q++)
        ordinal += !q->vacant && str_eq(q->name, p->name) &&
                   str_eq(q->server, p->server);
    buf_put_str(key, u->name);
    buf_put_u8(key, 0);
    buf_put_str(key, p->server);
    buf_put_u8(key, 0);
    buf_put_str(key, p->name);
    buf_put_u8(key, 0);
    buf_put_u64_text(key, ordinal);
}

static bool make_room(struct shm *s, struct root *root)
{
    struct shm_dict *d = shm_at(s, root->states);
    struct shared *e = shm_dict_oldest(s, d);

    while (e) {
        struct shared *newer = shm_dict_newer(s, e);
        uint64_t used_ms = e->bound_ms > e->state.selected_ms
                               ? e->bound_ms
                               : e->state.selected_ms;
        if (!e->state.active && clock_now_ms() - used_ms > UNUSED_MS) {
            shm_dict_remove(s, d, e);
            root->version++;
            return true;
        }
        e = newer;
    }
    return false;
}

static struct shared *find_or_add(struct shm *s, struct root *root,
                                  struct str key)
{
    struct shm_dict *d = shm_at(s, root->states);
    struct shared *e = shm_dict_find(s, d, key);

    while (!e) {
        e = shm_dict_add(s, d, key, sizeof *e);
        if (!e && !make_room(s, root))
            return NULL;
    }
    e->bound_ms = clock_now_ms();
    shm_dict_touch(s, d, e);
    return e;
}

static void complain(const struct upstream *u)
{
    static struct log_limit limit;
    uint64_t skipped;

    if (log_limit_pass(&limit, &skipped))
        log_write(&log_process, LEVEL_ALERT,
                  "zone \"%.*s\" of upstream \"%.*s\" is full, some of its "
                  "servers are counted by each worker alone",
                  STR_ARG(u->zone->name), STR_ARG(u->name));
}

static void bind_states(struct upstream *u, struct root *root)
{
    struct balance *b = &u->balance;
    struct buf key = {0};

    for (size_t i = 0; i < b->peers_n; i++) {
        struct peer *p = &b->peers[i];
        struct shared *e = NULL;
        if (!p->vacant && root) {
            buf_clear(&key);
            put_key(&key, u, p);
            e = find_or_add(u->zone->memory, root, buf_str(&key));
            if (!e)
                complain(u);
        }
        p->state = e ? &e->state : &p->own;
        p->in_zone = e != NULL;
    }
    buf_fini(&key);
}

/* ---- using them ---- */

static struct upstream *upstream_of_balance(struct balance *b)
{
    return CONTAINER(b, struct upstream, balance);
}

static void lock(struct balance *b)
{
    struct upstream *u = upstream_of_balance(b);
    struct shm *s = u->zone->memory;
    uint32_t epoch = shm_lock(s);
    struct root *root = root_of(s);
    uint32_t version = root ? root->version : 0;

    if (epoch == u->zone_epoch && version == u->zone_version)
        return;
    zone_owner(u->zone);
    bind_states(u, root);
    u->zone_epoch = epoch;
    u->zone_version = root ? root->version : 0;
}

static void unlock(struct balance *b)
{
    shm_unlock(upstream_of_balance(b)->zone->memory);
}

static struct shared *shared_of(struct peer *p)
{
    return p->in_zone ? CONTAINER(p->state, struct shared, state) : NULL;
}

static void take(struct balance *b, struct peer *p)
{
    struct shared *e = shared_of(p);
    if (e)
        e->held[zone_owner(upstream_of_balance(b)->zone)]++;
}

static bool give(struct balance *b, struct peer *p)
{
    struct shared *e = shared_of(p);

    if (!e)
        return p->state->active > 0;
    uint32_t *held = &e->held[zone_owner(upstream_of_balance(b)->zone)];
    if (!*held || !e->state.active)
        return false;
    --*held;
    return true;
}

/* ---- whose turn it is ---- */

struct turn {
    uint64_t next_ms;
    uint32_t generation;
};

/* Under the lock; NULL: no room, then every worker has its turn. */
static struct turn *turn_of(struct upstream *u)
{
    struct shm *s = u->zone->memory;
    struct root *root = root_of(s);
    struct shm_dict *d = root ? shm_at(s, root->turns) : NULL;

    if (root && !d && (d = shm_dict_create(s)))
        root->turns = shm_ref_of(s, d);
    if (!d)
        return NULL;
    struct turn *t = shm_dict_find(s, d, u->name);
    return t ? t : shm_dict_add(s, d, u->name, sizeof *t);
}

bool shared_turn(struct upstream *u, uint64_t interval_ms, uint64_t *wait_ms)
{
    uint64_t now_ms = clock_now_ms();
    bool mine = true;

    if (!u->zone)
        return true;
    lock(&u->balance);
    struct turn *t = turn_of(u);
    if (t && now_ms < t->next_ms && t->next_ms - now_ms <= interval_ms) {
        mine = false;
        *wait_ms = t->next_ms - now_ms;
    } else if (t) {
        t->next_ms = now_ms + interval_ms;
    }
    unlock(&u->balance);
    return mine;
}

bool shared_begin(struct upstream *u, unsigned generation)
{
    bool first = true;

    if (!u->zone)
        return true;
    lock(&u->balance);
    struct turn *t = turn_of(u);
    if (t) {
        first = t->generation != generation;
        t->generation = generation;
        if (first)
            t->next_ms = 0;
    }
    unlock(&u->balance);
    return first;
}

static const struct balance_sharing sharing = {lock, unlock, take, give};

void shared_use(struct upstream *u)
{
    u->zone_epoch = 0;
    lock(&u->balance);
    unlock(&u->balance);
}

/* ---- the directive ---- */

static int set_zone(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct upstream *u = upstream_of_scope(scope);
    struct str name = conf_arg(node, 1);
    uint64_t size = 0;
    (void)row, (void)field;

    if (!name.n)
        return conf_fail(conf, "invalid zone name \"%.*s\"", STR_ARG(name));
    if (node->words_n == 3 && (!conf_parse_size(conf_arg(node, 2), &size) ||
                               !size || size > SHM_SIZE_MAX))
        return conf_fail(conf, "invalid zone size \"%.*s\"",
                         STR_ARG(conf_arg(node, 2)));
    if (size && size < SHM_SIZE_MIN)
        return conf_fail(conf,
                         "zone \"%.*s\" is too small, at least %uk is "
                         "needed",
                         STR_ARG(name), SHM_SIZE_MIN / 1024);
    u->zone = zone_declare(conf, name, size, &upstream_zone_kind);
    if (!u->zone)
        return -1;
    u->balance.sharing = &sharing;
    return 0;
}

static const struct directive zone_directives[] = {
    {.name = "zone",
     .syntax = "NAME [SIZE]",
     .contexts = CONF_UPSTREAM,
     .arity = ARGS_1 | ARGS_2,
     .set = set_zone,
     .help = "Shared memory in which all workers keep what they know of the "
             "servers: failures, connections, weights, health."},
    {.name = NULL},
};

struct conf_module upstream_zone_module = {
    .name = "upstream_zone",
    .directives = zone_directives,
};

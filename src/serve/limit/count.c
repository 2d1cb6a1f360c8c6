/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many of a key there are, by worker: a key's entry has the sum and a
 * chain with one part for each process that holds some, so that the parts of
 * a process that died can be taken out of every sum.
 */
#include "limit_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/shm_dict.h"

enum { TABLES = LIMIT_BYTE_RATE + 1 };

struct root {
    shm_ref tables[TABLES];
};

struct part {
    shm_ref next;
    uint32_t owner;
    uint32_t n;
};

struct count {
    uint32_t n; /* the sum of the parts */
    shm_ref parts;
};

struct shm_dict *limit_table(struct shm *s, enum limit_what what)
{
    struct root *root = shm_at(s, shm_root(s));
    if (!root) {
        root = shm_alloc(s, sizeof *root);
        if (!root)
            return NULL;
        shm_set_root(s, shm_ref_of(s, root));
    }
    struct shm_dict *d = shm_at(s, root->tables[what]);
    if (!d) {
        d = shm_dict_create(s);
        root->tables[what] = shm_ref_of(s, d);
    }
    return d;
}

static shm_ref *part_of(struct shm *s, struct count *c, unsigned owner)
{
    shm_ref *at = &c->parts;
    for (struct part *p; (p = shm_at(s, *at)); at = &p->next)
        if (p->owner == owner)
            break;
    return at;
}

/* Take n of the part out, or all of it; the entry goes with its last. */
static void take_out(struct shm *s, struct shm_dict *d, struct count *c,
                     unsigned owner, uint32_t n)
{
    shm_ref *at = part_of(s, c, owner);
    struct part *p = shm_at(s, *at);

    if (!p)
        return;
    if (n > p->n)
        n = p->n;
    p->n -= n;
    c->n -= n;
    if (!p->n) {
        *at = p->next;
        shm_free(s, p);
    }
    if (!c->parts)
        shm_dict_remove(s, d, c);
}

static void bury(struct shm *s, unsigned owner, void *arg)
{
    struct root *root = shm_at(s, shm_root(s));
    (void)arg;
    for (unsigned i = 0; root && i <= LIMIT_SESSIONS; i++) {
        struct shm_dict *d = shm_at(s, root->tables[i]);
        void *c = d ? shm_dict_oldest(s, d) : NULL;
        while (c) {
            void *newer = shm_dict_newer(s, c);
            take_out(s, d, c, owner, UINT32_MAX);
            c = newer;
        }
    }
}

const struct zone_kind limit_zone_kind = {.name = "limits", .bury = bury};

static bool add(struct shm *s, struct shm_dict *d, struct count *c,
                unsigned owner)
{
    struct part *p = shm_at(s, *part_of(s, c, owner));
    if (!p) {
        p = shm_alloc(s, sizeof *p);
        if (!p) {
            if (!c->parts)
                shm_dict_remove(s, d, c);
            return false;
        }
        p->owner = owner;
        p->next = c->parts;
        c->parts = shm_ref_of(s, p);
    }
    p->n++;
    c->n++;
    return true;
}

/* Before somebody is refused: a worker that died may have been counted. */
static void bury_now_and_then(struct shm *s)
{
    static uint64_t next_ms;
    uint64_t now_ms = clock_now_ms();
    if (now_ms < next_ms)
        return;
    next_ms = now_ms + 1000;
    shm_bury(s, bury, NULL);
}

static struct count *count_of(struct shm *s, struct shm_dict *d, struct str key)
{
    struct count *c = shm_dict_find(s, d, key);
    return c ? c : shm_dict_add(s, d, key, sizeof *c);
}

static enum hold_result hold_locked(struct limit_hold *hold, struct zone *zone,
                                    enum limit_what what, struct str key,
                                    uint64_t max)
{
    struct shm *s = zone->memory;
    unsigned owner = zone_owner(zone);
    struct shm_dict *d = limit_table(s, what);
    struct count *c = d ? shm_dict_find(s, d, key) : NULL;

    if (c && c->n >= max) {
        bury_now_and_then(s);
        c = shm_dict_find(s, d, key);
        if (c && c->n >= max)
            return HOLD_OVER;
    }
    c = d ? count_of(s, d, key) : NULL;
    if (!c || !add(s, d, c, owner))
        return HOLD_FULL;
    hold->zone = zone;
    hold->count = shm_ref_of(s, c);
    return HOLD_TAKEN;
}

enum hold_result hold_take(struct limit_hold *hold, struct zone *zone,
                           enum limit_what what, struct str key, uint64_t max)
{
    hold->zone = NULL;
    hold->what = what;
    hold->epoch = shm_lock(zone->memory);
    enum hold_result result = hold_locked(hold, zone, what, key, max);
    shm_unlock(zone->memory);
    return result;
}

bool limit_hold(struct limit_hold *hold, struct zone *zone,
                enum limit_what what, struct str key, uint64_t max)
{
    static struct log_limit limit;
    uint64_t skipped;
    enum hold_result result = hold_take(hold, zone, what, key, max);
    if (result == HOLD_FULL && log_limit_pass(&limit, &skipped))
        log_write(&log_process, LEVEL_ALERT,
                  "could not count in zone \"%.*s\": it is full, %llu more "
                  "since the last such line",
                  STR_ARG(zone->name), (unsigned long long)skipped);
    return result == HOLD_TAKEN;
}

void limit_release(struct limit_hold *hold)
{
    struct zone *zone = hold->zone;
    if (!zone)
        return;
    struct shm *s = zone->memory;
    hold->zone = NULL;
    /* Emptied since: then the count is gone, too. */
    if (shm_lock(s) == hold->epoch) {
        struct shm_dict *d = limit_table(s, hold->what);
        take_out(s, d, shm_at(s, hold->count), zone_owner(zone), 1);
    }
    shm_unlock(s);
}

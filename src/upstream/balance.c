/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/balance.h"

#include "base/check.h"
#include "pick.h"

static void take_lock(struct balance *b)
{
    if (b->sharing)
        b->sharing->lock(b);
}

static void drop_lock(struct balance *b)
{
    if (b->sharing)
        b->sharing->unlock(b);
}

/* ---- setting up ---- */

static unsigned server_id(const struct balance *b, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (str_eq(b->peers[k].server, b->peers[i].server))
            return b->peers[k].server_id;
    return (unsigned)i;
}

void balance_init(struct balance *b, struct arena *arena)
{
    size_t present = 0;

    b->total_weight = 0;
    b->primaries = 0;
    b->slow = false;
    for (size_t i = 0; i < b->peers_n; i++) {
        struct peer *p = &b->peers[i];
        if (!p->state)
            p->state = &p->own;
        p->server_id = server_id(b, i);
        b->slow |= p->slow_start_ms > 0;
        if (p->vacant)
            continue;
        present++;
        if (p->backup)
            continue;
        b->primaries++;
        b->total_weight += p->weight;
    }
    /* With a single peer there is nobody to spare it for: nginx then asks it
     * however often it failed. */
    for (size_t i = 0; i < b->peers_n; i++)
        b->peers[i].alone = present == 1;
    if (b->method == &balance_consistent && !b->ring)
        b->ring = balance_ring_create(b, arena);
}

/* ---- one peer ---- */

/* Has it failed too often, too lately? */
static bool is_resting(const struct peer *p, uint64_t now_ms)
{
    const struct peer_state *s = p->state;
    return !p->alone && p->max_fails && s->fails >= p->max_fails &&
           now_ms - s->checked_ms <= p->fail_timeout_ms;
}

bool peer_is_usable(const struct peer *p, uint64_t now_ms)
{
    const struct peer_state *s = p->state;
    return !p->down && !p->unready && !p->vacant &&
           s->health < PEER_UNHEALTHY && !is_resting(p, now_ms) &&
           (!p->max_conns || s->active < p->max_conns);
}

/* ---- picking ---- */

static struct peer *taken(struct balance *b, struct balance_ask *ask,
                          struct peer *p)
{
    struct peer_state *s = p->state;

    /* A new window: when the peer does well now its old failures are
     * forgotten (balance_succeeded). */
    if (ask->now_ms - s->checked_ms > p->fail_timeout_ms)
        s->checked_ms = ask->now_ms;
    p->users++;
    s->active++;
    if (b->sharing)
        b->sharing->take(b, p);
    s->under_way_ms += ask->now_ms;
    s->requests++;
    s->selected_ms = ask->now_ms;
    if (ask->tried)
        ask->tried[p - b->peers] = true;
    return p;
}

struct peer *balance_pick(struct balance *b, struct balance_ask *ask)
{
    take_lock(b);
    struct peer *p = b->method->pick(b, ask, false);
    if (!p)
        p = b->method->pick(b, ask, true);
    if (p)
        taken(b, ask, p);
    drop_lock(b);
    return p;
}

struct peer *balance_pick_this(struct balance *b, struct balance_ask *ask,
                               struct peer *p)
{
    take_lock(b);
    bool can = !(ask->tried && ask->tried[p - b->peers]) &&
               peer_is_usable(p, ask->now_ms);
    if (can)
        taken(b, ask, p);
    drop_lock(b);
    return can ? p : NULL;
}

void balance_take(struct balance *b, struct peer *p, uint64_t since_ms)
{
    struct balance_ask ask = {.now_ms = since_ms};
    take_lock(b);
    taken(b, &ask, p);
    drop_lock(b);
}

bool balance_has_usable(struct balance *b, const struct balance_ask *ask)
{
    bool found = false;

    take_lock(b);
    for (size_t i = 0; i < b->peers_n && !found; i++)
        found = !(ask->tried && ask->tried[i]) && !b->peers[i].drain &&
                peer_is_usable(&b->peers[i], ask->now_ms);
    drop_lock(b);
    return found;
}

void balance_release(struct balance *b, struct peer *p, uint64_t since_ms)
{
    check(p->users > 0);
    p->users--;
    take_lock(b);
    struct peer_state *s = p->state;
    /* What was shared may be gone, and the count with it. */
    if (!b->sharing || b->sharing->give(b, p)) {
        check(s->active > 0);
        s->active--;
        s->under_way_ms = s->active ? s->under_way_ms - since_ms : 0;
    }
    drop_lock(b);
}

/* ---- failing and being well ---- */

void balance_succeeded(struct balance *b, struct peer *p, uint64_t now_ms)
{
    if (!p->state->fails)
        return;
    take_lock(b);
    struct peer_state *s = p->state;
    if (s->failed_ms < s->checked_ms) {
        if (p->max_fails && s->fails >= p->max_fails)
            s->since_ms = now_ms;
        s->fails = 0;
    }
    drop_lock(b);
}

static bool count_failure(struct peer *p, uint64_t now_ms)
{
    struct peer_state *s = p->state;

    s->failures++;
    if (p->alone)
        return false;
    if (s->fails < UINT32_MAX)
        s->fails++;
    s->failed_ms = now_ms;
    s->checked_ms = now_ms;
    if (!p->max_fails)
        return false;
    uint32_t loss = p->weight / p->max_fails;
    s->lost_weight =
        p->weight - s->lost_weight > loss ? s->lost_weight + loss : p->weight;
    if (s->fails < p->max_fails)
        return false;
    s->unavailable++;
    return true;
}

bool balance_failed(struct balance *b, struct peer *p, uint64_t now_ms)
{
    take_lock(b);
    bool is_out = count_failure(p, now_ms);
    drop_lock(b);
    return is_out;
}

/* ---- measuring ---- */

static void average(uint64_t *mean_us, uint64_t sample_us)
{
    if (!sample_us)
        return;
    *mean_us = *mean_us ? (*mean_us * 7 + sample_us) / 8 : sample_us;
}

void balance_count(struct balance *b, struct peer *p,
                   const struct balance_report *r)
{
    take_lock(b);
    struct peer_state *s = p->state;
    if (r->status >= 100 && r->status < 600)
        s->responses[r->status / 100 - 1]++;
    s->sent += r->sent;
    s->received += r->received;
    average(&s->header_us, r->header_us);
    average(&s->response_us, r->response_us);
    drop_lock(b);
}

static bool take_result(struct peer *p, bool passed, uint32_t fails,
                        uint32_t passes, uint64_t now_ms)
{
    struct peer_state *s = p->state;
    uint32_t was = s->health;

    s->checks++;
    s->checks_failed += !passed;
    if (s->checks_in_row && s->last_passed == passed) {
        if (s->checks_in_row < UINT32_MAX)
            s->checks_in_row++;
    } else {
        s->checks_in_row = 1;
    }
    s->last_passed = passed;
    /* The first check decides alone, then as many in a row as was said. */
    bool first = was == PEER_UNCHECKED || was == PEER_CHECKING;
    if (passed && (first || s->checks_in_row >= passes))
        s->health = PEER_HEALTHY;
    if (!passed && (was == PEER_CHECKING || s->checks_in_row >= fails))
        s->health = PEER_UNHEALTHY;
    if (s->health == PEER_UNHEALTHY && was != PEER_UNHEALTHY)
        s->times_unhealthy++;
    if (s->health == PEER_HEALTHY && was == PEER_UNHEALTHY) {
        s->since_ms = now_ms;
        s->fails = 0;
    }
    return s->health != was;
}

bool balance_checked(struct balance *b, struct peer *p, bool passed,
                     uint32_t fails, uint32_t passes, uint64_t now_ms)
{
    take_lock(b);
    bool changed = take_result(p, passed, fails, passes, now_ms);
    drop_lock(b);
    return changed;
}

void balance_set_health(struct balance *b, struct peer *p,
                        enum peer_health health)
{
    take_lock(b);
    p->state->health = health;
    drop_lock(b);
}

struct peer_state balance_look(struct balance *b, const struct peer *p)
{
    take_lock(b);
    struct peer_state copy = *p->state;
    drop_lock(b);
    return copy;
}

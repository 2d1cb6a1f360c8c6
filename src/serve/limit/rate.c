/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/shm_dict.h"

enum {
    STALE_MS = 60000, /* an empty bucket that nobody used for so long goes */
    STALE_AT_ONCE = 2,
};
#define EXCESS_MAX (UINT64_C(1) << 62)

struct bucket {
    uint64_t last_ms;
    uint64_t excess; /* thousandths, at last_ms */
};

/* Workers read the clock at different moments: it may seem to go back. */
static uint64_t since(const struct bucket *b, uint64_t now_ms)
{
    return now_ms > b->last_ms ? now_ms - b->last_ms : 0;
}

/* What is left of all of it now. */
static uint64_t left_of(const struct bucket *b, uint64_t all, uint64_t rate,
                        uint64_t now_ms)
{
    uint64_t ms = since(b, now_ms);
    if (ms && rate > EXCESS_MAX / ms)
        return 0;
    uint64_t out = rate * ms / 1000;
    return all > out ? all - out : 0;
}

/* The first thing in an empty bucket leaves at once: it is no excess. */
static uint64_t with(const struct bucket *b, const struct limit_rate *rate,
                     uint64_t n, uint64_t now_ms)
{
    if (!b)
        return (n - 1) * 1000;
    return left_of(b, b->excess + n * 1000, rate->rate, now_ms);
}

static void drop_stale(struct shm *s, struct shm_dict *d,
                       const struct limit_rate *rate, uint64_t now_ms)
{
    for (int i = 0; i < STALE_AT_ONCE; i++) {
        struct bucket *b = shm_dict_oldest(s, d);
        if (!b || since(b, now_ms) < STALE_MS ||
            left_of(b, b->excess, rate->rate, now_ms))
            return;
        shm_dict_remove(s, d, b);
    }
}

/* When there is no room the oldest bucket has to go, as in nginx. */
static struct bucket *make(struct shm *s, struct shm_dict *d, struct str key)
{
    struct bucket *b = shm_dict_add(s, d, key, sizeof *b);
    void *oldest = b ? NULL : shm_dict_oldest(s, d);
    if (!oldest)
        return b;
    shm_dict_remove(s, d, oldest);
    return shm_dict_add(s, d, key, sizeof *b);
}

static enum limit_rate_result put(struct shm *s, enum limit_what what,
                                  struct str key, const struct limit_rate *rate,
                                  uint64_t n, bool always, uint64_t *excess)
{
    uint64_t now_ms = clock_now_ms();
    struct shm_dict *d = limit_table(s, what);
    struct bucket *b = d ? shm_dict_find(s, d, key) : NULL;

    *excess = with(b, rate, n, now_ms);
    if (*excess > rate->burst * 1000 && !always)
        return RATE_OVER;
    if (d)
        drop_stale(s, d, rate, now_ms);
    b = d ? shm_dict_find(s, d, key) : NULL;
    if (d && !b)
        b = make(s, d, key);
    if (!b)
        return RATE_FULL;
    b->excess = *excess;
    if (now_ms > b->last_ms)
        b->last_ms = now_ms;
    shm_dict_touch(s, d, b);
    return *excess > rate->burst * 1000 ? RATE_OVER : RATE_FITS;
}

enum limit_rate_result limit_rate_put(struct zone *zone, enum limit_what what,
                                      struct str key,
                                      const struct limit_rate *rate, uint64_t n,
                                      bool always, uint64_t *excess)
{
    shm_lock(zone->memory);
    enum limit_rate_result result =
        put(zone->memory, what, key, rate, n, always, excess);
    shm_unlock(zone->memory);
    return result;
}

enum limit_rate_result limit_rate_look(struct zone *zone, enum limit_what what,
                                       struct str key,
                                       const struct limit_rate *rate,
                                       uint64_t n, uint64_t *excess)
{
    struct shm *s = zone->memory;
    shm_lock(s);
    struct shm_dict *d = limit_table(s, what);
    struct bucket *b = d ? shm_dict_find(s, d, key) : NULL;
    *excess = with(b, rate, n, clock_now_ms());
    shm_unlock(s);
    return *excess > rate->burst * 1000 ? RATE_OVER : RATE_FITS;
}

bool limit_rate_read(struct str text, uint64_t *rate)
{
    uint64_t n, scale = str_ends(text, STR("r/s"))   ? 1
                        : str_ends(text, STR("r/m")) ? 60
                                                     : 0;
    if (!scale || !str_to_u64(str_slice(text, 0, text.n - 3), UINT32_MAX, &n) ||
        !n)
        return false;
    *rate = n * 1000 / scale;
    return true;
}

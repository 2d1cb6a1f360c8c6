/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The peer that would answer soonest: the moving average of its times, once
 * for what it does already and once more, over its weight.  Who was never
 * measured is as good as instant, so that everybody gets measured.
 */
#include "pick.h"

static double expected_us(const struct balance *b, const struct peer *p,
                          uint64_t now_ms)
{
    const struct peer_state *s = p->state;
    double mean_us =
        (double)(b->measure == MEASURE_HEADER ? s->header_us : s->response_us);

    if (b->inflight && s->active) {
        /* What is unfinished takes at least as long as it has taken. */
        uint64_t sum_ms = now_ms * s->active;
        double age_us =
            sum_ms > s->under_way_ms
                ? (double)(sum_ms - s->under_way_ms) * 1000.0 / s->active
                : 0;
        if (age_us > mean_us)
            mean_us = age_us;
    }
    double weight = b->slow ? (double)balance_slow_weight(p, p->weight, now_ms)
                            : (double)p->weight * WEIGHT_SCALE;
    return (mean_us + 1) * ((double)s->active + 1) / weight;
}

int balance_compare_time(const struct balance *b, const struct peer *first,
                         const struct peer *second, uint64_t now_ms)
{
    double left = expected_us(b, first, now_ms);
    double right = expected_us(b, second, now_ms);
    return left < right ? -1 : left > right;
}

static struct peer *pick(struct balance *b, struct balance_ask *ask,
                         bool backup)
{
    const struct peer *best = NULL;
    for (size_t i = 0; i < b->peers_n; i++)
        if (balance_candidate(b, i, ask, backup) &&
            (!best ||
             balance_compare_time(b, &b->peers[i], best, ask->now_ms) < 0))
            best = &b->peers[i];
    if (!best)
        return NULL;

    struct smooth s = {0};
    for (size_t i = 0; i < b->peers_n; i++)
        if (balance_candidate(b, i, ask, backup) &&
            balance_compare_time(b, &b->peers[i], best, ask->now_ms) == 0)
            smooth_offer(&s, b, &b->peers[i], ask->now_ms);
    return smooth_choose(&s);
}

const struct balance_method balance_least_time = {
    .name = "least_time",
    .pick = pick,
};

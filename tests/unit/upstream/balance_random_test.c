/* SPDX-License-Identifier: BSD-2-Clause */
#include "picking.h"

/* random and least_time: chance, and measured times. */

static struct peer *pick_seed(struct balance *b, bool *tried, uint64_t seed)
{
    struct balance_ask ask = {.tried = tried, .now_ms = 1, .seed = seed};
    return balance_pick(b, &ask);
}

static uint64_t seed_of(uint64_t i)
{
    return (i + 1) * 0x9e3779b97f4a7c15u | 1;
}

static void chance_follows_weights(void **state)
{
    (void)state;
    struct peer peers[3] = {{.weight = 1}, {.weight = 3}, {.weight = 6}};
    struct balance b = balance_of(&balance_random, peers, 3);
    int count[3] = {0};
    for (uint64_t i = 0; i < 10000; i++)
        count[pick_seed(&b, NULL, seed_of(i)) - peers]++;
    assert_in_range(count[0], 800, 1200);
    assert_in_range(count[1], 2700, 3300);
    assert_in_range(count[2], 5600, 6400);
}

static void of_two_the_less_busy_is_taken(void **state)
{
    (void)state;
    struct peer peers[3] = {{.weight = 1}, {.weight = 1}, {.weight = 1}};
    struct balance b = balance_of(&balance_random, peers, 3);
    b.two = true;
    peers[1].state->active = 100000;
    for (uint64_t i = 0; i < 200; i++)
        assert_ptr_not_equal(pick_seed(&b, NULL, seed_of(i)), &peers[1]);
    b.measure = MEASURE_HEADER;
    for (size_t i = 0; i < 3; i++)
        *peers[i].state = (struct peer_state){.header_us = 1000};
    peers[2].state->header_us = 5000000;
    for (uint64_t i = 0; i < 200; i++) {
        struct peer *p = pick_seed(&b, NULL, seed_of(i));
        assert_ptr_not_equal(p, &peers[2]);
        balance_release(&b, p, 1);
    }
}

static void all_are_asked_when_chance_avoids_them(void **state)
{
    (void)state;
    struct peer peers[2] = {{.weight = 60000}, {.weight = 1}};
    for (unsigned two = 0; two < 2; two++) {
        struct balance b = balance_of(&balance_random, peers, 2);
        bool tried[2] = {true, false};
        b.two = two;
        assert_ptr_equal(pick_seed(&b, tried, 77), &peers[1]);
        assert_null(pick_seed(&b, tried, 77));
    }
}

static void the_fastest_gets_it(void **state)
{
    (void)state;
    struct peer peers[3] = {{.weight = 1}, {.weight = 1}, {.weight = 1}};
    struct balance b = balance_of(&balance_least_time, peers, 3);
    b.measure = MEASURE_LAST_BYTE;

    /* Who was not measured comes first. */
    bool seen[3] = {false};
    for (int i = 0; i < 3; i++) {
        struct peer *p = pick_at(&b, NULL, 1);
        seen[p - peers] = true;
        balance_count(&b, p,
                      &(struct balance_report){
                          .status = 200, .response_us = 10000, .header_us = 1});
        balance_release(&b, p, 1);
    }
    assert_true(seen[0] && seen[1] && seen[2]);

    peers[1].state->response_us = 2000;
    /* 2 ms for each of those at work there, 10 ms elsewhere. */
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(pick_at(&b, NULL, 1), &peers[1]);
    assert_ptr_not_equal(pick_at(&b, NULL, 1), &peers[1]);
    for (int i = 0; i < 4; i++)
        balance_release(&b, &peers[1], 1);

    /* The mean forgets slowly. */
    balance_count(&b, &peers[1],
                  &(struct balance_report){.response_us = 10000});
    assert_in_range(peers[1].state->response_us, 2900, 3100);
}

static void unfinished_requests_count_when_asked(void **state)
{
    (void)state;
    struct peer peers[2] = {{.weight = 1}, {.weight = 1}};
    struct balance b = balance_of(&balance_least_time, peers, 2);
    b.measure = MEASURE_HEADER;
    peers[0].state->header_us = 1000;
    peers[1].state->header_us = 3500;

    assert_ptr_equal(pick_at(&b, NULL, 100), &peers[0]);
    /* It has hung there for 5 seconds; the mean does not know. */
    assert_ptr_equal(pick_at(&b, NULL, 5100), &peers[0]);
    balance_release(&b, &peers[0], 5100);
    b.inflight = true;
    assert_ptr_equal(pick_at(&b, NULL, 5100), &peers[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chance_follows_weights),
        TEST(of_two_the_less_busy_is_taken),
        TEST(all_are_asked_when_chance_avoids_them),
        TEST(the_fastest_gets_it),
        TEST(unfinished_requests_count_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

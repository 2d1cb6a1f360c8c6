/* SPDX-License-Identifier: BSD-2-Clause */
#include "picking.h"

/* Pick n times and write down who it was. */
static void pick(struct balance *b, size_t n, uint64_t now_ms, char *who)
{
    for (size_t i = 0; i < n; i++) {
        struct peer *p = pick_at(b, NULL, now_ms);
        who[i] = p ? (char)('a' + (p - b->peers)) : '-';
        if (p)
            balance_release(b, p, 0);
    }
    who[n] = '\0';
}

static void spreads_by_weight_and_evenly(void **state)
{
    (void)state;
    static const struct {
        uint32_t weights[4];
        const char *picks;
    } cases[] = {
        {{5, 1, 1}, "aabacaaaabacaa"},
        {{1, 1, 1}, "abcabcabc"},
        {{1, 2}, "babbab"},
        {{3, 2, 1}, "abacbaab"},
        {{4, 3, 2, 1}, "abcabdacbaabc"},
        {{1000000000, 1}, "aaaaaaaaaa"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct peer peers[4] = {0};
        size_t n = 0;
        char who[32];
        for (; n < 4 && cases[i].weights[n]; n++)
            peers[n].weight = cases[i].weights[n];
        struct balance b = balance_of(&balance_round_robin, peers, n);
        pick(&b, strlen(cases[i].picks), 1, who);
        assert_string_equal(who, cases[i].picks);
    }
}

static void each_cycle_gives_each_its_weight(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 200; seed++) {
        struct peer peers[5] = {0};
        uint32_t total = 0, count[5] = {0};
        for (uint32_t i = 0; i < 5; i++)
            total += peers[i].weight = 1 + (seed * 7 + i * i * 13) % 11;
        struct balance b = balance_of(&balance_round_robin, peers, 5);
        for (uint32_t i = 0; i < total; i++)
            count[pick_at(&b, NULL, 1) - peers]++;
        for (uint32_t i = 0; i < 5; i++) {
            assert_int_equal(count[i], peers[i].weight);
            assert_int_equal(peers[i].state->current_weight, 0);
        }
    }
}

static void a_peer_that_failed_regains_its_weight_slowly(void **state)
{
    (void)state;
    struct peer peers[2] = {
        {.weight = 4, .max_fails = 2, .fail_timeout_ms = 10000},
        {.weight = 4, .max_fails = 2, .fail_timeout_ms = 10000},
    };
    struct balance b = balance_of(&balance_round_robin, peers, 2);
    char who[32];
    balance_failed(&b, &peers[0], 1);
    assert_int_equal(peers[0].state->lost_weight, 2);
    pick(&b, 1, 1, who);
    assert_string_equal(who, "b"); /* 2 against 4 */
    assert_int_equal(peers[0].state->lost_weight, 1);
    pick(&b, 3, 1, who);
    assert_int_equal(peers[0].state->lost_weight, 0);
    for (int i = 0; i < 10; i++)
        balance_failed(&b, &peers[0], 1);
    assert_int_equal(peers[0].state->lost_weight, 4); /* not below nothing */
    pick(&b, 4, 1, who);
    assert_string_equal(who, "bbbb");
    assert_int_equal(peers[0].state->lost_weight,
                     4); /* resting is not taking part */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spreads_by_weight_and_evenly),
        TEST(each_cycle_gives_each_its_weight),
        TEST(a_peer_that_failed_regains_its_weight_slowly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

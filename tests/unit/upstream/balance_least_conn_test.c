/* SPDX-License-Identifier: BSD-2-Clause */
#include "picking.h"

static struct peer peers[3];
static struct balance b;

static void begin(uint32_t first, uint32_t second, uint32_t third)
{
    uint32_t weights[] = {first, second, third};
    memset(peers, 0, sizeof peers);
    for (size_t i = 0; i < COUNT(weights); i++)
        peers[i].weight = weights[i];
    b = balance_of(&balance_least_conn, peers, third ? 3 : 2);
}

static char next(void)
{
    struct peer *p = pick_at(&b, NULL, 1);
    return p ? (char)('a' + (p - peers)) : '-';
}

static void takes_the_least_busy(void **state)
{
    (void)state;
    begin(1, 1, 1);
    peers[0].state->active = 3;
    peers[1].state->active = 1;
    peers[2].state->active = 2;
    assert_int_equal(next(), 'b');
    peers[1].state->active = 9;
    assert_int_equal(next(), 'c');
}

static void counts_by_weight(void **state)
{
    (void)state;
    begin(3, 1, 0);
    char who[9] = "";
    for (size_t i = 0; i < 8; i++)
        who[i] = next();
    assert_int_equal(peers[0].state->active, 6);
    assert_int_equal(peers[1].state->active, 2);
    assert_string_equal(who, "abaaabaa");

    /* Products beyond 32 bits. */
    peers[0].weight = 65536 * 2;
    peers[1].weight = 65536;
    peers[0].state->active = 65536 * 2;
    peers[1].state->active = 65536 + 1;
    assert_int_equal(next(), 'a');
}

static void ties_go_round_by_weight(void **state)
{
    (void)state;
    begin(1, 1, 1);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(next(), 'a' + i % 3);
        balance_release(&b, &peers[i % 3], 0);
    }
    /* Who is busier takes no part, and falls back no further. */
    peers[0].state->active = 1;
    assert_int_equal(next(), 'b');
    assert_int_equal(next(), 'c');
    assert_int_equal(peers[0].state->current_weight, 0);
}

static void skips_who_cannot(void **state)
{
    (void)state;
    begin(1, 1, 1);
    peers[0].unready = true;
    peers[1].max_conns = 1;
    assert_int_equal(next(), 'b');
    assert_int_equal(next(), 'c');
    assert_int_equal(next(), 'c');
    peers[2].down = true;
    assert_int_equal(next(), '-');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(takes_the_least_busy),
        TEST(counts_by_weight),
        TEST(ties_go_round_by_weight),
        TEST(skips_who_cannot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

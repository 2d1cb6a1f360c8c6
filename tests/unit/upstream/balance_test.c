/* SPDX-License-Identifier: BSD-2-Clause */
#include "picking.h"

static struct peer plain(void)
{
    return (struct peer){.weight = 1, .max_fails = 1, .fail_timeout_ms = 10000};
}

static void a_peer_that_failed_rests(void **state)
{
    (void)state;
    struct peer peers[2] = {plain(), plain()};
    struct balance b = balance_of(&balance_round_robin, peers, 2);

    assert_ptr_equal(pick_at(&b, NULL, 100000), &peers[0]);
    assert_true(balance_failed(&b, &peers[0], 100000));
    for (uint64_t now_ms = 100000; now_ms <= 110000; now_ms += 1000)
        assert_ptr_equal(pick_at(&b, NULL, now_ms), &peers[1]);
    assert_true(peer_is_usable(&peers[0], 110001));
    /* One is let through to try; while it fails the rest begins anew. */
    while (pick_at(&b, NULL, 110001) != &peers[0])
        continue;
    assert_false(peer_is_usable(&peers[0], 110002));
    assert_true(balance_failed(&b, &peers[0], 110500));
    assert_false(peer_is_usable(&peers[0], 120500));
    while (pick_at(&b, NULL, 120501) != &peers[0])
        continue;
    balance_succeeded(&b, &peers[0], 120600);
    assert_int_equal(peers[0].state->fails, 0);
    assert_true(peer_is_usable(&peers[0], 120600));
}

static void failures_count_within_their_window(void **state)
{
    (void)state;
    struct peer peers[2] = {plain(), plain()};
    struct balance b = balance_of(&balance_round_robin, peers, 2);
    peers[0].max_fails = 3;
    peers[1].down = true;

    assert_ptr_equal(pick_at(&b, NULL, 50000), &peers[0]);
    assert_false(balance_failed(&b, &peers[0], 50000));
    assert_false(balance_failed(&b, &peers[0], 51000));
    /* Success inside the window forgives nothing ... */
    balance_succeeded(&b, &peers[0], 52000);
    assert_int_equal(peers[0].state->fails, 2);
    /* ... after it, all. */
    assert_ptr_equal(pick_at(&b, NULL, 61001), &peers[0]);
    balance_succeeded(&b, &peers[0], 61001);
    assert_int_equal(peers[0].state->fails, 0);
    assert_false(balance_failed(&b, &peers[0], 62000));
    assert_false(balance_failed(&b, &peers[0], 62000));
    assert_true(balance_failed(&b, &peers[0], 62000));
    assert_null(pick_at(&b, NULL, 62000));

    peers[1] = plain();
    peers[1].max_fails = 0; /* never counted */
    balance_init(&b, NULL);
    for (int i = 0; i < 10; i++)
        assert_false(balance_failed(&b, &peers[1], 62000));
    assert_ptr_equal(pick_at(&b, NULL, 62000), &peers[1]);
}

static void a_peer_alone_is_always_asked(void **state)
{
    (void)state;
    struct peer peers[1] = {plain()};
    struct balance b = balance_of(&balance_least_conn, peers, 1);
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(pick_at(&b, NULL, 1000), &peers[0]);
        assert_false(balance_failed(&b, &peers[0], 1000));
    }
    peers[0].max_conns = 6;
    assert_non_null(pick_at(&b, NULL, 1000));
    assert_null(pick_at(&b, NULL, 1000));
    balance_release(&b, &peers[0], 0);
    assert_non_null(pick_at(&b, NULL, 1000));
    balance_release(&b, &peers[0], 0);
    peers[0].unready = true;
    assert_null(pick_at(&b, NULL, 1000));
    peers[0].unready = false;
    peers[0].down = true;
    assert_null(pick_at(&b, NULL, 1000));

    struct balance none = balance_of(&balance_round_robin, NULL, 0);
    assert_null(pick_at(&none, NULL, 1000));
}

static void backups_serve_when_nobody_else_can(void **state)
{
    (void)state;
    static const struct balance_method *const methods[] = {&balance_round_robin,
                                                           &balance_least_conn};
    for (size_t i = 0; i < COUNT(methods); i++) {
        struct peer peers[3] = {plain(), plain(), plain()};
        struct balance b = balance_of(methods[i], peers, 3);
        bool tried[3] = {false};
        peers[0].backup = true;
        peers[1].max_conns = 1;
        peers[2].down = true;
        assert_ptr_equal(pick_at(&b, tried, 1), &peers[1]);
        assert_true(tried[1]);
        assert_ptr_equal(pick_at(&b, NULL, 1), &peers[0]);
        balance_release(&b, &peers[1], 0);
        assert_ptr_equal(pick_at(&b, NULL, 1), &peers[1]);
        balance_release(&b, &peers[1], 0);
        /* Tried for this request, so the backup is the next. */
        assert_ptr_equal(pick_at(&b, tried, 1), &peers[0]);
        assert_null(pick_at(&b, tried, 1));
        assert_int_equal(peers[0].state->active, 2);
        assert_int_equal(peers[1].state->active, 0);
        assert_int_equal(peers[2].state->active, 0);
    }
}

static void a_peer_that_came_back_starts_slowly(void **state)
{
    (void)state;
    struct peer peers[2] = {plain(), plain()};
    peers[0].weight = peers[1].weight = 10;
    peers[0].slow_start_ms = 10000;
    struct balance b = balance_of(&balance_round_robin, peers, 2);

    balance_failed(&b, &peers[0], 1000);
    while (pick_at(&b, NULL, 11001) != &peers[0])
        continue;
    balance_succeeded(&b, &peers[0], 11002);
    assert_int_equal(peers[0].state->since_ms, 11002);
    peers[0].state->lost_weight = 0;

    static const struct {
        uint64_t at_ms;
        int least, most;
    } cases[] = {{11003, 0, 1},
                 {12002, 8, 10},
                 {16002, 32, 35},
                 {21002, 49, 51},
                 {99999, 50, 50}};
    for (size_t k = 0; k < COUNT(cases); k++) {
        int n = 0;
        for (size_t i = 0; i < 2; i++)
            peers[i].state->current_weight = 0;
        for (int i = 0; i < 100; i++)
            n += pick_at(&b, NULL, cases[k].at_ms) == &peers[0];
        assert_in_range(n, cases[k].least, cases[k].most);
    }
}

static void checks_decide_who_is_healthy(void **state)
{
    (void)state;
    struct peer peers[2] = {plain(), plain()};
    struct balance b = balance_of(&balance_round_robin, peers, 2);

    /* Two failures and three passes in a row are asked for. */
    assert_true(balance_checked(&b, &peers[0], true, 2, 3, 1));
    assert_int_equal(peers[0].state->health, PEER_HEALTHY);
    assert_false(balance_checked(&b, &peers[0], false, 2, 3, 1));
    assert_false(balance_checked(&b, &peers[0], true, 2, 3, 1));
    assert_false(balance_checked(&b, &peers[0], false, 2, 3, 1));
    assert_true(peer_is_usable(&peers[0], 1));
    assert_true(balance_checked(&b, &peers[0], false, 2, 3, 1));
    assert_false(peer_is_usable(&peers[0], 1));
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(pick_at(&b, NULL, 1), &peers[1]);
    assert_false(balance_checked(&b, &peers[0], true, 2, 3, 2));
    assert_false(balance_checked(&b, &peers[0], true, 2, 3, 3));
    assert_true(balance_checked(&b, &peers[0], true, 2, 3, 4));
    assert_true(peer_is_usable(&peers[0], 4));
    assert_int_equal(peers[0].state->since_ms, 4);

    struct peer_state now = balance_look(&b, &peers[0]);
    assert_int_equal(now.checks, 8);
    assert_int_equal(now.checks_failed, 3);
    assert_int_equal(now.times_unhealthy, 1);

    /* Mandatory: nothing before the first check. */
    peers[1].state->health = PEER_CHECKING;
    assert_false(peer_is_usable(&peers[1], 4));
    assert_true(balance_checked(&b, &peers[1], false, 2, 3, 5));
    assert_int_equal(peers[1].state->health, PEER_UNHEALTHY);
}

static void one_that_is_wanted_is_given_when_it_can(void **state)
{
    (void)state;
    struct peer peers[3] = {plain(), plain(), plain()};
    struct balance b = balance_of(&balance_round_robin, peers, 3);
    bool tried[3] = {false};
    struct balance_ask ask = {.tried = tried, .now_ms = 1};

    peers[1].drain = true; /* for those who are bound to it only */
    for (int i = 0; i < 6; i++)
        assert_ptr_not_equal(pick_at(&b, NULL, 1), &peers[1]);
    assert_ptr_equal(balance_pick_this(&b, &ask, &peers[1]), &peers[1]);
    assert_int_equal(peers[1].state->active, 1);
    assert_null(balance_pick_this(&b, &ask, &peers[1])); /* tried */
    assert_true(balance_has_usable(&b, &ask));
    tried[0] = tried[2] = true;
    tried[1] = false;
    assert_false(balance_has_usable(&b, &ask)); /* it drains */
    tried[2] = false;
    peers[2].down = true;
    assert_null(balance_pick_this(&b, &ask, &peers[2]));
    assert_int_equal(peers[2].state->active, 3); /* of the six above */
}

static int locked, times_locked;
static int counted[2];

static void lock(struct balance *b)
{
    (void)b;
    assert_int_equal(locked++, 0);
    times_locked++;
}

static void unlock(struct balance *b)
{
    (void)b;
    assert_int_equal(locked--, 1);
}

static void take(struct balance *b, struct peer *p)
{
    assert_int_equal(locked, 1);
    counted[p - b->peers]++;
}

static bool give(struct balance *b, struct peer *p)
{
    assert_int_equal(locked, 1);
    if (!counted[p - b->peers])
        return false;
    counted[p - b->peers]--;
    return true;
}

static void shared_state_is_locked_and_may_lose_count(void **state)
{
    (void)state;
    static const struct balance_sharing sharing = {lock, unlock, take, give};
    struct peer peers[2] = {plain(), plain()};
    struct peer_state shared[2] = {{0}};
    for (size_t i = 0; i < 2; i++)
        peers[i].state = &shared[i];
    struct balance b = balance_of(&balance_least_conn, peers, 2);
    b.sharing = &sharing;

    struct peer *p = pick_at(&b, NULL, 5);
    struct peer_state *s = &shared[p - peers];
    assert_int_equal(s->active, 1);
    assert_int_equal(s->under_way_ms, 5);
    balance_release(&b, p, 5);
    assert_int_equal(s->active, 0);
    /* The memory is emptied while a request is under way. */
    assert_ptr_equal(pick_at(&b, NULL, 5), &peers[1]);
    *peers[1].state = (struct peer_state){0};
    memset(counted, 0, sizeof counted);
    balance_release(&b, &peers[1], 5);
    assert_int_equal(shared[1].active, 0);

    balance_failed(&b, p, 5);
    balance_succeeded(&b, p, 5);
    balance_count(&b, p, &(struct balance_report){.status = 200});
    assert_int_equal(balance_look(&b, p).responses[1], 1);
    assert_true(balance_has_usable(&b, &(struct balance_ask){.now_ms = 5}));
    assert_int_equal(times_locked, 9);
    assert_int_equal(locked, 0);
}

static void a_vacant_place_is_nobody(void **state)
{
    (void)state;
    struct peer peers[3] = {plain(), plain(), plain()};
    peers[0].vacant = peers[2].vacant = true;
    struct balance b = balance_of(&balance_round_robin, peers, 3);
    assert_true(peers[1].alone);
    assert_int_equal(b.total_weight, 1);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(pick_at(&b, NULL, 1), &peers[1]);
    peers[0].vacant = false;
    balance_init(&b, NULL);
    assert_false(peers[1].alone);
    assert_int_equal(b.primaries, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_peer_that_failed_rests),
        TEST(failures_count_within_their_window),
        TEST(a_peer_alone_is_always_asked),
        TEST(backups_serve_when_nobody_else_can),
        TEST(a_peer_that_came_back_starts_slowly),
        TEST(checks_decide_who_is_healthy),
        TEST(one_that_is_wanted_is_given_when_it_can),
        TEST(shared_state_is_locked_and_may_lose_count),
        TEST(a_vacant_place_is_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

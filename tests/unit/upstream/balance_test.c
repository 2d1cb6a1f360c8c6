/* SPDX-License-Identifier: BSD-2-Clause */
#include "upstream/balance.h"

#include "support/test.h"

static struct peer plain(void)
{
    return (struct peer){.weight = 1, .max_fails = 1, .fail_timeout_ms = 10000};
}

static void a_peer_that_failed_rests(void **state)
{
    (void)state;
    struct peer peers[2] = {plain(), plain()};
    struct balance b = {&balance_round_robin, peers, 2, 0};

    assert_ptr_equal(balance_pick(&b, NULL, 100000), &peers[0]);
    assert_true(balance_failed(&peers[0], 100000));
    for (uint64_t now_ms = 100000; now_ms <= 110000; now_ms += 1000)
        assert_ptr_equal(balance_pick(&b, NULL, now_ms), &peers[1]);
    assert_true(peer_is_usable(&peers[0], 110001));
    /* One is let through to try; while it fails the rest begins anew. */
    while (balance_pick(&b, NULL, 110001) != &peers[0])
        continue;
    assert_false(peer_is_usable(&peers[0], 110002));
    assert_true(balance_failed(&peers[0], 110500));
    assert_false(peer_is_usable(&peers[0], 120500));
    while (balance_pick(&b, NULL, 120501) != &peers[0])
        continue;
    balance_succeeded(&peers[0], 120600);
    assert_int_equal(peers[0].fails, 0);
    assert_true(peer_is_usable(&peers[0], 120600));
}

static void failures_count_within_their_window(void **state)
{
    (void)state;
    struct peer peers[2] = {plain(), plain()};
    struct balance b = {&balance_round_robin, peers, 2, 0};
    peers[0].max_fails = 3;
    peers[1].down = true;

    assert_ptr_equal(balance_pick(&b, NULL, 50000), &peers[0]);
    assert_false(balance_failed(&peers[0], 50000));
    assert_false(balance_failed(&peers[0], 51000));
    /* Success inside the window forgives nothing ... */
    balance_succeeded(&peers[0], 52000);
    assert_int_equal(peers[0].fails, 2);
    /* ... after it, all. */
    assert_ptr_equal(balance_pick(&b, NULL, 61001), &peers[0]);
    balance_succeeded(&peers[0], 61001);
    assert_int_equal(peers[0].fails, 0);
    assert_false(balance_failed(&peers[0], 62000));
    assert_false(balance_failed(&peers[0], 62000));
    assert_true(balance_failed(&peers[0], 62000));
    assert_null(balance_pick(&b, NULL, 62000));

    peers[1] = plain();
    peers[1].max_fails = 0; /* never counted */
    for (int i = 0; i < 10; i++)
        assert_false(balance_failed(&peers[1], 62000));
    assert_ptr_equal(balance_pick(&b, NULL, 62000), &peers[1]);
}

static void a_peer_alone_is_always_asked(void **state)
{
    (void)state;
    struct peer peers[1] = {plain()};
    struct balance b = {&balance_least_conn, peers, 1, 0};
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(balance_pick(&b, NULL, 1000), &peers[0]);
        assert_false(balance_failed(&peers[0], 1000));
    }
    peers[0].max_conns = 6;
    assert_non_null(balance_pick(&b, NULL, 1000));
    assert_null(balance_pick(&b, NULL, 1000));
    balance_release(&peers[0]);
    assert_non_null(balance_pick(&b, NULL, 1000));
    balance_release(&peers[0]);
    peers[0].unready = true;
    assert_null(balance_pick(&b, NULL, 1000));
    peers[0].unready = false;
    peers[0].down = true;
    assert_null(balance_pick(&b, NULL, 1000));

    struct balance none = {&balance_round_robin, NULL, 0, 0};
    assert_null(balance_pick(&none, NULL, 1000));
}

static void backups_serve_when_nobody_else_can(void **state)
{
    (void)state;
    static const struct balance_method *const methods[] = {&balance_round_robin,
                                                           &balance_least_conn};
    for (size_t i = 0; i < COUNT(methods); i++) {
        struct peer peers[3] = {plain(), plain(), plain()};
        struct balance b = {methods[i], peers, 3, 0};
        bool tried[3] = {false};
        peers[0].backup = true;
        peers[1].max_conns = 1;
        peers[2].down = true;
        assert_ptr_equal(balance_pick(&b, tried, 1), &peers[1]);
        assert_true(tried[1]);
        assert_ptr_equal(balance_pick(&b, NULL, 1), &peers[0]);
        balance_release(&peers[1]);
        assert_ptr_equal(balance_pick(&b, NULL, 1), &peers[1]);
        balance_release(&peers[1]);
        /* Tried for this request, so the backup is the next. */
        assert_ptr_equal(balance_pick(&b, tried, 1), &peers[0]);
        assert_null(balance_pick(&b, tried, 1));
        assert_int_equal(peers[0].active, 2);
        assert_int_equal(peers[1].active, 0);
        assert_int_equal(peers[2].active, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_peer_that_failed_rests),
        TEST(failures_count_within_their_window),
        TEST(a_peer_alone_is_always_asked),
        TEST(backups_serve_when_nobody_else_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

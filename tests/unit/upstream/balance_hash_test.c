/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/arena.h"
#include "picking.h"

/* hash, hash consistent and ip_hash: who asks decides. */

static struct arena *arena;

static struct peer *pick_key(struct balance *b, bool *tried, const char *key)
{
    struct balance_ask ask = {.tried = tried, .now_ms = 1, .key = str_c(key)};
    return balance_pick(b, &ask);
}

static const char *const names[] = {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80",
                                    "10.0.0.4:80"};

static struct balance keyed(const struct balance_method *method,
                            struct peer *peers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        peers[i].server = str_c(names[i]);
        if (!peers[i].weight)
            peers[i].weight = 1;
    }
    struct balance b = {.method = method, .peers = peers, .peers_n = n};
    balance_init(&b, arena);
    return b;
}

/* The same arithmetic, written for three peers of weight 1 by hand: crc32("a")
 * is e8b7be43, so draw 0x68b7 = 26807 and 26807 % 3 = 2. */
static void the_key_decides(void **state)
{
    (void)state;
    struct peer peers[3] = {0};
    struct balance b = keyed(&balance_hash, peers, 3);
    for (int i = 0; i < 5; i++)
        assert_ptr_equal(pick_key(&b, NULL, "a"), &peers[2]);
    /* An empty key decides nothing. */
    struct peer *first = pick_key(&b, NULL, "");
    assert_ptr_not_equal(pick_key(&b, NULL, ""), first);
}

static void weights_are_shares(void **state)
{
    (void)state;
    static const struct balance_method *const methods[] = {&balance_hash,
                                                           &balance_consistent};
    for (size_t m = 0; m < COUNT(methods); m++) {
        struct peer peers[3] = {{.weight = 1}, {.weight = 2}, {.weight = 5}};
        struct balance b = keyed(methods[m], peers, 3);
        int count[3] = {0};
        char key[16];
        for (int i = 0; i < 8000; i++) {
            snprintf(key, sizeof key, "key%d", i);
            count[pick_key(&b, NULL, key) - peers]++;
        }
        assert_in_range(count[0], 700, 1300);
        assert_in_range(count[1], 1600, 2400);
        assert_in_range(count[2], 4500, 5500);
    }
}

static void who_can_not_is_passed_over(void **state)
{
    (void)state;
    static const struct balance_method *const methods[] = {
        &balance_hash, &balance_consistent, &balance_ip_hash};
    for (size_t m = 0; m < COUNT(methods); m++) {
        struct peer peers[4] = {0};
        struct balance b = keyed(methods[m], peers, 4);
        bool tried[4] = {false};
        struct balance_ask ask = {
            .tried = tried, .now_ms = 1, .key = STR("some key")};
        struct peer *order[4];
        for (int i = 0; i < 4; i++)
            assert_non_null(order[i] = balance_pick(&b, &ask));
        assert_null(balance_pick(&b, &ask));
        /* The order is the key's, too. */
        memset(tried, 0, sizeof tried);
        ask = (struct balance_ask){
            .tried = tried, .now_ms = 1, .key = STR("some key")};
        order[0]->down = true;
        assert_ptr_equal(balance_pick(&b, &ask), order[1]);
    }
}

static void a_server_that_goes_moves_only_its_keys(void **state)
{
    (void)state;
    struct peer peers[4] = {0};
    struct balance b = keyed(&balance_consistent, peers, 4);
    int moved = 0;
    for (int i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        peers[1].down = false;
        struct peer *before = pick_key(&b, NULL, key);
        peers[1].down = true;
        struct peer *after = pick_key(&b, NULL, key);
        assert_ptr_not_equal(after, &peers[1]);
        if (before != &peers[1])
            assert_ptr_equal(before, after);
        else
            moved++;
    }
    assert_in_range(moved, 300, 700);
}

/* A name with several addresses is one server on the ring. */
static void addresses_of_one_server_take_turns(void **state)
{
    (void)state;
    struct peer peers[3] = {{.weight = 1}, {.weight = 1}, {.weight = 1}};
    peers[0].server = peers[1].server = STR("many.example");
    peers[2].server = STR("other.example:8080");
    struct balance b = {
        .method = &balance_consistent, .peers = peers, .peers_n = 3};
    balance_init(&b, arena);
    int others = 0;
    for (int i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        struct peer *first = pick_key(&b, NULL, key);
        struct peer *second = pick_key(&b, NULL, key);
        if (first == &peers[2]) {
            assert_ptr_equal(second, first);
            others++;
        } else {
            assert_ptr_not_equal(second, first);
            assert_ptr_not_equal(second, &peers[2]);
        }
    }
    assert_in_range(others, 50, 150);
}

static void networks_stay_together(void **state)
{
    (void)state;
    struct peer peers[4] = {0};
    struct balance b = keyed(&balance_ip_hash, peers, 4);
    int count[4] = {0};
    for (unsigned net = 0; net < 256; net++) {
        struct peer *first = NULL;
        for (unsigned host = 0; host < 256; host += 85) {
            struct address a;
            char text[32];
            snprintf(text, sizeof text, "10.%u.%u.%u", net * 7 % 256, net,
                     host);
            assert_int_equal(address_from_ip(&a, str_c(text), 1), 0);
            struct balance_ask ask = {.now_ms = 1, .address = &a};
            struct peer *p = balance_pick(&b, &ask);
            if (!first)
                first = p;
            assert_ptr_equal(p, first);
        }
        count[first - peers]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(count[i], 30, 100);

    /* Of IPv6 every byte counts. */
    int differ = 0;
    struct peer *first = NULL;
    for (unsigned host = 0; host < 16; host++) {
        struct address a;
        char text[32];
        snprintf(text, sizeof text, "2001:db8::%x", host);
        assert_int_equal(address_from_ip(&a, str_c(text), 1), 0);
        struct balance_ask ask = {.now_ms = 1, .address = &a};
        struct peer *p = balance_pick(&b, &ask);
        differ += first && p != first;
        first = p;
    }
    assert_true(differ > 0);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_create(4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_key_decides),
        TEST(weights_are_shares),
        TEST(who_can_not_is_passed_over),
        TEST(a_server_that_goes_moves_only_its_keys),
        TEST(addresses_of_one_server_take_turns),
        TEST(networks_stay_together),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

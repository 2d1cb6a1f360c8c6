/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/timer.h"

#include <time.h>

#include "base/clock.h"
#include "io/loop.h"
#include "support/test.h"

/* The program's clocks stand still until a test moves them. */
static uint64_t fake_ms = 1000000;
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    (void)id;
    t->tv_sec = (time_t)(fake_ms / 1000);
    t->tv_nsec = (long)(fake_ms % 1000) * 1000000;
    return 0;
}

static struct loop *loop;

struct probe {
    struct timer timer;
    uint64_t fired_ms, again_ms;
    unsigned times;
};

static void on_fire(struct timer *timer)
{
    struct probe *p = CONTAINER(timer, struct probe, timer);
    p->times++;
    p->fired_ms = fake_ms;
    if (p->again_ms)
        timer_set(loop, timer, p->again_ms);
}

static int set_up(void **state)
{
    (void)state;
    clock_update();
    loop = loop_create();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_destroy(loop);
    return 0;
}

static void pass(uint64_t ms)
{
    fake_ms += ms;
    loop_turn(loop, false);
}

static void start(struct probe *p, uint64_t delay_ms)
{
    memset(p, 0, sizeof *p);
    timer_init(&p->timer, on_fire);
    timer_set(loop, &p->timer, delay_ms);
}

static void a_timer_fires_once_at_its_tick_and_never_before(void **state)
{
    (void)state;
    static const uint64_t delays[] = {
        0, 1, 9, 10, 11, 640, 5000, 40950, 40959, 40960, 41000, 90001, 600003};
    for (size_t i = 0; i < COUNT(delays); i++) {
        struct probe p;
        uint64_t from = fake_ms;
        start(&p, delays[i]);
        while (!p.times && fake_ms < from + delays[i] + 100)
            pass(1);
        assert_int_equal(p.times, 1);
        assert_true(p.fired_ms >= from + delays[i]);
        assert_true(p.fired_ms <= from + delays[i] + 2 * TIMER_TICK_MS);
        assert_false(timer_is_set(&p.timer));
        pass(100000);
        assert_int_equal(p.times, 1);
    }
}

static void pushing_back_keeps_the_place_and_the_time_holds(void **state)
{
    (void)state;
    struct probe p;
    start(&p, 100);
    uint64_t queued = p.timer.queued_ms, last = 0;
    for (int i = 0; i < 5; i++) {
        timer_set(loop, &p.timer, 1000);
        last = fake_ms + 1000;
        assert_int_equal(p.timer.queued_ms, queued);
        pass(15);
    }
    while (fake_ms < last - 1) {
        pass(1);
        assert_int_equal(p.times, 0);
    }
    pass(2 * TIMER_TICK_MS);
    assert_int_equal(p.times, 1);
}

static void a_timer_may_be_brought_forward_cleared_and_set_again(void **state)
{
    (void)state;
    struct probe p;
    start(&p, 50000);
    timer_set(loop, &p.timer, 20);
    pass(40);
    assert_int_equal(p.times, 1);
    timer_set(loop, &p.timer, 20);
    timer_clear(&p.timer);
    timer_clear(&p.timer);
    assert_false(timer_is_set(&p.timer));
    pass(1000);
    assert_int_equal(p.times, 1);
    p.again_ms = 100;
    timer_set(loop, &p.timer, 10);
    for (int i = 0; i < 100; i++)
        pass(10);
    assert_in_range(p.times, 9, 11);
    timer_clear(&p.timer);
}

static struct probe *victim;

static void fire_and_clear(struct timer *timer)
{
    on_fire(timer);
    timer_clear(&victim->timer);
}

static void a_firing_timer_may_clear_one_of_the_same_tick(void **state)
{
    (void)state;
    struct probe first, second;
    start(&first, 20);
    start(&second, 20);
    first.timer.fire = fire_and_clear;
    victim = &second;
    pass(100);
    assert_int_equal(first.times, 1);
    assert_int_equal(second.times, 0);
}

static void thousands_fire_in_order_of_time(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct probe *all = xcalloc(N, sizeof *all);
    uint64_t from = fake_ms;
    for (size_t i = 0; i < N; i++)
        start(&all[i], i * 7 % 100000);
    while (fake_ms < from + 100020)
        pass(5);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(all[i].times, 1);
        assert_true(all[i].fired_ms >= from + i * 7 % 100000);
        assert_true(all[i].fired_ms <= from + i * 7 % 100000 + 20);
    }
    free(all);
}

static void a_jump_fires_what_is_due_once_and_nothing_else(void **state)
{
    (void)state;
    static const uint64_t jumps[] = {40950, 40960, 40970, 3600000,
                                     UINT64_C(86400000) * 30};
    for (size_t i = 0; i < COUNT(jumps); i++) {
        struct probe due[3], later, again;
        start(&due[0], 10);
        start(&due[1], 30000);
        start(&due[2], jumps[i] - 1000);
        start(&later, jumps[i] + 5000);
        start(&again, 100);
        again.again_ms = 100;
        pass(jumps[i] + 20);
        for (size_t k = 0; k < COUNT(due); k++)
            assert_int_equal(due[k].times, 1);
        assert_int_equal(again.times, 1); /* no herd of missed ones */
        assert_int_equal(later.times, 0);
        timer_clear(&again.timer);
        for (int k = 0; k < 498; k++)
            pass(10);
        assert_in_range(later.times, 0, 1);
        assert_true(!later.times || later.fired_ms >= later.timer.due_ms);
        pass(50);
        assert_int_equal(later.times, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_timer_fires_once_at_its_tick_and_never_before),
        TEST(pushing_back_keeps_the_place_and_the_time_holds),
        TEST(a_timer_may_be_brought_forward_cleared_and_set_again),
        TEST(a_firing_timer_may_clear_one_of_the_same_tick),
        TEST(thousands_fire_in_order_of_time),
        TEST(a_jump_fires_what_is_due_once_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

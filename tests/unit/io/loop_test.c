/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/loop.h"

#include "support/test.h"

static struct loop *loop;
static char order[1024];

struct step {
    struct loop_task task;
    char name;
    int again; /* how often it asks anew from within */
    bool next; /* ... for the next turn */
    struct loop_task *bury;
};

static void run(struct loop_task *task)
{
    struct step *s = CONTAINER(task, struct step, task);
    size_t n = strlen(order);
    assert_true(n + 1 < sizeof order);
    order[n] = s->name;
    order[n + 1] = '\0';
    if (s->bury)
        loop_bury(loop, s->bury);
    s->bury = NULL;
    if (s->again-- <= 0)
        return;
    if (s->next)
        loop_defer_next(loop, task);
    else
        loop_defer(loop, task);
}

static struct step step(char name)
{
    return (struct step){.task.run = run, .name = name};
}

static int set_up(void **state)
{
    (void)state;
    order[0] = '\0';
    loop = loop_create();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_destroy(loop);
    return 0;
}

static void turn(const char *expected)
{
    order[0] = '\0';
    loop_turn(loop, false);
    assert_string_equal(order, expected);
}

static void asking_twice_is_asking_once(void **state)
{
    (void)state;
    struct step a = step('a'), b = step('b');
    loop_defer(loop, &a.task);
    loop_defer(loop, &b.task);
    loop_defer(loop, &a.task);
    loop_defer_next(loop, &a.task);
    turn("ab");
    turn("");
}

static void a_crowd_runs_some_at_a_time_behind_the_others(void **state)
{
    (void)state;
    static struct step crowd[LOOP_CROWD_MAX + 2];
    struct step a = step('a');
    for (size_t i = 0; i < LOOP_CROWD_MAX + 2; i++) {
        crowd[i] = step(i < LOOP_CROWD_MAX ? 'x' : 'y');
        loop_defer_crowd(loop, &crowd[i].task);
    }
    loop_cancel(&crowd[LOOP_CROWD_MAX + 1].task);
    loop_defer(loop, &a.task);
    loop_turn(loop, false);
    assert_int_equal(strlen(order), LOOP_CROWD_MAX + 1);
    assert_int_equal(order[0], 'a');
    assert_int_equal(order[LOOP_CROWD_MAX], 'x');
    order[0] = '\0';
    loop_turn(loop, true); /* does not wait: somebody is left */
    assert_string_equal(order, "y");
}

static void a_cancelled_task_does_not_run(void **state)
{
    (void)state;
    struct step a = step('a'), b = step('b');
    loop_defer(loop, &a.task);
    loop_defer_next(loop, &b.task);
    loop_cancel(&a.task);
    loop_cancel(&b.task);
    loop_cancel(&b.task);
    turn("");
}

static void
next_turns_tasks_run_in_the_next_turn_even_without_events(void **state)
{
    (void)state;
    struct step a = step('a');
    a.again = 2;
    a.next = true;
    loop_defer_next(loop, &a.task);
    order[0] = '\0';
    for (int i = 0; i < 3; i++)
        loop_turn(loop, true); /* would wait for ever */
    assert_string_equal(order, "aaa");
}

static void a_task_that_asks_for_ever_does_not_hold_the_turn(void **state)
{
    (void)state;
    struct step a = step('a');
    a.again = 6;
    loop_defer(loop, &a.task);
    turn("aaaa");
    order[0] = '\0';
    loop_turn(loop, true); /* does not wait: it still asks */
    assert_string_equal(order, "aaa");
    turn("");
}

static void the_dead_are_buried_after_all_tasks(void **state)
{
    (void)state;
    struct step a = step('a'), b = step('b'), grave = step('g');
    a.bury = &grave.task;
    b.again = 2;
    loop_defer(loop, &a.task);
    loop_defer(loop, &b.task);
    turn("abbbg");
}

static void destroying_buries_what_is_left(void **state)
{
    struct step grave = step('g'), other = step('h');
    grave.bury = &other.task;
    loop_bury(loop, &grave.task);
    loop_destroy(loop);
    assert_string_equal(order, "gh");
    set_up(state);
}

static void stop_task(struct loop_task *task)
{
    (void)task;
    loop_stop(loop);
}

static void a_stopped_loop_returns_at_the_turns_end(void **state)
{
    (void)state;
    struct loop_task stop = {.run = stop_task};
    loop_defer(loop, &stop);
    loop_run(loop);
    assert_int_equal(loop->turns, 1);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(asking_twice_is_asking_once),
        LOOP_TEST(a_crowd_runs_some_at_a_time_behind_the_others),
        LOOP_TEST(a_cancelled_task_does_not_run),
        LOOP_TEST(next_turns_tasks_run_in_the_next_turn_even_without_events),
        LOOP_TEST(a_task_that_asks_for_ever_does_not_hold_the_turn),
        LOOP_TEST(the_dead_are_buried_after_all_tasks),
        LOOP_TEST(destroying_buries_what_is_left),
        LOOP_TEST(a_stopped_loop_returns_at_the_turns_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/background.h"

#include <pthread.h>

#include "support/test.h"

static struct {
    struct background_job job;
    pthread_t thread;
    bool worked, is_done;
} jobs[BACKGROUND_MAX + 1];

static size_t done_n;

static size_t index_of(const struct background_job *job)
{
    return (size_t)((const char *)job - (const char *)jobs) / sizeof jobs[0];
}

static void work(struct background_job *job)
{
    jobs[index_of(job)].thread = pthread_self();
    jobs[index_of(job)].worked = true;
}

static void done(struct background_job *job)
{
    assert_int_equal(index_of(job), done_n); /* in order */
    jobs[index_of(job)].is_done = true;
    done_n++;
}

static void begin(void)
{
    memset(jobs, 0, sizeof jobs);
    done_n = 0;
    for (size_t i = 0; i < COUNT(jobs); i++) {
        jobs[i].job.work = work;
        jobs[i].job.done = done;
    }
}

static void works_beside_the_loop(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    begin();
    for (size_t i = 0; i < 20; i++)
        assert_true(background_run(loop, &jobs[i].job));
    assert_int_equal(done_n, 0);
    while (done_n < 20)
        loop_turn(loop, true);
    for (size_t i = 0; i < 20; i++) {
        assert_true(jobs[i].worked);
        assert_false(pthread_equal(jobs[i].thread, pthread_self()));
    }
    background_stop();
    background_stop();
    loop_destroy(loop);
}

static void the_end_forgets_nobody(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    begin();
    size_t n = 0;
    while (n < COUNT(jobs) && background_run(loop, &jobs[n].job))
        n++;
    assert_int_equal(n, BACKGROUND_MAX);
    background_stop();
    assert_int_equal(done_n, n);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(works_beside_the_loop),
        TEST(the_end_forgets_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

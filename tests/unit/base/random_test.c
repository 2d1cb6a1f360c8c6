/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/random.h"

#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

static void draws_do_not_repeat(void **state)
{
    (void)state;
    uint64_t drawn[500];
    for (size_t i = 0; i < COUNT(drawn); i++) {
        drawn[i] = random_u64();
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(drawn[k], drawn[i]);
    }
}

static void every_size_is_filled(void **state)
{
    (void)state;
    /* Each byte of each size must differ between draws at least once. */
    for (size_t n = 1; n < 600; n += 37) {
        uint8_t first[600], again[600];
        bool changed[600] = {false};
        memset(first, 0, sizeof first);
        random_bytes(first, n);
        for (int round = 0; round < 20; round++) {
            memset(again, 0, sizeof again);
            random_bytes(again, n);
            for (size_t i = 0; i < n; i++)
                changed[i] |= again[i] != first[i];
            for (size_t i = n; i < sizeof again; i++)
                assert_int_equal(again[i], 0);
        }
        for (size_t i = 0; i < n; i++)
            assert_true(changed[i]);
    }
}

static void stays_below_the_bound(void **state)
{
    (void)state;
    unsigned hits[7] = {0};
    for (int i = 0; i < 7000; i++)
        hits[random_below(7)]++;
    for (size_t i = 0; i < COUNT(hits); i++)
        assert_in_range(hits[i], 700, 1300);
    assert_int_equal(random_below(1), 0);
}

static void a_child_does_not_repeat_its_parent(void **state)
{
    (void)state;
    int fds[2];
    uint64_t mine, theirs = 0;
    random_u64(); /* the pool is filled before the fork */
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        random_after_fork();
        uint64_t v = random_u64();
        _exit(write(fds[1], &v, sizeof v) == sizeof v ? 0 : 1);
    }
    mine = random_u64();
    assert_int_equal(read(fds[0], &theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_not_equal(mine, theirs);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(draws_do_not_repeat),
        TEST(every_size_is_filled),
        TEST(stays_below_the_bound),
        TEST(a_child_does_not_repeat_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

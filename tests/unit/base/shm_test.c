/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/shm.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

static struct shm *make(uint64_t size, int *fd)
{
    struct err err;
    struct shm *s = shm_create("test", size, fd, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void drop(struct shm *s, int fd)
{
    shm_detach(s);
    close(fd);
}

static void nothing_overlaps_and_all_comes_back(void **state)
{
    (void)state;
    enum { N = 400, ROUNDS = 6000 };
    static struct {
        uint8_t *p;
        size_t n;
        uint8_t fill;
    } items[N];
    int fd;
    struct shm *s = make(512 * 1024, &fd);
    shm_lock(s);
    uint64_t all = shm_free_bytes(s);
    uint32_t seed = 7;
    unsigned full = 0;

    for (int round = 0; round < ROUNDS; round++) {
        seed = seed * 1664525u + 1013904223u;
        size_t i = (seed >> 8) % N;
        if (items[i].p) {
            for (size_t k = 0; k < items[i].n; k++)
                assert_int_equal(items[i].p[k], items[i].fill);
            shm_free(s, items[i].p);
            items[i].p = NULL;
            continue;
        }
        size_t n = seed >> 20;
        n = seed & 1 ? n % 200 : seed & 6 ? n : n * 4;
        uint8_t *p = shm_alloc(s, n);
        if (!p) {
            full++;
            continue;
        }
        assert_int_equal((uintptr_t)p % 8, 0);
        assert_ptr_equal(shm_at(s, shm_ref_of(s, p)), p);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(p[k], 0);
        items[i].p = p;
        items[i].n = n;
        items[i].fill = (uint8_t)(seed >> 3);
        memset(p, items[i].fill, n);
    }
    assert_true(full > 0);
    for (size_t i = 0; i < N; i++)
        shm_free(s, items[i].p);
    assert_int_equal(shm_free_bytes(s), all);
    /* And in one piece. */
    void *whole = shm_alloc(s, (size_t)all);
    assert_non_null(whole);
    assert_null(shm_alloc(s, 1));
    shm_free(s, whole);
    shm_unlock(s);
    drop(s, fd);
}

static void every_size_fills_the_memory(void **state)
{
    (void)state;
    int fd;
    struct shm *s = make(SHM_SIZE_MIN, &fd);
    shm_lock(s);
    for (size_t n = 5; n <= 5000; n = n * 3 / 2 + 1) {
        uint64_t room = shm_free_bytes(s);
        void *items[8192];
        size_t got = 0;
        while (got < COUNT(items) && (items[got] = shm_alloc(s, n)))
            got++;
        assert_true(got > 0 && got * n <= room);
        assert_true(got * n * 4 >= room); /* little is lost */
        while (got > 0)
            shm_free(s, items[--got]);
        assert_int_equal(shm_free_bytes(s), room);
    }
    assert_null(shm_alloc(s, SIZE_MAX));
    shm_unlock(s);
    drop(s, fd);
}

static void another_address_shows_the_same(void **state)
{
    (void)state;
    int fd;
    struct err err;
    struct shm *a = make(SHM_SIZE_MIN + 1, &fd);
    struct shm *b = shm_attach(fd, &err);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    assert_int_equal(shm_size(a) % 4096, 0);
    shm_lock(a);
    char *text = shm_alloc(a, 6);
    memcpy(text, "hello", 6);
    shm_set_root(a, shm_ref_of(a, text));
    shm_unlock(a);
    shm_lock(b);
    assert_string_equal(shm_at(b, shm_root(b)), "hello");
    assert_int_equal(shm_hash(a, "k", 1), shm_hash(b, "k", 1));
    shm_free(b, shm_at(b, shm_root(b)));
    shm_unlock(b);
    shm_detach(b);
    drop(a, fd);
}

static void its_size_can_not_be_changed(void **state)
{
    (void)state;
    int fd;
    struct shm *s = make(SHM_SIZE_MIN, &fd);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 1 << 20), -1);
    drop(s, fd);
}

static void refuses_what_is_no_shared_memory(void **state)
{
    (void)state;
    struct err err;
    int fd = memfd_create("other", MFD_CLOEXEC);
    assert_null(shm_attach(fd, &err));
    assert_int_equal(ftruncate(fd, SHM_SIZE_MIN), 0);
    assert_null(shm_attach(fd, &err));
    close(fd);
    assert_null(shm_attach(-1, &err));
}

/* Run body in a child and wait for its end; returns waitpid's status. */
static int in_child(void (*body)(struct shm *s), struct shm *s)
{
    pid_t pid = fork();
    assert_int_not_equal(pid, -1);
    if (pid == 0) {
        body(s);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void die_inside(struct shm *s)
{
    shm_lock(s);
    shm_set_root(s, shm_ref_of(s, shm_alloc(s, 100)));
    kill(getpid(), SIGKILL);
}

static void the_lock_outlives_who_dies_inside(void **state)
{
    (void)state;
    int fd;
    struct shm *s = make(SHM_SIZE_MIN, &fd);
    uint32_t epoch = shm_lock(s);
    uint64_t all = shm_free_bytes(s);
    shm_set_root(s, shm_ref_of(s, shm_alloc(s, 5000)));
    shm_unlock(s);

    int status = in_child(die_inside, s);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    uint32_t next = shm_lock(s);
    assert_int_not_equal(next, epoch);
    assert_int_equal(shm_root(s), 0);
    assert_int_equal(shm_free_bytes(s), all);
    shm_unlock(s);
    /* Once emptied, it is an ordinary one. */
    assert_int_equal(shm_lock(s), next);
    shm_unlock(s);
    drop(s, fd);
}

static unsigned buried[8], buried_n;

static void bury(struct shm *s, unsigned owner, void *arg)
{
    (void)s;
    assert_ptr_equal(arg, buried);
    buried[buried_n++] = owner;
}

static void join_and_die(struct shm *s)
{
    shm_lock(s);
    unsigned owner = shm_join(s, bury, buried);
    shm_set_root(s, owner);
    shm_unlock(s);
    kill(getpid(), SIGKILL);
}

static void join_and_leave(struct shm *s)
{
    shm_lock(s);
    unsigned owner = shm_join(s, bury, buried);
    shm_set_root(s, owner);
    shm_unlock(s);
    shm_leave(s, owner);
}

static void the_dead_are_told_from_the_living(void **state)
{
    (void)state;
    int fd;
    struct shm *s = make(SHM_SIZE_MIN, &fd);
    buried_n = 0;
    shm_lock(s);
    unsigned me = shm_join(s, bury, buried);
    shm_unlock(s);
    assert_int_not_equal(me, 0);

    in_child(join_and_leave, s);
    shm_lock(s);
    unsigned left = shm_root(s);
    assert_int_not_equal(left, me);
    shm_bury(s, bury, buried);
    assert_int_equal(buried_n, 0);
    shm_unlock(s);

    in_child(join_and_die, s);
    shm_lock(s);
    unsigned dead = shm_root(s);
    assert_int_equal(dead, left); /* a place that is free is used again */
    shm_bury(s, bury, buried);
    assert_int_equal(buried_n, 1);
    assert_int_equal(buried[0], dead);
    shm_bury(s, bury, buried);
    assert_int_equal(buried_n, 1);
    shm_unlock(s);
    shm_leave(s, me);
    drop(s, fd);
}

static void there_are_only_so_many_places(void **state)
{
    (void)state;
    int fd;
    struct shm *s = make(SHM_SIZE_MIN, &fd);
    shm_lock(s);
    for (unsigned i = 1; i <= SHM_OWNERS_MAX; i++)
        assert_int_equal(shm_join(s, bury, buried), i);
    assert_int_equal(shm_join(s, bury, buried), 0);
    shm_unlock(s);
    for (unsigned i = 0; i <= SHM_OWNERS_MAX; i++)
        shm_leave(s, i);
    drop(s, fd);
}

enum { TIMES = 20000 };

static void count(struct shm *s)
{
    for (int i = 0; i < TIMES; i++) {
        shm_lock(s);
        uint64_t *n = shm_at(s, shm_root(s));
        void *p = shm_alloc(s, 40);
        *n += p ? 1 : 1000000;
        shm_free(s, p);
        shm_unlock(s);
    }
}

static void two_processes_take_turns(void **state)
{
    (void)state;
    int fd, status;
    struct shm *s = make(SHM_SIZE_MIN, &fd);
    uint64_t *n;
    shm_lock(s);
    shm_set_root(s, shm_ref_of(s, n = shm_alloc(s, sizeof *n)));
    shm_unlock(s);
    pid_t other = fork();
    if (other == 0) {
        count(s);
        _exit(0);
    }
    count(s);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(*n, 2 * TIMES);
    drop(s, fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_overlaps_and_all_comes_back),
        TEST(every_size_fills_the_memory),
        TEST(another_address_shows_the_same),
        TEST(its_size_can_not_be_changed),
        TEST(refuses_what_is_no_shared_memory),
        TEST(the_lock_outlives_who_dies_inside),
        TEST(the_dead_are_told_from_the_living),
        TEST(there_are_only_so_many_places),
        TEST(two_processes_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/open_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

static char directory[] = "/tmp/penstock-open-cache-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static struct open_cache_rules rules;

static struct open_cache *create(uint64_t max, uint64_t valid_ms,
                                 uint64_t min_uses, bool errors)
{
    struct open_cache_settings s = {
        .how = OPEN_TO_READ, .max = max, .inactive_ms = 60000};
    rules = (struct open_cache_rules){
        .valid_ms = valid_ms, .min_uses = min_uses, .errors = errors};
    return open_cache_create(&s);
}

/* fd, or the negated errno. */
static int ask(struct open_cache *c, const char *name)
{
    struct open_file *f = open_cache_get(c, &rules, path_of(name));
    int answer = f->error ? -f->error : f->fd;
    open_cache_give(c, f);
    return answer;
}

static void keeps_a_descriptor(void **state)
{
    (void)state;
    struct open_cache *c = create(10, 60000, 1, false);
    write_file("a", "one");
    int fd = ask(c, "a");
    assert_true(fd >= 0);
    assert_int_equal(ask(c, "a"), fd);
    /* Valid for a minute: what happens meanwhile is not seen. */
    unlink(path_of("a"));
    assert_int_equal(ask(c, "a"), fd);
    open_cache_clear(c);
    assert_int_equal(ask(c, "a"), -ENOENT);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    open_cache_destroy(c);
}

static void looks_again_when_it_is_due(void **state)
{
    (void)state;
    struct open_cache *c = create(10, 0, 1, false);
    write_file("b", "one");
    struct open_file *old = open_cache_get(c, &rules, path_of("b"));
    assert_int_equal(old->st.st_size, 3);
    write_file("b", "longer");
    struct open_file *fresh = open_cache_get(c, &rules, path_of("b"));
    assert_int_equal(fresh->st.st_size, 6);
    assert_ptr_not_equal(old, fresh);
    assert_int_equal(old->st.st_size, 3); /* whole while it is held */
    open_cache_give(c, old);
    open_cache_give(c, fresh);
    unlink(path_of("b"));
    assert_int_equal(ask(c, "b"), -ENOENT);
    open_cache_destroy(c);
}

static void keeps_errors_only_when_told(void **state)
{
    (void)state;
    for (int errors = 0; errors < 2; errors++) {
        struct open_cache *c = create(10, 60000, 1, errors);
        unlink(path_of("c"));
        assert_int_equal(ask(c, "c"), -ENOENT);
        write_file("c", "");
        assert_int_equal(ask(c, "c") >= 0, !errors);
        open_cache_destroy(c);
    }
}

static void closes_what_is_used_too_little(void **state)
{
    (void)state;
    struct open_cache *c = create(10, 60000, 3, false);
    write_file("d", "x");
    for (int uses = 1; uses <= 3; uses++) {
        struct open_file *f = open_cache_get(c, &rules, path_of("d"));
        int fd = f->fd;
        assert_true(fd >= 0);
        open_cache_give(c, f);
        assert_int_equal(fcntl(fd, F_GETFD) != -1, uses == 3);
    }
    open_cache_destroy(c);
}

static void holds_no_more_than_its_maximum(void **state)
{
    (void)state;
    struct open_cache *c = create(3, 60000, 1, false);
    int fds[5];
    char name[] = "e0";
    for (int i = 0; i < 5; i++) {
        name[1] = (char)('0' + i);
        write_file(name, "x");
        fds[i] = ask(c, name);
        assert_true(fds[i] >= 0);
    }
    /* Two of them gave way: their numbers are in use again, or closed. */
    int open_now = 0;
    for (int fd = 3; fd < 64; fd++) {
        char link[64], target[256];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof target - 1);
        target[n > 0 ? n : 0] = 0;
        open_now += strstr(target, directory) != NULL;
    }
    assert_int_equal(open_now, 3);
    open_cache_destroy(c);
}

static void knows_a_directory_without_holding_it(void **state)
{
    (void)state;
    struct open_cache *c = create(3, 60000, 1, false);
    struct open_file *f = open_cache_get(c, &rules, directory);
    assert_int_equal(f->error, 0);
    assert_true(S_ISDIR(f->st.st_mode));
    assert_int_equal(f->fd, -1);
    open_cache_give(c, f);
    open_cache_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keeps_a_descriptor),
        TEST(looks_again_when_it_is_due),
        TEST(keeps_errors_only_when_told),
        TEST(closes_what_is_used_too_little),
        TEST(holds_no_more_than_its_maximum),
        TEST(knows_a_directory_without_holding_it),
    };
    clock_update();
    if (!mkdtemp(directory))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return failed || system(command) != 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/shm_dict.h"

#include <unistd.h>

#include "support/test.h"

struct fixture {
    int fd;
    struct shm *s;
    struct shm_dict *d;
};

static struct fixture make(void)
{
    struct fixture f;
    struct err err;
    f.s = shm_create("test", 64 * 1024, &f.fd, &err);
    assert_non_null(f.s);
    shm_lock(f.s);
    f.d = shm_dict_create(f.s);
    assert_non_null(f.d);
    return f;
}

static void drop(struct fixture *f)
{
    shm_unlock(f->s);
    shm_detach(f->s);
    close(f->fd);
}

static void finds_what_was_added(void **state)
{
    (void)state;
    struct fixture f = make();
    char key[16];
    uint32_t n = 0;
    uint32_t *value;

    for (;; n++) {
        int len = snprintf(key, sizeof key, "key %u", n);
        value = shm_dict_add(f.s, f.d, str_n(key, (size_t)len), 4);
        if (!value)
            break;
        assert_int_equal(*value, 0);
        *value = n;
    }
    assert_true(n > 500);
    assert_int_equal(shm_dict_count(f.d), n);
    for (uint32_t i = 0; i < n; i++) {
        int len = snprintf(key, sizeof key, "key %u", i);
        value = shm_dict_find(f.s, f.d, str_n(key, (size_t)len));
        assert_non_null(value);
        assert_int_equal(*value, i);
        assert_str(shm_dict_key(value), key);
        if (i % 2)
            shm_dict_remove(f.s, f.d, value);
    }
    for (uint32_t i = 0; i < n; i++) {
        int len = snprintf(key, sizeof key, "key %u", i);
        value = shm_dict_find(f.s, f.d, str_n(key, (size_t)len));
        assert_true((value != NULL) == !(i % 2));
    }
    assert_null(shm_dict_find(f.s, f.d, STR("")));
    drop(&f);
}

static void assert_order(const struct fixture *f, const char *expected)
{
    char got[16];
    size_t n = 0;
    const void *v = shm_dict_oldest(f->s, f->d);
    for (; v; v = shm_dict_newer(f->s, v))
        got[n++] = shm_dict_key(v).p[0];
    assert_str(str_n(got, n), expected);
}

static void keeps_the_order_of_use(void **state)
{
    (void)state;
    struct fixture f = make();
    assert_null(shm_dict_oldest(f.s, f.d));
    void *a = shm_dict_add(f.s, f.d, STR("a"), 1);
    void *b = shm_dict_add(f.s, f.d, STR("b"), 0);
    void *c = shm_dict_add(f.s, f.d, STR("c"), 300);
    assert_order(&f, "abc");
    shm_dict_touch(f.s, f.d, a);
    assert_order(&f, "bca");
    shm_dict_touch(f.s, f.d, a);
    shm_dict_touch(f.s, f.d, c);
    assert_order(&f, "bac");
    shm_dict_remove(f.s, f.d, a);
    assert_order(&f, "bc");
    shm_dict_remove(f.s, f.d, c);
    shm_dict_remove(f.s, f.d, b);
    assert_order(&f, "");
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(finds_what_was_added),
        TEST(keeps_the_order_of_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

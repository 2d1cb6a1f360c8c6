/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/arena.h"

#include "base/buf.h"
#include "support/test.h"

static void items_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    struct arena *a = arena_create(256);
    uint8_t *items[200];
    for (size_t i = 0; i < COUNT(items); i++) {
        size_t n = i % 37;
        items[i] = arena_alloc(a, n);
        assert_int_equal((uintptr_t)items[i] % _Alignof(max_align_t), 0);
        memset(items[i], (int)i, n);
    }
    for (size_t i = 0; i < COUNT(items); i++)
        for (size_t k = 0; k < i % 37; k++)
            assert_int_equal(items[i][k], i);
    arena_destroy(a);
}

static void an_item_larger_than_a_chunk_gets_its_own(void **state)
{
    (void)state;
    struct arena *a = arena_create(128);
    size_t before = arena_size(a);
    uint8_t *big = arena_calloc(a, 10000);
    assert_true(arena_size(a) >= before + 10000);
    for (size_t i = 0; i < 10000; i++)
        assert_int_equal(big[i], 0);
    memset(big, 1, 10000);
    arena_reset(a);
    assert_int_equal(arena_size(a), before);
    assert_int_equal(((uint8_t *)arena_calloc(a, 64))[63], 0);
    arena_destroy(a);
}

static void copies_end_with_a_nul(void **state)
{
    (void)state;
    struct arena *a = arena_create(64);
    struct str s = arena_str(a, str_n("ab\0cd", 5));
    assert_int_equal(s.n, 5);
    assert_memory_equal(s.p, "ab\0cd", 6);
    assert_string_equal(arena_cstr(a, str_slice(STR("abcdef"), 1, 3)), "bc");
    assert_string_equal(arena_cstr(a, (struct str){NULL, 0}), "");
    struct str printed = arena_printf(a, "%s-%05d", "x", 42);
    assert_str(printed, "x-00042");
    assert_int_equal(printed.p[printed.n], 0);
    assert_non_null(arena_copy(a, NULL, 0));
    arena_destroy(a);
}

struct note {
    struct buf *said;
    char letter;
};

static void say(void *arg)
{
    const struct note *note = arg;
    buf_put(note->said, &note->letter, 1);
}

static void endings_run_once_last_first(void **state)
{
    (void)state;
    struct buf said = {0};
    struct note notes[] = {{&said, 'a'}, {&said, 'b'}, {&said, 'c'}};
    struct arena *a = arena_create(64);

    arena_on_destroy(a, say, &notes[0]);
    arena_on_destroy(a, say, &notes[1]);
    arena_reset(a);
    assert_str(buf_str(&said), "ba");
    arena_on_destroy(a, say, &notes[2]);
    arena_destroy(a);
    assert_str(buf_str(&said), "bac");
    buf_fini(&said);
    arena_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(items_are_aligned_and_do_not_overlap),
        TEST(an_item_larger_than_a_chunk_gets_its_own),
        TEST(copies_end_with_a_nul),
        TEST(endings_run_once_last_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

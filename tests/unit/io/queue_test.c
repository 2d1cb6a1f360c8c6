/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/queue.h"

#include "support/test.h"

static size_t released;

static void on_done(const void *p, size_t n, void *arg)
{
    assert_ptr_equal(p, arg);
    assert_int_equal(n, 10);
    released++;
}

/* What is queued, copied together from at most max pieces a time. */
static void assert_queued(const struct queue *q, const char *expected, size_t n)
{
    struct iovec iov[64];
    int pieces = queue_peek(q, iov, COUNT(iov));
    size_t at = 0;
    for (int i = 0; i < pieces; i++) {
        assert_true(at + iov[i].iov_len <= n);
        assert_memory_equal(iov[i].iov_base, expected + at, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    assert_int_equal(at, n);
    assert_int_equal(q->n, n);
}

static void bytes_leave_in_order_at_every_split(void **state)
{
    (void)state;
    static const char text[] = "abcdefghij0123456789ABCDEFGHIJxyz";
    struct blocks *b = blocks_create();
    for (size_t first = 0; first < sizeof text; first++) {
        struct queue q = {0};
        size_t n = 33;
        released = 0;
        queue_put(&q, b, text, 10);
        queue_put_ref(&q, b, text + 10, 10, on_done,
                      (void *)(uintptr_t)(text + 10));
        queue_put_ref(&q, b, text + 20, 10, on_done,
                      (void *)(uintptr_t)(text + 20));
        queue_put(&q, b, text + 30, 3);
        assert_queued(&q, text, n);
        queue_drop(&q, b, first);
        assert_queued(&q, text + first, n - first);
        assert_int_equal(released, first >= 30 ? 2 : first >= 20);
        queue_drop(&q, b, n - first);
        assert_int_equal(released, 2);
        assert_null(q.last);
    }
    blocks_destroy(b);
}

static void peek_gives_no_more_pieces_than_asked(void **state)
{
    (void)state;
    struct blocks *b = blocks_create();
    struct queue q = {0};
    struct iovec iov[3];
    for (int i = 0; i < 5; i++)
        queue_put_ref(&q, b, "x", 1, NULL, NULL);
    assert_int_equal(queue_peek(&q, iov, 3), 3);
    queue_drop(&q, b, 4);
    assert_int_equal(queue_peek(&q, iov, 3), 1);
    queue_drop(&q, b, 1);
    assert_int_equal(queue_peek(&q, iov, 3), 0);
    blocks_destroy(b);
}

static void a_block_is_used_again_and_an_empty_queue_owns_none(void **state)
{
    (void)state;
    struct blocks *b = blocks_create();
    struct queue q = {0};
    queue_put(&q, b, "one", 3);
    struct segment *first = q.last;
    queue_drop(&q, b, 3);
    assert_null(q.last);
    for (int i = 0; i < 100; i++) {
        queue_put(&q, b, "two", 3);
        assert_ptr_equal(q.last, first);
        assert_queued(&q, "two", 3);
        queue_drop(&q, b, 3);
    }
    blocks_destroy(b);
}

static void much_is_queued_and_dropped_in_odd_pieces(void **state)
{
    (void)state;
    enum { N = 300000 };
    struct blocks *b = blocks_create();
    struct queue q = {0};
    char *text = xmalloc(N);
    for (size_t i = 0; i < N; i++)
        text[i] = (char)(i * 31 % 251);
    size_t in = 0, out = 0, step = 1;
    while (out < N) {
        size_t n = in + step < N ? step : N - in;
        queue_put(&q, b, text + in, n);
        in += n;
        size_t drop = in == N ? q.n : q.n / 3;
        queue_drop(&q, b, drop);
        out += drop;
        assert_queued(&q, text + out, in - out);
        step = step * 3 % 9973;
    }
    free(text);
    blocks_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_leave_in_order_at_every_split),
        TEST(peek_gives_no_more_pieces_than_asked),
        TEST(a_block_is_used_again_and_an_empty_queue_owns_none),
        TEST(much_is_queued_and_dropped_in_odd_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/connect.h"
#include "support/test.h"

/* An owner that notes what it hears, and does what a test asks. */
struct ear {
    struct stream *s;
    char seen[300000]; /* what it used, in order */
    size_t n, shown;   /* used; the most that was shown at once */
    size_t use;        /* bytes to use of each showing */
    unsigned datas, ends, eofs, writtens, connects;
    int error;
    size_t queued; /* on_written's last */
    void (*then)(struct ear *e);
};

static struct loop *loop;
static struct ear ear;
static int peer; /* the other end */

static void then(struct ear *e)
{
    void (*fn)(struct ear *) = e->then;
    e->then = NULL;
    if (fn)
        fn(e);
}

static void on_data(void *owner, struct span *in)
{
    struct ear *e = owner;
    assert_false(e->s->closed);
    assert_true(in->n > 0);
    e->datas++;
    if (in->n > e->shown)
        e->shown = in->n;
    size_t n = in->n < e->use ? in->n : e->use;
    assert_true(e->n + n <= sizeof e->seen);
    memcpy(e->seen + e->n, in->p, n);
    e->n += n;
    in->p += n;
    in->n -= n;
    then(e);
}

static void on_end(void *owner, enum stream_end end, int error)
{
    struct ear *e = owner;
    assert_false(e->s->closed);
    e->ends++;
    e->eofs += end == STREAM_EOF;
    if (end == STREAM_ERROR) {
        assert_int_not_equal(error, 0);
        e->error = error;
    }
    then(e);
}

static void on_written(void *owner, size_t queued)
{
    struct ear *e = owner;
    assert_false(e->s->closed);
    e->writtens++;
    e->queued = queued;
    then(e);
}

static void on_connect(void *owner)
{
    struct ear *e = owner;
    e->connects++;
    then(e);
}

static const struct stream_events events = {on_data, on_end, on_written,
                                            on_connect};

static void reset_ear(void)
{
    memset(&ear, 0, sizeof ear);
    ear.use = SIZE_MAX;
}

static int set_up(void **state)
{
    (void)state;
    int ends[2];
    assert_return_code(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), errno);
    reset_ear();
    peer = ends[1];
    loop = loop_create();
    ear.s = stream_open(loop, ends[0], &events, &ear);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (peer != -1)
        close(peer);
    if (ear.s)
        stream_close(ear.s);
    loop_destroy(loop);
    return 0;
}

/* ear.s over TCP, as the accepting side. */
static void use_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    bind(l, (struct sockaddr *)&a, n);
    listen(l, 1);
    getsockname(l, (struct sockaddr *)&a, &n);
    close(peer);
    stream_close(ear.s);
    reset_ear();
    peer = socket(AF_INET, SOCK_STREAM, 0);
    assert_return_code(connect(peer, (struct sockaddr *)&a, n), errno);
    int fd = accept4(l, NULL, NULL, SOCK_NONBLOCK);
    fcntl(peer, F_SETFL, O_NONBLOCK);
    close(l);
    ear.s = stream_open(loop, fd, &events, &ear);
}

static void turns(int n)
{
    while (n--)
        loop_turn(loop, false);
}

static void say(const char *text)
{
    assert_int_equal(write(peer, text, strlen(text)), strlen(text));
}

static void end_peer(void)
{
    close(peer);
    peer = -1;
}

static void reset_peer(void)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    end_peer();
}

static void assert_seen(const char *text)
{
    assert_str(str_n(ear.seen, ear.n), text);
}

/* Read at the peer until nothing comes; returns how much. */
static size_t hear(char *into, size_t max)
{
    size_t n = 0;
    ssize_t got;
    while (n < max && (got = read(peer, into + n, max - n)) > 0)
        n += (size_t)got;
    return n;
}

/* ---- reading ---- */

static void bytes_come_one_at_a_time_or_together(void **state)
{
    (void)state;
    for (const char *c = "abcdef"; *c; c++) {
        assert_int_equal(write(peer, c, 1), 1);
        turns(1);
    }
    assert_int_equal(ear.datas, 6);
    say("gh");
    say("ij");
    turns(1);
    assert_int_equal(ear.datas, 7);
    assert_seen("abcdefghij");
    turns(3);
    assert_int_equal(ear.datas, 7);
    assert_null(ear.s->kept);
}

static void left_over_input_is_shown_with_what_comes_behind(void **state)
{
    (void)state;
    ear.use = 0;
    say("abc");
    turns(3);
    assert_int_equal(ear.datas, 1); /* not again without news */
    say("def");
    turns(1);
    assert_int_equal(ear.shown, 6);
    ear.use = 2;
    stream_resume(ear.s);
    turns(2);
    assert_seen("ab");
    ear.use = SIZE_MAX;
    say("g");
    turns(1);
    assert_seen("abcdefg");
    assert_null(ear.s->kept);
}

static void much_left_over_input_grows_and_is_given_back(void **state)
{
    (void)state;
    enum { N = 200000 };
    char *text = xmalloc(N);
    for (size_t i = 0; i < N; i++)
        text[i] = (char)('a' + i * 7 % 26);
    ear.use = 0;
    for (size_t at = 0; at < N;) {
        ssize_t n = write(peer, text + at, N - at < 3001 ? N - at : 3001);
        if (n > 0)
            at += (size_t)n;
        turns(1);
    }
    turns(3);
    assert_int_equal(ear.shown, N);
    ear.use = N - 100;
    stream_resume(ear.s);
    turns(1);
    assert_int_equal(stream_kept(ear.s), 100);
    assert_true(ear.s->kept->capacity < 1000);
    ear.use = SIZE_MAX;
    stream_resume(ear.s);
    turns(1);
    assert_int_equal(ear.n, N);
    assert_memory_equal(ear.seen, text, N);
    free(text);
}

static void a_paused_stream_shows_nothing_until_resumed(void **state)
{
    (void)state;
    stream_pause(ear.s);
    say("abc");
    turns(3);
    assert_int_equal(ear.datas, 0);
    stream_resume(ear.s);
    turns(1);
    assert_seen("abc");
}

static void pause_ear(struct ear *e)
{
    stream_pause(e->s);
}

static void pausing_within_the_callback_keeps_the_rest(void **state)
{
    (void)state;
    ear.use = 1;
    ear.then = pause_ear;
    say("abc");
    turns(1);
    say("d");
    turns(3);
    assert_seen("a");
    ear.use = SIZE_MAX;
    stream_resume(ear.s);
    turns(2);
    assert_seen("abcd");
}

static void resume_ear(struct ear *e)
{
    e->use = SIZE_MAX;
    stream_resume(e->s);
}

static void resuming_within_the_callback_shows_the_rest_again(void **state)
{
    (void)state;
    ear.use = 1;
    ear.then = resume_ear;
    say("abc");
    turns(2);
    assert_seen("abc");
    assert_int_equal(ear.datas, 2);
}

static struct ear other;

static void hand_over(struct ear *e)
{
    other.s = e->s;
    other.use = SIZE_MAX;
    stream_hand_over(e->s, &events, &other);
    stream_resume(e->s);
}

static void a_new_owner_gets_what_the_old_one_left(void **state)
{
    (void)state;
    memset(&other, 0, sizeof other);
    ear.use = 2;
    ear.then = hand_over;
    say("abcd");
    turns(2);
    say("ef");
    turns(1);
    assert_seen("ab");
    assert_str(str_n(other.seen, other.n), "cdef");
    end_peer();
    turns(2);
    assert_int_equal(ear.ends, 0);
    assert_int_equal(other.eofs, 1);
}

/* ---- ending ---- */

static void the_end_is_told_once_behind_the_last_bytes(void **state)
{
    (void)state;
    ear.use = 1;
    say("abc");
    end_peer();
    turns(4);
    assert_seen("a");
    assert_int_equal(ear.eofs, 1);
    ear.use = SIZE_MAX;
    stream_resume(ear.s);
    turns(2);
    assert_seen("abc");
    assert_int_equal(ear.ends, 1);
}

static void an_end_seen_while_paused_is_told_when_resumed(void **state)
{
    (void)state;
    stream_pause(ear.s);
    say("abc");
    end_peer();
    turns(3);
    assert_int_equal(ear.ends, 0);
    assert_true(stream_has_news(ear.s));
    ear.then = pause_ear;
    stream_resume(ear.s);
    turns(3);
    assert_seen("abc");
    assert_int_equal(ear.ends, 0);
    stream_resume(ear.s);
    turns(3);
    assert_int_equal(ear.eofs, 1);
}

static void
a_thorough_stream_hears_a_reset_that_comes_with_the_last_bytes(void **state)
{
    (void)state;
    use_tcp();
    ear.s->thorough = true;
    say("abc");
    reset_peer();
    turns(3);
    assert_seen("abc");
    assert_int_equal(ear.ends, 1);
    assert_int_equal(ear.error, ECONNRESET);
}

static void a_local_peer_that_dies_with_unread_bytes_is_told(void **state)
{
    (void)state;
    ear.s->thorough = true;
    stream_put(ear.s, "never read", 10);
    turns(1);
    say("abc");
    end_peer();
    turns(3);
    assert_seen("abc");
    assert_int_equal(ear.ends, 1);
}

static void a_reset_while_paused_is_told_behind_the_bytes(void **state)
{
    (void)state;
    use_tcp();
    ear.s->thorough = true;
    say("abc");
    ear.then = pause_ear;
    ear.use = 1;
    reset_peer();
    turns(3);
    assert_int_equal(ear.ends, 0);
    ear.use = SIZE_MAX;
    stream_resume(ear.s);
    turns(3);
    assert_seen("abc");
    assert_int_equal(ear.error, ECONNRESET);
}

static void a_reset_behind_the_end_is_told(void **state)
{
    (void)state;
    use_tcp();
    shutdown(peer, SHUT_WR);
    turns(2);
    assert_int_equal(ear.eofs, 1);
    stream_put(ear.s, "unread", 6);
    turns(2);
    end_peer(); /* with unread bytes: RST */
    turns(3);
    assert_int_equal(ear.ends, 2);
    assert_int_not_equal(ear.error, 0);
}

static void last_words_are_heard_when_writing_fails(void **state)
{
    (void)state;
    use_tcp();
    turns(1);
    say("413");
    reset_peer();
    stream_put(ear.s, "body", 4);
    stream_send(ear.s, &(struct iovec){(void *)(uintptr_t) "more", 4}, 1);
    assert_int_equal(ear.ends, 0); /* no send calls back */
    turns(3);
    assert_seen("413");
    assert_int_equal(ear.ends, 1);
    assert_int_not_equal(ear.error, 0);
    assert_int_equal(stream_queued(ear.s), 0);
}

static void close_ear(struct ear *e)
{
    stream_close(e->s);
}

static void closing_within_each_callback_is_the_last_of_it(void **state)
{
    static const char *const whys[] = {"data", "end", "written", "failure"};
    for (size_t i = 0; i < COUNT(whys); i++) {
        if (i > 0)
            set_up(state);
        ear.then = close_ear;
        ear.use = 1;
        if (i == 0)
            say("abc");
        if (i == 2)
            stream_put(ear.s, "x", 1);
        if (i == 1 || i == 3)
            end_peer();
        if (i == 3)
            stream_put(ear.s, "x", 1);
        loop_turn(loop, false);
        unsigned heard = ear.datas + ear.ends + ear.writtens;
        if (heard != 1)
            fail_msg("%s: %u callbacks", whys[i], heard);
        turns(3);
        assert_int_equal(ear.datas + ear.ends + ear.writtens, 1);
        if (peer != -1)
            close(peer);
        loop_destroy(loop);
    }
    set_up(state);
}

/* ---- writing ---- */

static void what_a_turn_puts_leaves_together_at_its_end(void **state)
{
    (void)state;
    char got[16];
    stream_put(ear.s, "abc", 3);
    stream_put(ear.s, "def", 3);
    assert_int_equal(hear(got, sizeof got), 0);
    turns(1);
    assert_int_equal(read(peer, got, sizeof got), 6);
    assert_memory_equal(got, "abcdef", 6);
    assert_int_equal(ear.writtens, 1);
    assert_int_equal(ear.queued, 0);
    turns(2);
    assert_int_equal(ear.writtens, 1);
}

static void send_goes_at_once_behind_what_was_put(void **state)
{
    (void)state;
    char got[16];
    struct iovec iov[2] = {{(void *)(uintptr_t) "cd", 2},
                           {(void *)(uintptr_t) "ef", 2}};
    stream_put(ear.s, "ab", 2);
    stream_send(ear.s, iov, 2);
    assert_int_equal(hear(got, sizeof got), 6);
    assert_memory_equal(got, "abcdef", 6);
}

static void a_slow_reader_gets_everything_in_order(void **state)
{
    (void)state;
    enum { N = 3000000 };
    char *text = xmalloc(N), *got = xmalloc(N);
    for (size_t i = 0; i < N; i++)
        text[i] = (char)(i * 13 % 253);
    struct iovec iov[3] = {{text, 1}, {text + 1, 999999}, {text + 1000000, 1}};
    stream_send(ear.s, iov, 3);
    assert_true(stream_queued(ear.s) > 0);
    stream_put(ear.s, text + 1000001, 999999);
    stream_put_ref(ear.s, text + 2000000, N - 2000000, NULL, NULL);
    size_t n = 0;
    for (int i = 0; n < N && i < 10000; i++) {
        ssize_t step = read(peer, got + n, N - n < 50021 ? N - n : 50021);
        n += step > 0 ? (size_t)step : 0;
        turns(1);
    }
    assert_int_equal(n, N);
    assert_memory_equal(text, got, N);
    assert_int_equal(stream_queued(ear.s), 0);
    assert_int_equal(ear.queued, 0);
    assert_true(ear.writtens > 1);
    assert_int_equal(ear.s->bytes_out, N);
    free(text);
    free(got);
}

static void the_fin_goes_behind_the_queue(void **state)
{
    (void)state;
    enum { N = 1000000 };
    char *text = xcalloc(N, 1), *got = xmalloc(N + 1);
    stream_put(ear.s, text, N);
    stream_shutdown(ear.s);
    size_t n = 0;
    ssize_t step = -1;
    for (int i = 0; step != 0 && i < 10000; i++) {
        turns(1);
        step = read(peer, got + n, N + 1 - n);
        n += step > 0 ? (size_t)step : 0;
    }
    assert_int_equal(step, 0);
    assert_int_equal(n, N);
    say("still read");
    turns(1);
    assert_seen("still read");
    free(text);
    free(got);
}

static void a_file_is_sent_as_far_as_it_goes(void **state)
{
    (void)state;
    char got[16];
    FILE *f = tmpfile();
    assert_non_null(f);
    fputs("0123456789", f);
    fflush(f);
    off_t at = 3;
    assert_int_equal(stream_sendfile(ear.s, fileno(f), &at, 4), 4);
    assert_int_equal(hear(got, sizeof got), 4);
    assert_memory_equal(got, "3456", 4);
    at = 10; /* it was cut meanwhile */
    errno = 0;
    assert_int_equal(stream_sendfile(ear.s, fileno(f), &at, 4), -1);
    assert_int_equal(errno, ENODATA);
    fclose(f);
}

static void a_file_goes_on_when_the_reader_does(void **state)
{
    (void)state;
    enum { N = 2000000 };
    char *text = xcalloc(N, 1);
    FILE *f = tmpfile();
    assert_int_equal(fwrite(text, 1, N, f), N);
    fflush(f);
    off_t at = 0;
    size_t heard = 0;
    for (int i = 0; heard < N && i < 10000; i++) {
        while (at < N &&
               stream_sendfile(ear.s, fileno(f), &at, (size_t)(N - at)) > 0)
            continue;
        unsigned before = ear.writtens;
        bool blocked = at < N;
        heard += hear(text, N);
        turns(1);
        if (blocked)
            assert_int_equal(ear.writtens, before + 1);
    }
    assert_int_equal(heard, N);
    fclose(f);
    free(text);
}

static size_t released;
static void on_done(const void *p, size_t n, void *arg)
{
    (void)p, (void)n, (void)arg;
    released++;
}

static void references_are_released_once_whatever_happens(void **state)
{
    (void)state;
    static const char text[400000];
    released = 0;
    stream_put_ref(ear.s, text, sizeof text, on_done, NULL);
    stream_put_ref(ear.s, text, sizeof text, on_done, NULL);
    turns(1);
    stream_close(ear.s);
    stream_put_ref(ear.s, text, 1, on_done, NULL);
    turns(1);
    ear.s = NULL;
    assert_int_equal(released, 3);
}

static void reset_sends_a_reset(void **state)
{
    (void)state;
    char got[4];
    use_tcp();
    stream_put(ear.s, "abc", 3);
    stream_reset(ear.s);
    turns(1);
    ear.s = NULL;
    assert_int_equal(read(peer, got, sizeof got), -1);
    assert_int_equal(errno, ECONNRESET);
}

/* ---- connecting ---- */

static void dial(int backlog_fd, struct address *a)
{
    a->length = sizeof a->sa.in;
    getsockname(backlog_fd, &a->sa.any, &a->length);
    bool pending;
    close(peer);
    peer = -1;
    stream_close(ear.s);
    reset_ear();
    ear.s = stream_connect(loop, a, NULL, &events, &ear, &pending);
    assert_non_null(ear.s);
    assert_true(pending);
}

static int bound(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_return_code(bind(fd, (struct sockaddr *)&in, sizeof in), errno);
    return fd;
}

static void connecting_queues_and_then_tells_and_sends(void **state)
{
    (void)state;
    struct address a;
    char got[4];
    int l = bound();
    listen(l, 1);
    dial(l, &a);
    stream_send(ear.s, &(struct iovec){(void *)(uintptr_t) "ab", 2}, 1);
    stream_put(ear.s, "c", 1);
    for (int i = 0; !ear.connects && i < 100; i++)
        loop_turn(loop, true);
    turns(1);
    peer = accept(l, NULL, NULL);
    assert_int_equal(ear.connects, 1);
    assert_int_equal(read(peer, got, 4), 3);
    assert_memory_equal(got, "abc", 3);
    close(l);
}

static void a_refused_connect_is_an_error_and_no_connect(void **state)
{
    (void)state;
    struct address a;
    int l = bound(); /* nobody listens */
    dial(l, &a);
    stream_put(ear.s, "abc", 3);
    for (int i = 0; !ear.ends && i < 100; i++)
        loop_turn(loop, true);
    turns(2);
    assert_int_equal(ear.error, ECONNREFUSED);
    assert_int_equal(ear.ends, 1);
    assert_int_equal(ear.connects, 0);
    close(l);
}

#define STREAM_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(bytes_come_one_at_a_time_or_together),
        STREAM_TEST(left_over_input_is_shown_with_what_comes_behind),
        STREAM_TEST(much_left_over_input_grows_and_is_given_back),
        STREAM_TEST(a_paused_stream_shows_nothing_until_resumed),
        STREAM_TEST(pausing_within_the_callback_keeps_the_rest),
        STREAM_TEST(resuming_within_the_callback_shows_the_rest_again),
        STREAM_TEST(a_new_owner_gets_what_the_old_one_left),
        STREAM_TEST(the_end_is_told_once_behind_the_last_bytes),
        STREAM_TEST(an_end_seen_while_paused_is_told_when_resumed),
        STREAM_TEST(
            a_thorough_stream_hears_a_reset_that_comes_with_the_last_bytes),
        STREAM_TEST(a_local_peer_that_dies_with_unread_bytes_is_told),
        STREAM_TEST(a_reset_while_paused_is_told_behind_the_bytes),
        STREAM_TEST(a_reset_behind_the_end_is_told),
        STREAM_TEST(last_words_are_heard_when_writing_fails),
        STREAM_TEST(closing_within_each_callback_is_the_last_of_it),
        STREAM_TEST(what_a_turn_puts_leaves_together_at_its_end),
        STREAM_TEST(send_goes_at_once_behind_what_was_put),
        STREAM_TEST(a_slow_reader_gets_everything_in_order),
        STREAM_TEST(the_fin_goes_behind_the_queue),
        STREAM_TEST(a_file_is_sent_as_far_as_it_goes),
        STREAM_TEST(a_file_goes_on_when_the_reader_does),
        STREAM_TEST(references_are_released_once_whatever_happens),
        STREAM_TEST(reset_sends_a_reset),
        STREAM_TEST(connecting_queues_and_then_tells_and_sends),
        STREAM_TEST(a_refused_connect_is_an_error_and_no_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

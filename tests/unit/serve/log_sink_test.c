/* SPDX-License-Identifier: BSD-2-Clause */
#include "../../../src/serve/log/log_sink.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "support/test.h"

struct pipe_log {
    struct loop *loop;
    struct log_file file;
    struct log_sink sink;
    int reader;
};

static void open_pipe(struct pipe_log *p)
{
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    p->loop = loop_create();
    p->file = (struct log_file){"a pipe", fds[1]};
    p->reader = fds[0];
    log_sink_init(&p->sink, &p->file);
}

static void close_pipe(struct pipe_log *p)
{
    log_sink_fini(&p->sink);
    close(p->file.fd);
    close(p->reader);
    loop_destroy(p->loop);
}

static bool put_line(struct pipe_log *p, const char *line)
{
    struct buf *b = log_sink_begin(&p->sink);
    if (!b)
        return false;
    buf_put_str(b, str_c(line));
    log_sink_end(&p->sink, p->loop);
    return true;
}

static void assert_read(struct pipe_log *p, const char *expected)
{
    char got[4096];
    ssize_t n = read(p->reader, got, sizeof got);
    assert_str(str_n(got, n > 0 ? (size_t)n : 0), expected);
}

static void writes_all_lines_of_a_turn_at_its_end(void **state)
{
    (void)state;
    struct pipe_log p;
    open_pipe(&p);
    put_line(&p, "one\n");
    put_line(&p, "two\n");
    assert_read(&p, "");
    loop_turn(p.loop, false);
    assert_read(&p, "one\ntwo\n");
    close_pipe(&p);
}

static void waits_for_a_full_buffer(void **state)
{
    (void)state;
    struct pipe_log p;
    open_pipe(&p);
    p.sink.buffer = 10;
    put_line(&p, "12345\n");
    loop_turn(p.loop, false);
    assert_read(&p, "");
    put_line(&p, "67890\n");
    assert_read(&p, "12345\n67890\n");
    put_line(&p, "left\n");
    log_sink_flush_all();
    assert_read(&p, "left\n");
    close_pipe(&p);
}

static void packs_what_leaves_together(void **state)
{
    (void)state;
    struct pipe_log p;
    uint8_t packed[4096];
    char plain[64] = "";
    open_pipe(&p);
    p.sink.buffer = 1000;
    p.sink.gzip = 6;
    put_line(&p, "one\n");
    put_line(&p, "two\n");
    log_sink_flush_all();
    put_line(&p, "three\n");
    log_sink_flush_all();

    z_stream z = {.next_in = packed, .next_out = (Bytef *)plain};
    z.avail_in = (uInt)read(p.reader, packed, sizeof packed);
    z.avail_out = sizeof plain;
    for (int members = 0; members < 2; members++) {
        assert_int_equal(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        inflateEnd(&z);
    }
    assert_int_equal(z.avail_in, 0);
    assert_string_equal(plain, "one\ntwo\nthree\n");
    close_pipe(&p);
}

static void drops_and_counts_what_a_full_pipe_can_not_take(void **state)
{
    (void)state;
    struct pipe_log p;
    char line[1025], drain[65536];
    open_pipe(&p);
    memset(line, 'x', 1023);
    line[1023] = '\n';
    line[1024] = 0;

    uint64_t before = log_sink_dropped();
    size_t kept = 0;
    for (int i = 0; i < 400; i++) {
        kept += put_line(&p, line);
        loop_turn(p.loop, false);
    }
    assert_true(kept < 400);
    assert_true(p.sink.pending.n <= LOG_SINK_KEEP_MAX + 1024);
    assert_int_equal(log_sink_dropped() - before, 400 - kept);

    /* What was kept arrives whole when somebody reads again. */
    size_t got = 0;
    for (ssize_t n = 1; n > 0;) {
        while ((n = read(p.reader, drain, sizeof drain)) > 0)
            got += (size_t)n;
        log_sink_flush_all();
        n = read(p.reader, drain, sizeof drain);
        got += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(got, kept * 1024);
    close_pipe(&p);
}

static void survives_a_reader_that_is_gone(void **state)
{
    (void)state;
    struct pipe_log p;
    open_pipe(&p);
    close(p.reader);
    p.reader = open("/dev/null", O_RDONLY);
    for (int i = 0; i < 10; i++) {
        assert_true(put_line(&p, "lost\n"));
        loop_turn(p.loop, false);
    }
    assert_int_equal(p.sink.pending.n, 50);
    close_pipe(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_all_lines_of_a_turn_at_its_end),
        TEST(waits_for_a_full_buffer),
        TEST(packs_what_leaves_together),
        TEST(drops_and_counts_what_a_full_pipe_can_not_take),
        TEST(survives_a_reader_that_is_gone),
    };
    clock_update();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

struct fixture {
    int fds[2];
    struct log_file file;
    struct log_target target;
    struct log_ctx ctx;
    char text[8192];
};

static void begin(struct fixture *f, enum log_level level)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(pipe2(f->fds, O_NONBLOCK), 0);
    f->file = (struct log_file){.path = "a pipe", .fd = f->fds[1]};
    f->target = (struct log_target){.file = &f->file, .level = level};
    f->ctx.target = &f->target;
}

static void end(struct fixture *f)
{
    close(f->fds[0]);
    close(f->fds[1]);
}

/* What was written since, without date and process number. */
static const char *said(struct fixture *f)
{
    ssize_t n = read(f->fds[0], f->text, sizeof f->text - 1);
    f->text[n > 0 ? n : 0] = '\0';
    return n > 0 ? strchr(f->text, '[') : "";
}

static void describe(const struct log_ctx *ctx, struct buf *line)
{
    (void)ctx;
    buf_put_str(line, STR(", client: 192.0.2.1"));
}

static void writes_lines_as_nginx_does(void **state)
{
    (void)state;
    struct fixture f;
    char expected[200];

    begin(&f, LEVEL_INFO);
    log_err(&f.ctx, "no %s", "bread");
    snprintf(expected, sizeof expected, "[error] %d#0: no bread\n", getpid());
    assert_string_equal(said(&f), expected);
    assert_memory_equal(f.text, clock_error_date().p, 19);
    assert_int_equal(f.text[19], ' ');

    f.ctx.connection = 7;
    f.ctx.doing = "baking";
    f.ctx.describe = describe;
    log_errno(&f.ctx, LEVEL_CRIT, ENOENT, "open() \"%s\" failed", "/x");
    snprintf(expected, sizeof expected,
             "[crit] %d#0: *7 open() \"/x\" failed (2: No such file or "
             "directory) while baking, client: 192.0.2.1\n",
             getpid());
    assert_string_equal(said(&f), expected);
    end(&f);
}

static void keeps_quiet_below_its_level(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, LEVEL_WARN);
    log_notice(&f.ctx, "x");
    log_info(&f.ctx, "x");
    log_debug(&f.ctx, "x");
    assert_string_equal(said(&f), "");
    log_warn(&f.ctx, "x");
    assert_string_not_equal(said(&f), "");
    assert_true(log_wants(&f.ctx, LEVEL_EMERG));
    assert_false(log_wants(&f.ctx, LEVEL_NOTICE));
    f.ctx.target = NULL;
    assert_false(log_wants(&f.ctx, LEVEL_EMERG));
    log_write(&f.ctx, LEVEL_EMERG, "to nowhere");
    end(&f);
}

static void a_line_is_one_line_whatever_a_peer_sends(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, LEVEL_INFO);
    log_err(&f.ctx, "\"%s\"", "a\r\n2026/01/01 [alert] \x1b[31m\tb\x7f");
    const char *line = said(&f);
    assert_non_null(strstr(line, "\"a??2026/01/01 [alert] ?[31m b?\"\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);

    static char longest[10000];
    memset(longest, 'a', sizeof longest - 1);
    log_err(&f.ctx, "%s", longest);
    line = said(&f);
    assert_in_range(strlen(f.text), 3000, 4096);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    end(&f);
}

static void a_full_or_closed_log_harms_nobody(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, LEVEL_INFO);
    for (int i = 0; i < 5000; i++)
        log_err(&f.ctx, "the pipe takes 64 KiB, this is more");
    f.file.fd = -1;
    log_err(&f.ctx, "dropped");
    end(&f);
}

static void levels_have_names(void **state)
{
    (void)state;
    for (int i = LEVEL_EMERG; i <= LEVEL_DEBUG; i++)
        assert_int_equal(log_level_find(log_level_name((enum log_level)i)), i);
    assert_int_equal(log_level_find("loud"), 0);
    assert_int_equal(log_level_find(""), 0);
}

static void noise_passes_once_and_is_counted(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    uint64_t skipped = 99;
    clock_update();
    assert_true(log_limit_pass(&limit, &skipped));
    assert_int_equal(skipped, 0);
    for (int i = 0; i < 5; i++)
        assert_false(log_limit_pass(&limit, &skipped));
    assert_int_equal(limit.next_ms, clock_now_ms() + 60000);
    limit.next_ms = clock_now_ms(); /* a minute later */
    assert_true(log_limit_pass(&limit, &skipped));
    assert_int_equal(skipped, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_lines_as_nginx_does),
        TEST(keeps_quiet_below_its_level),
        TEST(a_line_is_one_line_whatever_a_peer_sends),
        TEST(a_full_or_closed_log_harms_nobody),
        TEST(levels_have_names),
        TEST(noise_passes_once_and_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

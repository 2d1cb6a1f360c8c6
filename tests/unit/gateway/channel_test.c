/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/channel.h"

static int ends[2];

static int open_ends(void **state)
{
    (void)state;
    struct err err;
    return channel_open(ends, &err);
}

static int close_ends(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        if (ends[i] != -1)
            close(ends[i]);
    return 0;
}

static int descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void gets_what_was_put_with_its_descriptors(void **state)
{
    (void)state;
    struct message out, in;
    int file = open("/dev/null", O_RDONLY);

    message_init(&out, MESSAGE_REFUSED);
    message_put_u32(&out, 0xfffffffe);
    message_put_text(&out, STR("because"));
    for (int i = 0; i < MESSAGE_FDS_MAX; i++)
        message_put_fd(&out, file);
    assert_int_equal(channel_send(ends[0], &out), 1);
    assert_int_equal(channel_receive(ends[1], &in), 1);

    uint32_t number;
    assert_int_equal(in.type, MESSAGE_REFUSED);
    assert_true(message_get_u32(&in, &number));
    assert_int_equal(number, 0xfffffffe);
    assert_str(message_get_text(&in), "because");
    assert_false(message_get_u32(&in, &number));
    assert_int_equal(in.fds_n, MESSAGE_FDS_MAX);

    struct stat sent, got;
    assert_int_equal(fstat(file, &sent), 0);
    assert_int_equal(fstat(in.fds[MESSAGE_FDS_MAX - 1], &got), 0);
    assert_int_equal(sent.st_ino, got.st_ino);
    assert_true(fcntl(in.fds[0], F_GETFD) & FD_CLOEXEC);
    message_close_fds(&in);
    assert_int_equal(channel_receive(ends[1], &in), 0);
    close(file);
}

static void cuts_a_text_that_is_too_long(void **state)
{
    (void)state;
    struct message out, in;
    char text[MESSAGE_BODY_MAX + 100];
    memset(text, 'x', sizeof text);
    message_init(&out, MESSAGE_REFUSED);
    message_put_text(&out, str_n(text, sizeof text));
    assert_int_equal(channel_send(ends[0], &out), 1);
    assert_int_equal(channel_receive(ends[1], &in), 1);
    assert_int_equal(in.n, MESSAGE_BODY_MAX);
}

static void says_when_the_other_end_is_slow_or_gone(void **state)
{
    (void)state;
    struct message m;
    int sent, n = 0;
    message_init(&m, MESSAGE_QUIT);
    while ((sent = channel_send(ends[0], &m)) == 1 && n < 100000)
        n++;
    assert_int_equal(sent, 0);
    assert_int_equal(channel_receive(ends[1], &m), 1);

    close(ends[1]);
    ends[1] = -1;
    message_init(&m, MESSAGE_QUIT);
    assert_int_equal(channel_send(ends[0], &m), -1);
    assert_int_equal(channel_receive(ends[0], &m), -1);
}

static void refuses_what_is_no_message(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint8_t bytes[8];
        size_t n;
    } bad[] = {
        {"half a head", {1, 0, 0, 0}, 4},
        {"type 0", {0}, 8},
        {"an unknown type", {99}, 8},
        {"a descriptor that did not come", {4, 0, 0, 0, 1}, 8},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct message m;
        assert_int_equal(send(ends[0], bad[i].bytes, bad[i].n, 0),
                         (int)bad[i].n);
        if (channel_receive(ends[1], &m) != -1)
            fail_msg("%s was taken", bad[i].why);
    }
    uint8_t big[MESSAGE_BODY_MAX + 9] = {4};
    struct message m;
    assert_int_equal(send(ends[0], big, sizeof big, 0), (int)sizeof big);
    assert_int_equal(channel_receive(ends[1], &m), -1);
    assert_int_equal(errno, EPROTO);
}

static void leaks_none_when_descriptors_run_out(void **state)
{
    (void)state;
    struct message out, in;
    struct rlimit was, tight;
    int before = descriptors();

    message_init(&out, MESSAGE_DESCRIPTORS);
    for (int i = 0; i < 20; i++)
        message_put_fd(&out, ends[0]);
    assert_int_equal(channel_send(ends[0], &out), 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    tight = was;
    /* Room for some of the twenty, not for all. */
    tight.rlim_cur = (rlim_t)ends[1] + 6;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    int got = channel_receive(ends[1], &in);
    int error = errno;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(got, -1);
    assert_int_equal(error, EMFILE);
    assert_int_equal(descriptors(), before);
}

int main(void)
{
#define WITH_ENDS(name)                                                        \
    cmocka_unit_test_setup_teardown(name, open_ends, close_ends)
    const struct CMUnitTest tests[] = {
        WITH_ENDS(gets_what_was_put_with_its_descriptors),
        WITH_ENDS(cuts_a_text_that_is_too_long),
        WITH_ENDS(says_when_the_other_end_is_slow_or_gone),
        WITH_ENDS(refuses_what_is_no_message),
        WITH_ENDS(leaks_none_when_descriptors_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

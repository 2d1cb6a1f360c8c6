/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

enum { MOST = 200 };

static struct loop *loop;
static struct listener *listener;
static int listening;
static struct address address;
static int accepted[MOST], dialled[MOST];
static size_t accepted_n, dialled_n;
static bool close_at_once;

static void on_accept(void *owner, int fd, const struct address *remote)
{
    (void)owner;
    assert_int_equal(remote->sa.any.sa_family, AF_INET);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    accepted[accepted_n++] = fd;
    if (close_at_once) {
        listener_close(listener);
        listener_rest(listener, 10); /* too late, and harmless */
        listener = NULL;
    }
}

static int set_up(void **state)
{
    (void)state;
    address.sa.in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.length = sizeof address.sa.in;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_return_code(bind(listening, &address.sa.any, address.length), 0);
    assert_return_code(listen(listening, MOST), 0);
    getsockname(listening, &address.sa.any, &address.length);
    accepted_n = dialled_n = 0;
    close_at_once = false;
    loop = loop_create();
    listener = listener_open(loop, listening, on_accept, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    listener_close(listener);
    loop_destroy(loop);
    for (size_t i = 0; i < accepted_n; i++)
        close(accepted[i]);
    for (size_t i = 0; i < dialled_n; i++)
        close(dialled[i]);
    close(listening);
    return 0;
}

static void dial(size_t n)
{
    while (n--) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_return_code(connect(fd, &address.sa.any, address.length), 0);
        dialled[dialled_n++] = fd;
    }
}

static void a_turn_accepts_a_few_and_later_turns_the_rest(void **state)
{
    (void)state;
    dial(100);
    loop_turn(loop, true);
    assert_in_range(accepted_n, 1, 50);
    while (accepted_n < 100)
        loop_turn(loop, true);
}

static void it_accepts_more_a_turn_while_more_keep_waiting(void **state)
{
    (void)state;
    dial(8);
    static const size_t by_turn[] = {1, 3, 7, 8};
    for (size_t i = 0; i < COUNT(by_turn); i++) {
        loop_turn(loop, true);
        assert_int_equal(accepted_n, by_turn[i]);
    }
    loop_turn(loop, false);
    dial(2);
    loop_turn(loop, true);
    assert_int_equal(accepted_n, 9);
}

static void a_resting_listener_leaves_clients_in_the_backlog(void **state)
{
    (void)state;
    clock_update();
    listener_rest(listener, 100);
    uint64_t from = clock_now_ms();
    dial(3);
    unsigned turns = 0;
    while (accepted_n < 3) {
        loop_turn(loop, true);
        turns++;
    }
    clock_update();
    assert_true(clock_now_ms() >= from + 100);
    assert_true(turns < 10); /* it waited, it did not spin */
}

static void without_descriptors_it_rests_and_recovers(void **state)
{
    (void)state;
    struct rlimit all, few;
    dial(5);
    getrlimit(RLIMIT_NOFILE, &all);
    int next = dup(0);
    close(next);
    few = all;
    few.rlim_cur = (rlim_t)next;
    assert_return_code(setrlimit(RLIMIT_NOFILE, &few), 0);
    unsigned turns = 0;
    loop_turn(loop, true);
    assert_int_equal(accepted_n, 0);
    assert_true(timer_is_set(&listener->rest));
    loop_turn(loop, false);
    assert_int_equal(accepted_n, 0);
    setrlimit(RLIMIT_NOFILE, &all);
    while (accepted_n < 5) {
        loop_turn(loop, true);
        turns++;
    }
    assert_true(turns < 10);
}

static void closing_from_the_callback_ends_accepting(void **state)
{
    (void)state;
    close_at_once = true;
    dial(3);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, false);
    assert_int_equal(accepted_n, 1);
}

static void a_client_that_is_gone_already_does_no_harm(void **state)
{
    (void)state;
    dial(2);
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(dialled[0], SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(dialled[0]);
    dialled[0] = dialled[--dialled_n];
    while (accepted_n < 1)
        loop_turn(loop, true);
    loop_turn(loop, false);
    dial(1);
    size_t before = accepted_n;
    while (accepted_n == before)
        loop_turn(loop, true);
}

#define LISTENER_TEST(name)                                                    \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENER_TEST(a_turn_accepts_a_few_and_later_turns_the_rest),
        LISTENER_TEST(it_accepts_more_a_turn_while_more_keep_waiting),
        LISTENER_TEST(a_resting_listener_leaves_clients_in_the_backlog),
        LISTENER_TEST(without_descriptors_it_rests_and_recovers),
        LISTENER_TEST(closing_from_the_callback_ends_accepting),
        LISTENER_TEST(a_client_that_is_gone_already_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

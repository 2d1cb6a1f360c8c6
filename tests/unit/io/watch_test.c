/* SPDX-License-Identifier: BSD-2-Clause */
#include "io/watch.h"

#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/test.h"

struct end {
    struct watch watch;
    int fd, other;
    int told;
    unsigned what;
    struct end *removes; /* when it is told, or NULL */
};

static struct loop *loop;

static void on_ready(struct watch *w, unsigned what)
{
    struct end *e = CONTAINER(w, struct end, watch);
    e->told++;
    e->what |= what;
    if (e->removes)
        watch_remove(loop, &e->removes->watch, e->removes->fd);
}

static struct end end_of_pair(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    return (struct end){
        .watch = {.ready = on_ready}, .fd = fds[0], .other = fds[1]};
}

static void drop(struct end *e)
{
    close(e->fd);
    if (e->other != -1)
        close(e->other);
}

static void levels_are_told_as_long_as_they_last(void **state)
{
    (void)state;
    loop = loop_create();
    struct end e = end_of_pair();
    char byte;

    assert_int_equal(watch_add(loop, &e.watch, e.fd), 0);
    loop_turn(loop, false);
    assert_int_equal(e.told, 0);
    assert_int_equal(write(e.other, "x", 1), 1);
    loop_turn(loop, true);
    loop_turn(loop, true);
    assert_int_equal(e.told, 2);
    assert_int_equal(e.what, WATCH_IN);
    assert_int_equal(read(e.fd, &byte, 1), 1);
    loop_turn(loop, false);
    assert_int_equal(e.told, 2);
    watch_remove(loop, &e.watch, e.fd);
    drop(&e);
    loop_destroy(loop);
}

static void edges_are_told_once(void **state)
{
    (void)state;
    loop = loop_create();
    struct end e = end_of_pair();

    assert_int_equal(watch_add_edges(loop, &e.watch, e.fd), 0);
    assert_int_equal(write(e.other, "x", 1), 1);
    loop_turn(loop, true);
    loop_turn(loop, false);
    assert_int_equal(e.told, 1);
    assert_int_equal(e.what, WATCH_IN | WATCH_OUT);
    close(e.other);
    e.other = -1;
    loop_turn(loop, true);
    assert_int_equal(e.told, 2);
    assert_true(e.what & WATCH_HANGUP);
    watch_remove(loop, &e.watch, e.fd);
    drop(&e);
    loop_destroy(loop);
}

static void who_is_removed_hears_nothing_more(void **state)
{
    (void)state;
    loop = loop_create();
    struct end a = end_of_pair(), b = end_of_pair();

    a.removes = &b;
    b.removes = &a;
    assert_int_equal(watch_add(loop, &a.watch, a.fd), 0);
    assert_int_equal(watch_add(loop, &b.watch, b.fd), 0);
    assert_int_equal(write(a.other, "x", 1), 1);
    assert_int_equal(write(b.other, "x", 1), 1);
    loop_turn(loop, true);
    assert_int_equal(a.told + b.told, 1);
    watch_remove(loop, a.told ? &a.watch : &b.watch, a.told ? a.fd : b.fd);
    drop(&a);
    drop(&b);
    loop_destroy(loop);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    ++*(int *)arg;
}

static void what_libevent_waits_for_is_waited_for_too(void **state)
{
    (void)state;
    loop = loop_create();
    struct end e = end_of_pair(), theirs = end_of_pair();
    int events = 0;

    assert_int_equal(watch_add(loop, &e.watch, e.fd), 0);
    struct event *event =
        event_new(loop_libevent(loop), theirs.fd, EV_READ, on_event, &events);
    event_add(event, NULL);
    assert_int_equal(write(theirs.other, "x", 1), 1);
    loop_turn(loop, true);
    assert_int_equal(events, 1);
    assert_int_equal(write(e.other, "x", 1), 1);
    loop_turn(loop, true);
    assert_int_equal(e.told, 1);
    event_free(event);
    watch_remove(loop, &e.watch, e.fd);
    drop(&e);
    drop(&theirs);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_told_as_long_as_they_last),
        cmocka_unit_test(edges_are_told_once),
        cmocka_unit_test(who_is_removed_hears_nothing_more),
        cmocka_unit_test(what_libevent_waits_for_is_waited_for_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

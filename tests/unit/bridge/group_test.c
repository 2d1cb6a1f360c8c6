/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/session.h"

#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

static struct sluice_delivered expect_delivered(struct fake *b)
{
    struct sluice_delivered d;
    struct sluice_frame f = fake_expect(b, SLUICE_DELIVERED);
    assert_int_equal(sluice_delivered_get(&d, &f), 0);
    return d;
}

static void broadcast(struct fake *b, const struct sluice_broadcast *m)
{
    struct sluice_broadcast all = *m;
    if (!all.opcode)
        all.opcode = WS_TEXT;
    assert_true(sluice_broadcast_put(&b->out, &all));
    fake_send(b);
}

static void reaches_all_but_the_excepted(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct paper *p[3];
    uint64_t cid[3];
    struct buf except = {0};
    world_start(1);
    for (int i = 0; i < 3; i++)
        p[i] = paper_open(b, &cid[i]);
    struct paper *opening = paper_ask("");
    fake_expect(b, SLUICE_OPEN);
    sluice_ids_append(&except, cid[1]);
    broadcast(b, &(struct sluice_broadcast){.data = STR("yo"),
                                            .except = buf_str(&except),
                                            .notify = true,
                                            .token = 9});
    buf_fini(&except);
    struct sluice_delivered d = expect_delivered(b);
    assert_int_equal(d.token, 9);
    assert_int_equal(d.matched, 2);
    assert_int_equal(d.queued, 2);
    assert_int_equal(d.dropped, 0);
    fake_put_data(b, SLUICE_TEXT, 0, cid[1], "1", 1);
    fake_send(b);
    paper_expect(p[0], "\x81\2yo", 4);
    paper_expect(p[2], "\x81\2yo", 4);
    paper_expect(p[1],
                 "\x81\1"
                 "1",
                 3);
    for (int i = 0; i < 3; i++)
        paper_free(p[i]);
    paper_free(opening);
}

static void shares_a_large_message(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    static uint8_t big[50000], wire[50004];
    struct paper *p[2];
    uint64_t cid;
    world_start(1);
    for (int i = 0; i < 2; i++)
        p[i] = paper_open(b, &cid);
    memset(big, 7, sizeof big);
    memcpy(wire + 4, big, sizeof big);
    memcpy(wire, "\x82\x7e\xc3\x50", 4);
    broadcast(b, &(struct sluice_broadcast){.opcode = WS_BINARY,
                                            .data = str_n(big, sizeof big)});
    for (int i = 0; i < 2; i++) {
        paper_expect(p[i], wire, sizeof wire);
        paper_free(p[i]);
    }
}

static void waits_for_the_end_of_a_fragmented_message(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "a", 1);
    broadcast(b, &(struct sluice_broadcast){.data = STR("one")});
    broadcast(b, &(struct sluice_broadcast){.data = STR("two")});
    fake_put_data(b, SLUICE_CONT, 0, cid, "b", 1);
    fake_send(b);
    paper_expect(p, "\1\1a\x80\1b\x81\3one\x81\3two", 16);
    /* Left waiting at the end: nothing leaks. */
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "a", 1);
    broadcast(b, &(struct sluice_broadcast){.data = STR("one")});
    paper_expect(p, "\1\1a", 3);
    paper_free(p);
}

static void reaches_the_clients_of_siblings_unless_told_not_to(void **state)
{
    (void)state;
    struct paper *p[2];
    uint64_t cid[2];
    world_start(2);
    for (int i = 0; i < 2; i++) {
        p[i] = paper_ask("");
        WORLD_WAIT(bridge.live == (size_t)i + 1);
    }
    struct fake *owner[2];
    for (int i = 0; i < 2; i++) {
        owner[i] = fake_of((size_t)i);
        cid[i] = fake_expect(owner[i], SLUICE_OPEN).header.cid;
        fake_accept_client(owner[i], cid[i], NULL);
        fake_expect(owner[i], SLUICE_OPENED);
    }
    paper_expect_101(p[0]);
    paper_expect_101(p[1]);
    broadcast(owner[0],
              &(struct sluice_broadcast){.data = STR("all"), .notify = true});
    assert_int_equal(expect_delivered(owner[0]).queued, 2);
    paper_expect(p[0], "\x81\3all", 5);
    paper_expect(p[1], "\x81\3all", 5);
    broadcast(owner[0],
              &(struct sluice_broadcast){.data = STR("own"),
                                         .opts = SLUICE_BROADCAST_OWN_ONLY,
                                         .notify = true});
    assert_int_equal(expect_delivered(owner[0]).queued, 1);
    world.pool.set.cross_backend = false;
    broadcast(owner[0],
              &(struct sluice_broadcast){.data = STR("own"), .notify = true});
    assert_int_equal(expect_delivered(owner[0]).queued, 1);
    paper_free(p[0]);
    paper_free(p[1]);
}

static void closes_who_lags_too_far_behind(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    static char big[30000];
    struct paper *slow, *quick;
    uint64_t cid;
    size_t got = 0;
    unsigned dropped = 0;
    world.conf.send_buffer = 200000;
    world_start(1);
    slow = paper_open(b, &cid);
    quick = paper_open(b, &cid);
    for (int i = 0; i < 60; i++) {
        broadcast(b, &(struct sluice_broadcast){.opcode = WS_BINARY,
                                                .data = str_n(big, sizeof big),
                                                .notify = true});
        struct sluice_frame f;
        struct sluice_delivered d = {0};
        do
            fake_next(b, &f);
        while (f.header.type == SLUICE_CLOSED);
        assert_int_equal(sluice_delivered_get(&d, &f), 0);
        dropped += d.dropped;
        got += sizeof big + 4;
        paper_want(quick, got);
    }
    assert_int_equal(dropped, 1);
    paper_free(slow);
    paper_free(quick);
}

/* Send n numbered messages to all; how many of them a client was said not to
 * get. */
static unsigned broadcast_numbered(struct fake *b, uint32_t n, size_t size)
{
    unsigned dropped = 0;
    char *big = xcalloc(1, size);

    for (uint32_t i = 0; i < n; i++) {
        memcpy(big, &i, sizeof i);
        broadcast(b, &(struct sluice_broadcast){.opcode = WS_BINARY,
                                                .data = str_n(big, size),
                                                .notify = true});
        /* It says what became of it when it was taken, and no more. */
        struct sluice_delivered d = expect_delivered(b);
        assert_int_equal(d.matched, d.queued + d.skipped + d.dropped);
        dropped += d.dropped;
    }
    free(big);
    return dropped;
}

/* Takes the next message, of group's size or own (a text of one byte). */
static uint32_t next_number(struct paper *p, size_t size, char *own)
{
    uint32_t number = UINT32_MAX;

    assert_true(paper_want(p, 3));
    if (p->in.p[0] == 0x81) {
        *own = (char)p->in.p[2];
        buf_drop(&p->in, 3);
        return number;
    }
    assert_true(paper_want(p, size + 4));
    assert_memory_equal(p->in.p, "\x82\x7e", 2);
    memcpy(&number, p->in.p + 4, sizeof number);
    buf_drop(&p->in, size + 4);
    return number;
}

enum { MANY = 200, BIG = 30000 };

static void leaves_out_what_is_too_much(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.send_buffer = 200000;
    world.conf.overflow = OVERFLOW_DROP_NEW;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    unsigned dropped = broadcast_numbered(b, MANY, BIG);
    assert_in_range(dropped, 1, MANY - 6);
    /* It has the first ones, and goes on. */
    char own = 0;
    for (uint32_t i = 0; i < MANY - dropped; i++)
        assert_int_equal(next_number(p, BIG, &own), i);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "x", 1);
    fake_send(b);
    next_number(p, BIG, &own);
    assert_int_equal(own, 'x');
    paper_free(p);
}

static void leaves_out_the_oldest(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    char own = 0;
    world.conf.send_buffer = 200000;
    world.conf.overflow = OVERFLOW_DROP_OLD;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    struct session *s = CONTAINER(bridge.sessions.next, struct session, all);
    assert_int_equal(broadcast_numbered(b, MANY, BIG), 0);
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_NOTIFY, cid, "1", 1);
    assert_int_equal(broadcast_numbered(b, MANY, BIG), 0);
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_NOTIFY, cid, "2", 1);
    assert_int_equal(broadcast_numbered(b, 3, BIG), 0);
    assert_true(s->line != NULL);
    assert_in_range(stream_queued(s->stream), 1, 200000);

    /* The first ones of the first, its own messages in their order, and the
     * last ones. */
    uint32_t expected = 0, before_one = 0, after_one = 0, got;
    while ((got = next_number(p, BIG, &own)) != UINT32_MAX) {
        assert_true(got >= expected);
        expected = got + 1;
        before_one++;
    }
    assert_int_equal(own, '1');
    while ((got = next_number(p, BIG, &own)) != UINT32_MAX)
        after_one++;
    assert_int_equal(own, '2');
    assert_in_range(before_one, 1, MANY - 10);
    assert_in_range(after_one, 0, 6);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(next_number(p, BIG, &own), i);

    /* All of it has left: the backend's credit is back. */
    WORLD_WAIT(!s->line && s->seq_flushed == 2);
    assert_int_equal(session_queued(s), 0);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "3", 1);
    fake_send(b);
    next_number(p, BIG, &own);
    assert_int_equal(own, '3');
    paper_free(p);
}

static void a_close_does_not_wait_for_a_group(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    char own = 0;
    world.conf.send_buffer = 200000;
    world.conf.overflow = OVERFLOW_DROP_OLD;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    broadcast_numbered(b, MANY, BIG);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "1", 1);
    struct sluice_close c = {.cid = cid, .code = 1000};
    sluice_close_put(&b->out, &c);
    fake_send(b);
    while (next_number(p, BIG, &own) != UINT32_MAX)
        ;
    assert_int_equal(own, '1');
    paper_expect(p, "\x88\2\x03\xe8", 4);
    paper_free(p);
}

static void drops_what_waits_at_the_end_of_a_session(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.send_buffer = 200000;
    world.conf.overflow = OVERFLOW_DROP_OLD;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    broadcast_numbered(b, MANY, BIG);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "1", 1);
    fake_put_empty(b, SLUICE_TERMINATE, cid);
    fake_send(b);
    fake_expect(b, SLUICE_CLOSED);
    paper_free(p);
}

static void sends_to_the_named_only(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct paper *p[2];
    uint64_t cid[2];
    struct buf ids = {0};
    world_start(1);
    for (int i = 0; i < 2; i++)
        p[i] = paper_open(b, &cid[i]);
    sluice_ids_append(&ids, cid[1]);
    sluice_ids_append(&ids, cid[1] + 77);
    struct sluice_msend m = {.notify = true,
                             .token = 4,
                             .opcode = WS_TEXT,
                             .ids = buf_str(&ids),
                             .data = STR_INIT("hey")};
    sluice_msend_put(&b->out, &m);
    buf_fini(&ids);
    fake_put_data(b, SLUICE_TEXT, 0, cid[0], "0", 1);
    fake_send(b);
    assert_int_equal(expect_delivered(b).matched, 1);
    paper_expect(p[1], "\x81\3hey", 5);
    paper_expect(p[0],
                 "\x81\1"
                 "0",
                 3);
    paper_free(p[0]);
    paper_free(p[1]);
}

static void refuses_text_that_is_not_utf8(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_error_frame e;
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    broadcast(b,
              &(struct sluice_broadcast){.data = STR("\xff"), .notify = true});
    struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
    sluice_error_get(&e, &f);
    assert_int_equal(e.code, SLUICE_ERROR_BAD_UTF8);
    assert_int_equal(expect_delivered(b).matched, 0);
    broadcast(b, &(struct sluice_broadcast){.data = STR("ok")});
    paper_expect(p, "\x81\2ok", 4);
    paper_free(p);
}

static void refuses_an_app_that_nobody_registered(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_frame f;
    world_start(1);
    broadcast(b, &(struct sluice_broadcast){.data = STR("x"), .app_id = 1});
    fake_expect(b, SLUICE_ERROR);
    assert_false(fake_next(b, &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(reaches_all_but_the_excepted),
        WORLD_TEST(shares_a_large_message),
        WORLD_TEST(waits_for_the_end_of_a_fragmented_message),
        WORLD_TEST(reaches_the_clients_of_siblings_unless_told_not_to),
        WORLD_TEST(closes_who_lags_too_far_behind),
        WORLD_TEST(leaves_out_what_is_too_much),
        WORLD_TEST(leaves_out_the_oldest),
        WORLD_TEST(a_close_does_not_wait_for_a_group),
        WORLD_TEST(drops_what_waits_at_the_end_of_a_session),
        WORLD_TEST(sends_to_the_named_only),
        WORLD_TEST(refuses_text_that_is_not_utf8),
        WORLD_TEST(refuses_an_app_that_nobody_registered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

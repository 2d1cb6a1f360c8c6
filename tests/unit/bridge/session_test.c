/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/session.h"

#include <sys/socket.h>
#include <unistd.h>

#include "sluice/ack.h"
#include "sluice/app.h"
#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

static void ack(struct fake *b, uint64_t cid, uint32_t bytes)
{
    struct sluice_header h = {.type = SLUICE_ACK};
    size_t begin = sluice_frame_begin(&b->out, &h);
    struct sluice_ack a = {.cid = cid, .bytes = bytes};
    sluice_ack_put_entry(&b->out, &a);
    sluice_frame_end(&b->out, begin, true);
    fake_send(b);
}

static void expect_data(struct fake *b, enum sluice_type type, unsigned flags,
                        const char *text)
{
    struct sluice_frame f = fake_expect(b, type);
    assert_str(sluice_payload(&f), text);
    assert_int_equal(f.header.flags, flags);
}

/* The idle session and its stream are what a quiet client costs. */
static void is_small_when_idle(void **state)
{
    (void)state;
    assert_in_range(sizeof(struct session) + sizeof(struct stream), 1, 900);
}

static void carries_messages_both_ways(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    paper_frame(p, 0x81, "hi", 2);
    paper_frame(p, 0x82, "\0\1", 2);
    paper_frame(p, 0x81, "", 0);
    expect_data(b, SLUICE_TEXT, 0, "hi");
    struct sluice_frame f = fake_expect(b, SLUICE_BINARY);
    assert_memory_equal(f.payload.p, "\0\1", 2);
    expect_data(b, SLUICE_TEXT, 0, "");
    fake_put_data(b, SLUICE_TEXT, 0, cid, "yo", 2);
    fake_put_data(b, SLUICE_BINARY, 0, cid, "\2", 1);
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "a", 1);
    fake_put_data(b, SLUICE_CONT, SLUICE_FLAG_MORE, cid, "b", 1);
    fake_put_data(b, SLUICE_CONT, 0, cid, "c", 1);
    fake_send(b);
    paper_expect(p, "\x81\2yo\x82\1\2\1\1a\0\1b\x80\1c", 16);
    paper_free(p);
}

/* Every cut of a fragmented message with a ping inside. */
static void assembles_messages_however_they_arrive(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    static const uint8_t wire[] = {0x01, 0x83, 0,    0, 0, 0, 'a', 'b',
                                   'c',  0x89, 0x81, 0, 0, 0, 0,   'p',
                                   0x80, 0x82, 0,    0, 0, 0, 'd', 'e'};
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    for (size_t cut = 0; cut < sizeof wire; cut++) {
        paper_send(p, wire, cut);
        world_turn();
        world_turn();
        paper_send(p, wire + cut, sizeof wire - cut);
        expect_data(b, SLUICE_TEXT, 0, "abcde");
        paper_expect(p, "\x8a\1p", 3);
    }
    paper_free(p);
}

static void gives_pieces_to_a_backend_that_wants_them(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    struct buf tlvs = {0};
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_EVENT_MASK, SLUICE_EVENT_FRAGMENTS);
    struct sluice_set_opts o = {.cid = cid, .tlvs = buf_str(&tlvs)};
    sluice_set_opts_put(&b->out, &o);
    buf_fini(&tlvs);
    fake_send(b);
    assert_true(fake_is_silent(b));
    paper_frame(p, 0x01, "abc", 3);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, "abc");
    paper_frame(p, 0x80, "de", 2);
    expect_data(b, SLUICE_CONT, 0, "de");
    paper_frame(p, 0x81, "whole", 5);
    expect_data(b, SLUICE_TEXT, 0, "whole");
    paper_free(p);
}

static void want_fragments(struct fake *b, uint64_t cid, uint32_t threshold)
{
    struct buf tlvs = {0};
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_EVENT_MASK, SLUICE_EVENT_FRAGMENTS);
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_STREAM_THRESHOLD, threshold);
    struct sluice_set_opts o = {.cid = cid, .tlvs = buf_str(&tlvs)};
    sluice_set_opts_put(&b->out, &o);
    buf_fini(&tlvs);
    fake_send(b);
    assert_true(fake_is_silent(b));
}

/* websocket_stream_threshold */
static void short_messages_come_whole_even_then(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    want_fragments(b, cid, 8);
    /* Seven bytes in two packets; eight; two frames of less. */
    paper_send(p, "\x81\x87\0\0\0\0seve", 10);
    assert_true(fake_is_silent(b));
    paper_send(p, "n b", 3);
    expect_data(b, SLUICE_TEXT, 0, "seven b");
    paper_send(p, "\x81\x88\0\0\0\0e", 7);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, "e");
    paper_send(p, "ight by", 7);
    expect_data(b, SLUICE_CONT, 0, "ight by");
    paper_frame(p, 0x01, "a", 1);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, "a");
    paper_frame(p, 0x00, "b", 1);
    expect_data(b, SLUICE_CONT, SLUICE_FLAG_MORE, "b");
    paper_frame(p, 0x80, "", 0);
    expect_data(b, SLUICE_CONT, 0, "");
    paper_free(p);
}

static void cuts_what_is_larger_than_a_frame(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    static uint8_t big[150000];
    size_t got = 0;
    world.hello.max_frame = 16384;
    world.pool.set.client_window = 1 << 20;
    world.hello.window = 1 << 20;
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 7 + i / 251);
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    paper_frame(p, 0x82, big, sizeof big);
    for (bool more = true; more;) {
        struct sluice_frame f =
            fake_expect(b, got ? SLUICE_CONT : SLUICE_BINARY);
        assert_in_range(f.payload.n, 1, 16384);
        assert_memory_equal(f.payload.p, big + got, f.payload.n);
        got += f.payload.n;
        more = f.header.flags & SLUICE_FLAG_MORE;
    }
    assert_int_equal(got, sizeof big);
    paper_frame(p, 0x81, "next", 4);
    expect_data(b, SLUICE_TEXT, 0, "next");
    paper_free(p);
}

static void stops_reading_a_client_without_credit(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.hello.window = 10;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    for (int i = 0; i < 4; i++)
        paper_frame(p, 0x81, "sixsix", 6);
    /* 6, then 12: the second drove the credit below zero, the third waits. */
    expect_data(b, SLUICE_TEXT, 0, "sixsix");
    expect_data(b, SLUICE_TEXT, 0, "sixsix");
    assert_true(fake_is_silent(b));
    ack(b, cid, 2);
    assert_true(fake_is_silent(b));
    ack(b, cid, 4);
    expect_data(b, SLUICE_TEXT, 0, "sixsix");
    assert_true(fake_is_silent(b));
    ack(b, cid, 12);
    expect_data(b, SLUICE_TEXT, 0, "sixsix");
    paper_free(p);
}

static void a_large_message_waits_for_credit_in_pieces(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    static uint8_t big[60000];
    size_t got = 0;
    world.hello.max_frame = 16384;
    world.hello.window = 20000;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    paper_frame(p, 0x82, big, sizeof big);
    for (bool more = true; more;) {
        struct sluice_frame f =
            fake_expect(b, got ? SLUICE_CONT : SLUICE_BINARY);
        uint32_t n = (uint32_t)f.payload.n;
        more = f.header.flags & SLUICE_FLAG_MORE;
        got += n;
        if (got == 32768)
            assert_true(fake_is_silent(b));
        if (got >= 32768)
            ack(b, cid, got == 32768 ? 32768 : n);
    }
    assert_int_equal(got, sizeof big);
    paper_free(p);
}

static void the_link_window_holds_all_clients(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid, cid2;
    world.hello.link_window = 10;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    struct paper *q = paper_open(b, &cid2);
    paper_frame(p, 0x81, "0123456789", 10);
    expect_data(b, SLUICE_TEXT, 0, "0123456789");
    paper_frame(p, 0x81, "p", 1);
    paper_frame(q, 0x81, "q", 1);
    assert_true(fake_is_silent(b));
    ack(b, cid, 10);
    fake_expect(b, SLUICE_TEXT);
    fake_expect(b, SLUICE_TEXT);
    paper_free(p);
    paper_free(q);
}

static void gives_the_credit_of_a_gone_client_back(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid, cid2;
    world.hello.link_window = 10;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    struct paper *q = paper_open(b, &cid2);
    paper_frame(p, 0x81, "0123456789", 10);
    expect_data(b, SLUICE_TEXT, 0, "0123456789");
    paper_frame(q, 0x81, "q", 1);
    assert_true(fake_is_silent(b));
    fake_put_empty(b, SLUICE_TERMINATE, cid);
    fake_send(b);
    fake_expect_closed(b, SLUICE_CAUSE_TERMINATE, 1006);
    expect_data(b, SLUICE_TEXT, 0, "q");
    paper_free(p);
    paper_free(q);
}

static void returns_credit_for_what_left(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_ack a;
    uint64_t cid;
    world.pool.set.reply_window = 1024;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    /* Little is owed: it waits, but not for long. */
    fake_put_data(b, SLUICE_TEXT, 0, cid, "abc", 3);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "de", 2);
    fake_send(b);
    struct sluice_frame f = fake_expect(b, SLUICE_ACK);
    struct str rest = sluice_payload(&f);
    assert_true(sluice_ack_next(&rest, &a));
    assert_int_equal(a.cid, cid);
    assert_int_equal(a.bytes, 5);
    assert_int_equal(a.seq, 2);
    /* A completed NOTIFY is told at once, half of the window too. */
    for (int i = 0; i < 2; i++) {
        char half[512] = {0};
        timer_clear(&bridge.slots.slots[0].client->link->ack_timer);
        if (i == 0)
            fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_NOTIFY, cid, "x", 1);
        else
            fake_put_data(b, SLUICE_BINARY, 0, cid, half, sizeof half);
        fake_send(b);
        for (int k = 0; k < 5; k++)
            world_turn();
        f = fake_expect(b, SLUICE_ACK);
        rest = sluice_payload(&f);
        assert_true(sluice_ack_next(&rest, &a));
        assert_int_equal(a.bytes, i == 0 ? 1 : 512);
        assert_int_equal(a.seq, 3 + i);
    }
    paper_free(p);
}

static void refuses_what_breaks_the_rules_for_one_client(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct sluice_header h;
        char payload[130];
        unsigned n, code;
    } bad[] = {
        {"CONT without a start",
         {.type = SLUICE_CONT},
         "",
         0,
         SLUICE_ERROR_BAD_STATE},
        {"ping of 126 bytes",
         {.type = SLUICE_PING},
         "",
         126,
         SLUICE_ERROR_WS_PROTOCOL},
        {"close code 1005",
         {.type = SLUICE_CLOSE, .aux = 1005},
         "",
         0,
         SLUICE_ERROR_WS_PROTOCOL},
        {"close code 999",
         {.type = SLUICE_CLOSE, .aux = 999},
         "",
         0,
         SLUICE_ERROR_WS_PROTOCOL},
        {"reason of 124 bytes",
         {.type = SLUICE_CLOSE, .aux = 1000},
         "",
         124,
         SLUICE_ERROR_WS_PROTOCOL},
        {"text that is not UTF-8",
         {.type = SLUICE_TEXT},
         "\xc0\xaf",
         2,
         SLUICE_ERROR_BAD_UTF8},
        {"text that ends too early",
         {.type = SLUICE_TEXT},
         "\xe2\x82",
         2,
         SLUICE_ERROR_BAD_UTF8},
        {"ACCEPT twice",
         {.type = SLUICE_ACCEPT},
         "",
         8,
         SLUICE_ERROR_BAD_STATE},
        {"REJECT after ACCEPT",
         {.type = SLUICE_REJECT},
         "\x90\1",
         4,
         SLUICE_ERROR_BAD_STATE},
        {"a body", {.type = SLUICE_HTTP_BODY}, "", 1, SLUICE_ERROR_BAD_STATE},
    };
    struct fake *b = fake_of(0);
    world_start(1);
    uint64_t other;
    struct paper *q = paper_open(b, &other);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct sluice_error_frame e;
        struct sluice_frame f;
        uint64_t cid;
        struct paper *p = paper_open(b, &cid);
        struct sluice_header h = bad[i].h;
        h.cid = cid;
        sluice_frame_put(&b->out, &h, str_n(bad[i].payload, bad[i].n));
        fake_send(b);
        f = fake_expect(b, SLUICE_ERROR);
        assert_int_equal(sluice_error_get(&e, &f), 0);
        if (e.code != bad[i].code || e.severity != SLUICE_SEVERITY_CLIENT)
            fail_msg("%s: %s", bad[i].why, sluice_error_name(e.code));
        fake_expect_closed(b, SLUICE_CAUSE_BACKEND_CLOSE, 1011);
        paper_expect(p, "\x88\2\x03\xf3", 4);
        paper_free(p);
    }
    /* The others are not touched. */
    fake_put_data(b, SLUICE_TEXT, 0, other, "ok", 2);
    fake_send(b);
    paper_expect(q, "\x81\2ok", 4);
    paper_free(q);
}

static void refuses_text_inside_a_message_and_data_without_credit(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.pool.set.reply_window = 100;
    world_start(1);
    for (int i = 0; i < 2; i++) {
        struct sluice_error_frame e;
        static char zeros[100];
        struct paper *p = paper_open(b, &cid);
        unsigned flags = i == 0 ? SLUICE_FLAG_MORE : 0;
        fake_put_data(b, SLUICE_BINARY, flags, cid, zeros, sizeof zeros);
        fake_put_data(b, SLUICE_TEXT, 0, cid, "x", 1);
        fake_send(b);
        struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
        sluice_error_get(&e, &f);
        assert_int_equal(e.code, i == 0 ? SLUICE_ERROR_BAD_STATE
                                        : SLUICE_ERROR_FLOW_CONTROL);
        fake_expect_closed(b, SLUICE_CAUSE_BACKEND_CLOSE, 1011);
        paper_free(p);
    }
}

static void closes_idle_sessions(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.idle_timeout_ms = 100;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    fake_expect_closed(b, SLUICE_CAUSE_IDLE, 1001);
    paper_expect(p, "\x88\x0e\x03\xe9idle timeout", 16);
    paper_free(p);
}

static void pings_and_gives_up(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.ping_ms = 50;
    world.conf.ping_timeout_ms = 100;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    const struct session *s =
        CONTAINER(bridge.sessions.next, struct session, all);
    for (int i = 0; i < 3; i++) {
        uint8_t token[4];
        assert_true(paper_want(p, 6));
        memcpy(token, p->in.p + 2, 4);
        paper_expect(p, "\x89\4", 2);
        paper_expect(p, token, 4);
        /* Any answer shows that it lives, the right one how far it is. */
        paper_frame(p, 0x8a, i ? token : (uint8_t *)"no token", i ? 4 : 8);
        WORLD_WAIT(!s->pinged_ms);
        assert_int_equal(s->rtt_us != 0, i > 0);
        assert_true(s->rtt_us < 10000000);
    }
    assert_true(paper_want(p, 6));
    fake_expect_closed(b, SLUICE_CAUSE_PING_TIMEOUT, 1006);
    paper_expect_end(p);
    paper_free(p);
}

static void an_answer_to_our_ping_is_not_the_backends(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.ping_ms = 50;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    struct session *s = CONTAINER(bridge.sessions.next, struct session, all);
    s->event_mask |= SLUICE_EVENT_PONG;
    uint8_t token[4];
    assert_true(paper_want(p, 6));
    memcpy(token, p->in.p + 2, 4);
    paper_frame(p, 0x8a, token, 4);
    paper_frame(p, 0x8a, token, 4); /* once is enough */
    struct sluice_ping pong;
    struct sluice_frame f = fake_expect(b, SLUICE_PONG);
    assert_int_equal(sluice_ping_get(&pong, &f), 0);
    assert_true(str_eq(pong.data, str_n(token, 4)));
    paper_frame(p, 0x8a, "own", 3);
    f = fake_expect(b, SLUICE_PONG);
    assert_int_equal(sluice_ping_get(&pong, &f), 0);
    assert_str(pong.data, "own");
    paper_free(p);
}

static void leaves_pings_to_a_backend_that_wants_to_answer(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.auto_pong = false;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    paper_frame(p, 0x89, "x", 1);
    struct sluice_ping ping;
    struct sluice_frame f = fake_expect(b, SLUICE_PING);
    assert_int_equal(sluice_ping_get(&ping, &f), 0);
    assert_false(ping.automatic);
    assert_str(ping.data, "x");
    ping.type = SLUICE_PONG;
    sluice_ping_put(&b->out, &ping);
    ping.type = SLUICE_PING;
    sluice_ping_put(&b->out, &ping);
    fake_send(b);
    paper_expect(p, "\x8a\1x\x89\1x", 6);
    paper_free(p);
}

static void a_pause_of_the_backend_holds_the_client(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    fake_put_empty(b, SLUICE_PAUSE, cid);
    fake_send(b);
    assert_true(fake_is_silent(b));
    paper_frame(p, 0x81, "x", 1);
    assert_true(fake_is_silent(b));
    fake_put_empty(b, SLUICE_UNPAUSE, cid);
    fake_send(b);
    expect_data(b, SLUICE_TEXT, 0, "x");
    paper_free(p);
}

/* A client that does not read: what waits for it is bounded by the credit
 * that is not given back, and at last it is dropped. */
static void drops_a_client_that_takes_nothing(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    static char big[60000];
    uint64_t cid;
    world.conf.send_timeout_ms = 200;
    world.pool.set.reply_window = 8 << 20;
    world.pool.set.link_window_out = 16 << 20;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    for (int i = 0; i < 40; i++)
        fake_put_data(b, SLUICE_BINARY, 0, cid, big, sizeof big);
    fake_send(b);
    struct sluice_frame f;
    do
        assert_true(fake_next(b, &f));
    while (f.header.type == SLUICE_ACK);
    struct sluice_closed c;
    assert_int_equal(sluice_closed_get(&c, &f), 0);
    assert_int_equal(c.cause, SLUICE_CAUSE_SLOW_CLIENT);
    assert_in_range(c.lost_out, 1, 40);
    paper_free(p);
    assert_int_equal(bridge_live(), 0);
}

static void a_drain_closes_everything_in_good_order(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_frame f;
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    struct paper *q = paper_ask("");
    fake_expect(b, SLUICE_OPEN);
    bridge_drain();
    assert_int_equal(q->finished, 503);
    fake_expect_closed(b, SLUICE_CAUSE_SHUTDOWN, 1006);
    fake_expect_closed(b, SLUICE_CAUSE_SHUTDOWN, 1001);
    fake_expect(b, SLUICE_GOAWAY);
    fake_expect(b, SLUICE_BYE);
    assert_false(fake_next(b, &f));
    paper_expect(p, "\x88\2\x03\xe9", 4);
    paper_expect_end(p);
    paper_free(p);
    paper_free(q);
    assert_int_equal(bridge_live(), 0);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_small_when_idle),
        WORLD_TEST(carries_messages_both_ways),
        WORLD_TEST(assembles_messages_however_they_arrive),
        WORLD_TEST(gives_pieces_to_a_backend_that_wants_them),
        WORLD_TEST(short_messages_come_whole_even_then),
        WORLD_TEST(cuts_what_is_larger_than_a_frame),
        WORLD_TEST(stops_reading_a_client_without_credit),
        WORLD_TEST(a_large_message_waits_for_credit_in_pieces),
        WORLD_TEST(the_link_window_holds_all_clients),
        WORLD_TEST(gives_the_credit_of_a_gone_client_back),
        WORLD_TEST(returns_credit_for_what_left),
        WORLD_TEST(refuses_what_breaks_the_rules_for_one_client),
        WORLD_TEST(refuses_text_inside_a_message_and_data_without_credit),
        WORLD_TEST(closes_idle_sessions),
        WORLD_TEST(pings_and_gives_up),
        WORLD_TEST(an_answer_to_our_ping_is_not_the_backends),
        WORLD_TEST(leaves_pings_to_a_backend_that_wants_to_answer),
        WORLD_TEST(a_pause_of_the_backend_holds_the_client),
        WORLD_TEST(drops_a_client_that_takes_nothing),
        WORLD_TEST(a_drain_closes_everything_in_good_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

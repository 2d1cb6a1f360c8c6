/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/loss.h"

#include "sluice/ack.h"
#include "world.h"

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, begin, world_end)

enum { TESTS_BOOT_ID = 42 };

static int begin(void **state)
{
    world_begin(state);
    world.hello.features |= SLUICE_FEATURE_RESUME | SLUICE_FEATURE_STATE |
                            SLUICE_FEATURE_MOVE | SLUICE_FEATURE_ALO;
    world.hello.flags = SLUICE_HELLO_WANTS_RESUME;
    return 0;
}

static struct pool *the_pool(void)
{
    return pool_find(STR("test"));
}

static size_t parked(void)
{
    size_t n = 0;
    LIST_EACH(item, after, &the_pool()->losses)
    {
        n += CONTAINER(item, struct loss, in_pool)->n;
    }
    return n;
}

/* The backend dies, and so many sessions wait for another. */
static void lose(struct fake *b, size_t n)
{
    fake_close(b);
    WORLD_WAIT(parked() == n);
}

/* Another process at the same socket. */
static void restart(struct fake *b)
{
    world.hello.epoch++;
    fake_accept(b);
    fake_greet(b);
    fake_expect(b, SLUICE_HELLO);
    fake_ready(b);
}

struct resumed {
    struct sluice_open open;
    struct sluice_resume_info info;
    struct sluice_frame frame;
};

static struct resumed expect_resume(struct fake *b, uint64_t cid)
{
    struct resumed r;
    struct sluice_tlv t;

    r.frame = fake_expect(b, SLUICE_RESUME);
    assert_int_equal(sluice_open_get(&r.open, &r.frame), 0);
    assert_int_equal(r.open.cid, cid);
    assert_true(r.open.flags & SLUICE_OPEN_ALREADY_OPEN);
    struct str rest = r.open.tlvs;
    r.info.first_seq = 0;
    while (sluice_tlv_next(&rest, &t) == 1)
        if (t.tag == SLUICE_TAG_RESUME_INFO)
            assert_int_equal(sluice_tlv_get_resume_info(&t, &r.info), 0);
    assert_true(r.info.first_seq > 0);
    return r;
}

static void expect_resume_end(struct fake *b, uint32_t n)
{
    uint32_t count;
    struct sluice_frame f = fake_expect(b, SLUICE_RESUME_END);
    assert_int_equal(sluice_resume_end_get(&count, &f), 0);
    assert_int_equal(count, n);
}

static void expect_data(struct fake *b, enum sluice_type type, unsigned flags,
                        const char *text)
{
    struct sluice_frame f = fake_expect(b, type);
    if (f.header.flags != flags)
        fail_msg("%s: flags %x, expected %x", text, f.header.flags, flags);
    assert_int_equal(f.payload.n, strlen(text));
    assert_memory_equal(f.payload.p, text, f.payload.n);
}

static void ack(struct fake *b, uint64_t cid, uint32_t bytes, uint32_t seq)
{
    struct sluice_header h = {.type = SLUICE_ACK};
    size_t at = sluice_frame_begin(&b->out, &h);
    struct sluice_ack a = {.cid = cid, .bytes = bytes, .seq = seq};
    sluice_ack_put_entry(&b->out, &a);
    sluice_frame_end(&b->out, at, true);
    fake_send(b);
}

static void text(struct paper *p, const char *message)
{
    paper_frame(p, 0x81, message, strlen(message));
}

/* ---- hold ---- */

static void a_restarted_backend_gets_its_sessions_again(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    text(p, "one");
    expect_data(b, SLUICE_TEXT, 0, "one");
    fake_put_data(b, SLUICE_TEXT, 0, cid, "1", 1);
    fake_send(b);
    paper_expect(p,
                 "\x81\1"
                 "1",
                 3);
    lose(b, 1);
    text(p, "two");
    paper_frame(p, 0x89, "?", 1);
    paper_expect(p, "\x8a\1?", 3);
    text(p, "three");
    restart(b);
    struct resumed r = expect_resume(b, cid);
    assert_int_equal(r.open.ws_version, 13);
    assert_int_equal(r.open.remote_port, 51234);
    assert_int_equal(r.info.first_seq, 2);
    assert_int_equal(r.info.unacked, 2);
    assert_int_equal(r.info.next_out_seq, 2);
    assert_int_equal(r.info.flags, 0);
    assert_str(sluice_tlv_find(r.open.tlvs, SLUICE_TAG_TARGET), "/ws?x=1");
    assert_str(sluice_tlv_find(r.open.tlvs, SLUICE_TAG_REMOTE_ADDR),
               "203.0.113.9");
    assert_null(sluice_tlv_find(r.open.tlvs, SLUICE_TAG_HEADER).p);
    expect_data(b, SLUICE_TEXT, 0, "two");
    expect_data(b, SLUICE_TEXT, 0, "three");
    expect_resume_end(b, 1);
    /* And all goes on. */
    text(p, "four");
    expect_data(b, SLUICE_TEXT, 0, "four");
    fake_put_data(b, SLUICE_TEXT, 0, cid, "4", 1);
    fake_send(b);
    paper_expect(p,
                 "\x81\1"
                 "4",
                 3);
    paper_free(p);
}

static void tells_the_subprotocol_and_on_request_the_fields(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    world.conf.resume_headers = true;
    world_start(1);
    struct paper *p = paper_ask("Sec-WebSocket-Protocol: a, b\n");
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    fake_accept_client(b, cid, "b");
    fake_expect(b, SLUICE_OPENED);
    lose(b, 1);
    restart(b);
    struct resumed r = expect_resume(b, cid);
    assert_str(sluice_tlv_find(r.open.tlvs, SLUICE_TAG_SUBPROTOCOL), "b");
    assert_non_null(sluice_tlv_find(r.open.tlvs, SLUICE_TAG_HEADER).p);
    paper_free(p);
}

static void closes_who_was_held_in_vain(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.pool.set.hold_ms = 50;
    world_start(2);
    struct paper *p = paper_open(b, &cid);
    world.hello.epoch++;
    /* The other one is another one: it has another socket. */
    fake_close(fake_of(1));
    restart(fake_of(1));
    lose(b, 1);
    paper_expect(p, "\x88\2\3\xf4", 4);
    assert_true(fake_is_silent(fake_of(1)));
    assert_int_equal(parked(), 0);
    paper_free(p);
}

/* Which of two backends gets the session of the first when that dies. */
static void knows_who_may_have_a_session(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        enum loss_mode mode;
        int on_loss; /* of the client; -1: the pool's */
        bool names_it, same_boot, resumes;
        bool gets_it, foreign, closed;
    } cases[] = {
        {"hold", LOSS_HOLD, -1, false, false, true, false, false, false},
        {"RESUME_OF", LOSS_HOLD, -1, true, false, true, true, false, false},
        {"the same", LOSS_HOLD, -1, false, true, true, true, false, false},
        {"any", LOSS_HOLD_ANY, -1, false, false, true, true, true, false},
        {"any, but it can not", LOSS_HOLD_ANY, -1, false, false, false, false,
         false, false},
        {"reassign", LOSS_REASSIGN, -1, false, false, true, true, true, false},
        {"reassign in vain", LOSS_REASSIGN, -1, false, false, false, false,
         false, true},
        {"close", LOSS_CLOSE, -1, true, false, true, false, false, true},
        {"the client's own", LOSS_CLOSE, LOSS_HOLD_ANY, false, false, true,
         true, true, false},
        {"the client's close", LOSS_HOLD_ANY, LOSS_CLOSE, false, false, true,
         false, false, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fake *b = fake_of(0), *other = fake_of(1);
        struct buf tlvs = {0};
        uint64_t cid;
        if (i)
            begin(state);
        world.pool.set.loss_mode = cases[i].mode;
        world_start(1);
        struct paper *p = paper_open(b, &cid);
        if (cases[i].on_loss >= 0) {
            struct buf opts = {0};
            sluice_tlv_put_opt(&opts, SLUICE_OPT_ON_LOSS,
                               (uint32_t)cases[i].on_loss);
            struct sluice_set_opts o = {cid, buf_str(&opts)};
            sluice_set_opts_put(&b->out, &o);
            fake_put_data(b, SLUICE_TEXT, 0, cid, "!", 1);
            fake_send(b);
            buf_fini(&opts);
            paper_expect(p, "\x81\1!", 3);
        }
        world.pool.servers_n = 2;
        world_adopt();
        fake_listen(other);
        if (cases[i].names_it)
            sluice_tlv_put_u64(&tlvs, SLUICE_TAG_RESUME_OF, TESTS_BOOT_ID);
        world.hello.tlvs = buf_str(&tlvs);
        world.hello.epoch = cases[i].same_boot ? TESTS_BOOT_ID : 77;
        if (!cases[i].resumes)
            world.hello.features = SLUICE_FEATURE_FRAGMENTS;
        fake_accept(other);
        fake_greet(other);
        fake_expect(other, SLUICE_HELLO);
        fake_ready(other);
        fake_close(b);
        if (cases[i].gets_it) {
            struct resumed r = expect_resume(other, cid);
            if (cases[i].foreign != (r.info.flags == SLUICE_RESUME_FOREIGN))
                fail_msg("%s: flags %x", cases[i].why, r.info.flags);
            expect_resume_end(other, 1);
        } else if (cases[i].closed) {
            paper_expect(p, "\x88\2\3\xf4", 4);
        } else {
            WORLD_WAIT(parked() == 1);
            if (!fake_is_silent(other))
                fail_msg("%s: it got it", cases[i].why);
        }
        buf_fini(&tlvs);
        paper_free(p);
        if (i + 1 < COUNT(cases))
            world_end(state);
    }
}

static void keeps_no_more_than_a_window(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    uint8_t *much = xcalloc(1, 4000);
    world.pool.set.client_window = 10000;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    lose(b, 1);
    int sent = 0;
    for (int idle = 0; idle < 200;) {
        struct session *s =
            CONTAINER(bridge.sessions.next, struct session, all);
        if (!s->stream->paused) {
            paper_frame(p, 0x82, much, 4000);
            sent++;
            idle = 0;
        }
        world_turn();
        idle++;
        if (sent > 100)
            fail_msg("it reads for ever");
    }
    struct session *s = CONTAINER(bridge.sessions.next, struct session, all);
    assert_in_range(kept_bytes(s), 10000, 13999);
    restart(b);
    expect_resume(b, cid);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fake_expect(b, SLUICE_BINARY).payload.n, 4000);
    expect_resume_end(b, 1);
    for (int i = 3; i < sent; i++) {
        ack(b, cid, 4000, (uint32_t)i - 2);
        assert_int_equal(fake_expect(b, SLUICE_BINARY).payload.n, 4000);
    }
    paper_free(p);
    free(much);
}

static void broadcasts_of_others_reach_the_parked(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(2);
    struct paper *p = paper_open(b, &cid);
    world.hello.epoch++;
    fake_close(fake_of(1));
    restart(fake_of(1));
    lose(b, 1);
    struct sluice_broadcast m = {
        .opcode = WS_TEXT, .data = STR("hi"), .notify = true};
    sluice_broadcast_put(&fake_of(1)->out, &m);
    fake_send(fake_of(1));
    paper_expect(p, "\x81\2hi", 4);
    struct sluice_delivered d;
    struct sluice_frame f = fake_expect(fake_of(1), SLUICE_DELIVERED);
    assert_int_equal(sluice_delivered_get(&d, &f), 0);
    assert_int_equal(d.matched, 1);
    assert_int_equal(d.queued, 1);
    paper_free(p);
}

static void a_client_may_leave_while_it_is_parked(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    lose(b, 1);
    paper_frame(p, 0x88, "\3\xe8", 2);
    paper_expect(p, "\x88\2\3\xe8", 4);
    WORLD_WAIT(parked() == 0);
    paper_free(p);
    restart(b);
    assert_true(fake_is_silent(b));
}

static void resumes_many_in_several_turns(void **state)
{
    (void)state;
    enum { MANY = 1200 };
    struct fake *b = fake_of(0);
    static struct paper *p[MANY];
    static uint64_t cid[MANY];
    world_start(1);
    for (int i = 0; i < MANY; i++)
        p[i] = paper_open(b, &cid[i]);
    lose(b, MANY);
    restart(b);
    for (int i = 0; i < MANY; i++)
        expect_resume(b, cid[i]);
    expect_resume_end(b, MANY);
    for (int i = 0; i < MANY; i += 100) {
        text(p[i], "x");
        expect_data(b, SLUICE_TEXT, 0, "x");
    }
    for (int i = 0; i < MANY; i++)
        paper_free(p[i]);
}

/* ---- state ---- */

static void set_state(struct fake *b, uint64_t cid, bool has_ack, uint32_t seq,
                      struct str blob)
{
    struct sluice_set_state m = {cid, has_ack, seq, blob};
    sluice_set_state_put(&b->out, &m);
    fake_send(b);
}

static void the_state_goes_along(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    set_state(b, cid, false, 0, STR("first"));
    set_state(b, cid, false, 0, STR("second one"));
    fake_put_data(b, SLUICE_TEXT, 0, cid, "!", 1);
    fake_send(b);
    paper_expect(p, "\x81\1!", 3);
    lose(b, 1);
    restart(b);
    struct resumed r = expect_resume(b, cid);
    assert_str(sluice_tlv_find(r.open.tlvs, SLUICE_TAG_STATE), "second one");
    paper_free(p);
}

static void a_state_that_is_too_large_ends_the_client(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_error_frame e;
    uint64_t cid;
    world.pool.set.state_max = 4;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    set_state(b, cid, false, 0, STR("12345"));
    struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
    assert_int_equal(sluice_error_get(&e, &f), 0);
    assert_int_equal(e.code, SLUICE_ERROR_LIMIT);
    assert_int_equal(e.severity, SLUICE_SEVERITY_CLIENT);
    paper_expect(p, "\x88\2\3\xf3", 4);
    paper_free(p);
}

/* ---- at least once ---- */

static void replays_what_was_not_acknowledged(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.pool.set.at_least_once = true;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    text(p, "a");
    text(p, "b");
    text(p, "c");
    expect_data(b, SLUICE_TEXT, 0, "a");
    expect_data(b, SLUICE_TEXT, 0, "b");
    expect_data(b, SLUICE_TEXT, 0, "c");
    set_state(b, cid, true, 1, STR("after a"));
    ack(b, cid, 1, 1);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "!", 1);
    fake_send(b);
    paper_expect(p, "\x81\1!", 3);
    lose(b, 1);
    text(p, "d");
    for (int i = 0; i < 2; i++) {
        restart(b);
        struct resumed r = expect_resume(b, cid);
        assert_int_equal(r.info.first_seq, 2);
        assert_int_equal(r.info.unacked, 3);
        assert_str(sluice_tlv_find(r.open.tlvs, SLUICE_TAG_STATE), "after a");
        expect_data(b, SLUICE_TEXT, SLUICE_FLAG_REPLAY, "b");
        expect_data(b, SLUICE_TEXT, SLUICE_FLAG_REPLAY, "c");
        expect_data(b, SLUICE_TEXT, i ? SLUICE_FLAG_REPLAY : 0, "d");
        expect_resume_end(b, 1);
        lose(b, 1);
    }
    restart(b);
    expect_resume(b, cid);
    for (int i = 0; i < 3; i++)
        fake_expect(b, SLUICE_TEXT);
    expect_resume_end(b, 1);
    ack(b, cid, 3, 4);
    text(p, "e");
    expect_data(b, SLUICE_TEXT, 0, "e");
    lose(b, 1);
    restart(b);
    assert_int_equal(expect_resume(b, cid).info.first_seq, 5);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_REPLAY, "e");
    paper_free(p);
}

static void a_client_that_left_is_replayed_to_its_end(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_closed c;
    uint64_t cid;
    world.pool.set.at_least_once = true;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    text(p, "last");
    expect_data(b, SLUICE_TEXT, 0, "last");
    paper_frame(p, 0x88, "\3\xe8", 2);
    paper_expect(p, "\x88\2\3\xe8", 4);
    fake_expect(b, SLUICE_CLOSED);
    paper_free(p);
    lose(b, 1);
    restart(b);
    struct resumed r = expect_resume(b, cid);
    assert_int_equal(r.info.flags, SLUICE_RESUME_DEAD);
    assert_int_equal(r.info.unacked, 1);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_REPLAY, "last");
    struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
    assert_int_equal(sluice_closed_get(&c, &f), 0);
    assert_int_equal(c.code, 1000);
    assert_int_equal(c.cause, SLUICE_CAUSE_CLIENT_CLOSE);
    expect_resume_end(b, 1);
    assert_int_equal(bridge_live(), 1);
    ack(b, cid, 0, 2);
    WORLD_WAIT(bridge_live() == 0);
    lose(b, 0);
    restart(b);
    assert_true(fake_is_silent(b));
}

/* Its id lives until CLOSED is acknowledged; nothing else of it does. */
static void what_is_said_of_a_client_that_left_is_ignored(void **state)
{
    (void)state;
    static const enum sluice_type empty[] = {SLUICE_TEXT,    SLUICE_PING,
                                             SLUICE_CLOSE,   SLUICE_PAUSE,
                                             SLUICE_UNPAUSE, SLUICE_TERMINATE};
    struct fake *b = fake_of(0);
    struct buf payload = {0};
    uint64_t cid;
    world.pool.set.at_least_once = true;
    world.hello.features |= SLUICE_FEATURE_CHANNELS;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    paper_frame(p, 0x88, "\3\xe8", 2);
    paper_expect(p, "\x88\2\3\xe8", 4);
    fake_expect(b, SLUICE_CLOSED);
    paper_free(p);
    for (size_t i = 0; i < COUNT(empty); i++)
        fake_put_empty(b, empty[i], cid);
    sluice_channel_put(&payload, STR("c"));
    fake_put_data(b, SLUICE_SUBSCRIBE, 0, cid, payload.p, payload.n);
    buf_clear(&payload);
    sluice_tlv_put_opt(&payload, SLUICE_OPT_IDLE_TIMEOUT_MS, 1);
    fake_put_data(b, SLUICE_SET_OPTS, 0, cid, payload.p, payload.n);
    ack(b, cid, 0, 1);
    WORLD_WAIT(bridge_live() == 0);
    assert_null(channel_find(&the_pool()->channels, STR("c")));
    assert_true(fake_is_silent(b));
    buf_fini(&payload);
}

static void a_client_that_leaves_while_parked_is_told_too(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.pool.set.at_least_once = true;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    lose(b, 1);
    text(p, "kept");
    paper_frame(p, 0x88, "\3\xe8", 2);
    paper_expect(p, "\x88\2\3\xe8", 4);
    paper_free(p);
    restart(b);
    assert_int_equal(expect_resume(b, cid).info.flags, SLUICE_RESUME_DEAD);
    expect_data(b, SLUICE_TEXT, 0, "kept");
    fake_expect(b, SLUICE_CLOSED);
    ack(b, cid, 0, 2);
    WORLD_WAIT(bridge_live() == 0);
}

static void refuses_to_hear_of_messages_that_were_never_sent(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint32_t seq;
        bool bad;
    } cases[] = {
        {"the last", 1, false},
        {"an old one", 0, false},
        {"the next", 2, true},
        {"far off", 1000, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fake *b = fake_of(0);
        uint64_t cid;
        if (i)
            begin(state);
        world.pool.set.at_least_once = true;
        world_start(1);
        struct paper *p = paper_open(b, &cid);
        text(p, "one");
        expect_data(b, SLUICE_TEXT, 0, "one");
        ack(b, cid, 0, cases[i].seq);
        if (cases[i].bad)
            fake_expect(b, SLUICE_ERROR);
        else if (!fake_is_silent(b))
            fail_msg("%s: refused", cases[i].why);
        paper_free(p);
        if (i + 1 < COUNT(cases))
            world_end(state);
    }
}

/* ---- inside messages ---- */

static void a_message_to_the_client_that_broke_off_ends_it(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "ha", 2);
    fake_send(b);
    paper_expect(p, "\1\2ha", 4);
    fake_close(b);
    paper_expect(p, "\x88\2\3\xf3", 4);
    paper_free(p);
}

static void want_fragments(struct fake *b, uint64_t cid, struct paper *p)
{
    struct buf opts = {0};
    sluice_tlv_put_opt(&opts, SLUICE_OPT_EVENT_MASK, SLUICE_EVENT_FRAGMENTS);
    struct sluice_set_opts o = {cid, buf_str(&opts)};
    sluice_set_opts_put(&b->out, &o);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "!", 1);
    fake_send(b);
    buf_fini(&opts);
    paper_expect(p, "\x81\1!", 3);
}

static void a_message_from_the_client_that_is_cut_is_dropped(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    want_fragments(b, cid, p);
    paper_frame(p, 0x01, "be", 2);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, "be");
    lose(b, 1);
    paper_frame(p, 0x00, "gin", 3);
    paper_frame(p, 0x80, "ning", 4);
    text(p, "next");
    restart(b);
    struct resumed r = expect_resume(b, cid);
    assert_int_equal(r.info.flags, SLUICE_RESUME_TRUNCATED);
    assert_int_equal(r.info.first_seq, 2);
    expect_data(b, SLUICE_TEXT, 0, "next");
    paper_free(p);
}

static void at_least_once_replays_the_beginning_too(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.pool.set.at_least_once = true;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    want_fragments(b, cid, p);
    paper_frame(p, 0x01, "be", 2);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, "be");
    ack(b, cid, 2, 0);
    lose(b, 1);
    paper_frame(p, 0x80, "gin", 3);
    restart(b);
    struct resumed r = expect_resume(b, cid);
    assert_int_equal(r.info.flags, 0);
    assert_int_equal(r.info.unacked, 1);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE | SLUICE_FLAG_REPLAY, "be");
    expect_data(b, SLUICE_CONT, 0, "gin");
    expect_resume_end(b, 1);
    /* A beginning that was acknowledged can not be had again. */
    paper_frame(p, 0x01, "x", 1);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, "x");
    ack(b, cid, 6, 2);
    want_fragments(b, cid, p);
    lose(b, 1);
    paper_frame(p, 0x80, "y", 1);
    text(p, "z");
    restart(b);
    r = expect_resume(b, cid);
    assert_int_equal(r.info.flags, SLUICE_RESUME_TRUNCATED);
    assert_int_equal(r.info.first_seq, 3);
    expect_data(b, SLUICE_TEXT, 0, "z");
    paper_free(p);
}

/* websocket_accept auto: the client has its 101, the backend has not answered.
 */
static void an_unanswered_client_is_offered_to_another(void **state)
{
    (void)state;
    struct fake *b = fake_of(0), *other = fake_of(1);
    struct sluice_open o;
    world.conf.accept_auto = 1;
    world_start(1);
    struct paper *p = paper_ask("");
    paper_expect_101(p);
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    world.pool.servers_n = 2;
    fake_listen(other);
    world_adopt();
    restart(other);
    text(p, "early");
    fake_close(b);
    struct sluice_frame f = fake_expect(other, SLUICE_OPEN);
    assert_int_equal(sluice_open_get(&o, &f), 0);
    assert_int_equal(o.cid, cid);
    assert_true(o.flags & SLUICE_OPEN_ALREADY_OPEN);
    fake_accept_client(other, cid, NULL);
    fake_expect(other, SLUICE_OPENED);
    expect_data(other, SLUICE_TEXT, 0, "early");
    paper_free(p);
}

/* ---- moving ---- */

static void goaway(struct fake *b, unsigned mode, uint32_t grace_ms)
{
    struct sluice_goaway g = {.mode = (uint16_t)mode, .grace_ms = grace_ms};
    sluice_goaway_put(&b->out, &g);
    fake_send(b);
}

static struct paper *start_two(uint64_t *cid)
{
    world_start(1);
    struct paper *p = paper_open(fake_of(0), cid);
    world.pool.servers_n = 2;
    fake_listen(fake_of(1));
    world_adopt();
    restart(fake_of(1));
    return p;
}

static void detached(struct fake *b, uint64_t cid)
{
    fake_put_empty(b, SLUICE_DETACHED, cid);
    fake_send(b);
}

static void a_handover_moves_everybody(void **state)
{
    (void)state;
    struct fake *b = fake_of(0), *other = fake_of(1);
    uint64_t cid;
    struct paper *p = start_two(&cid);
    text(p, "one");
    expect_data(b, SLUICE_TEXT, 0, "one");
    goaway(b, SLUICE_GOAWAY_HANDOVER, 5000);
    assert_int_equal(fake_expect(b, SLUICE_DETACH).header.cid, cid);
    text(p, "two");
    /* What it was at is finished. */
    fake_put_data(b, SLUICE_TEXT, 0, cid, "1", 1);
    fake_send(b);
    paper_expect(p,
                 "\x81\1"
                 "1",
                 3);
    set_state(b, cid, false, 0, STR("so far"));
    assert_true(fake_is_silent(other));
    detached(b, cid);
    struct resumed r = expect_resume(other, cid);
    assert_int_equal(r.info.flags, SLUICE_RESUME_FOREIGN);
    assert_int_equal(r.info.first_seq, 2);
    assert_int_equal(r.info.next_out_seq, 2);
    assert_str(sluice_tlv_find(r.open.tlvs, SLUICE_TAG_STATE), "so far");
    expect_data(other, SLUICE_TEXT, 0, "two");
    expect_resume_end(other, 1);
    /* It is nobody's any more there. */
    fake_put_data(b, SLUICE_TEXT, 0, cid, "stray", 5);
    fake_send(b);
    assert_true(fake_is_silent(b));
    fake_put_data(other, SLUICE_TEXT, 0, cid, "2", 1);
    fake_send(other);
    paper_expect(p,
                 "\x81\1"
                 "2",
                 3);
    paper_free(p);
}

static void a_handover_waits_for_somebody_to_hand_to(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    goaway(b, SLUICE_GOAWAY_HANDOVER, 0);
    text(p, "one");
    expect_data(b, SLUICE_TEXT, 0, "one");
    world.pool.servers_n = 2;
    fake_listen(fake_of(1));
    world_adopt();
    restart(fake_of(1));
    fake_expect(b, SLUICE_DETACH);
    detached(b, cid);
    expect_resume(fake_of(1), cid);
    paper_free(p);
}

static void does_not_move_inside_a_message(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct paper *p = start_two(&cid);
    want_fragments(b, cid, p);
    paper_frame(p, 0x01, "be", 2);
    expect_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, "be");
    goaway(b, SLUICE_GOAWAY_HANDOVER, 0);
    assert_true(fake_is_silent(b));
    paper_frame(p, 0x80, "gin", 3);
    expect_data(b, SLUICE_CONT, 0, "gin");
    fake_expect(b, SLUICE_DETACH);
    detached(b, cid);
    assert_int_equal(expect_resume(fake_of(1), cid).info.first_seq, 2);
    paper_free(p);
}

static void a_backend_may_send_one_client_away(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct paper *p = start_two(&cid);
    fake_put_empty(b, SLUICE_DETACH, cid);
    fake_send(b);
    fake_expect(b, SLUICE_DETACH);
    detached(b, cid);
    expect_resume(fake_of(1), cid);
    expect_resume_end(fake_of(1), 1);
    /* And back, but not when there is nobody else. */
    fake_close(b);
    fake_put_empty(fake_of(1), SLUICE_DETACH, cid);
    WORLD_WAIT(the_pool()->balance.peers[0].unready);
    fake_send(fake_of(1));
    fake_expect(fake_of(1), SLUICE_ERROR);
    text(p, "still");
    expect_data(fake_of(1), SLUICE_TEXT, 0, "still");
    paper_free(p);
}

static void unasked_detached_ends_the_client(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct paper *p = start_two(&cid);
    detached(b, cid);
    fake_expect(b, SLUICE_ERROR);
    paper_expect(p, "\x88\2\3\xf3", 4);
    paper_free(p);
}

static void moving_with_at_least_once_replays(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.pool.set.at_least_once = true;
    struct paper *p = start_two(&cid);
    text(p, "a");
    text(p, "b");
    expect_data(b, SLUICE_TEXT, 0, "a");
    expect_data(b, SLUICE_TEXT, 0, "b");
    goaway(b, SLUICE_GOAWAY_HANDOVER, 0);
    fake_expect(b, SLUICE_DETACH);
    text(p, "c");
    ack(b, cid, 1, 1);
    detached(b, cid);
    assert_int_equal(expect_resume(fake_of(1), cid).info.unacked, 2);
    expect_data(fake_of(1), SLUICE_TEXT, SLUICE_FLAG_REPLAY, "b");
    expect_data(fake_of(1), SLUICE_TEXT, 0, "c");
    paper_free(p);
}

static void a_backend_that_dies_while_it_hands_over_loses_nobody(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct paper *p = start_two(&cid);
    goaway(b, SLUICE_GOAWAY_HANDOVER, 0);
    fake_expect(b, SLUICE_DETACH);
    text(p, "kept");
    fake_close(b);
    expect_resume(fake_of(1), cid);
    expect_data(fake_of(1), SLUICE_TEXT, 0, "kept");
    paper_free(p);
}

static void the_grace_is_enforced(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_frame f;
    uint64_t cid;
    struct paper *p = start_two(&cid);
    goaway(b, SLUICE_GOAWAY_DRAIN, 20);
    fake_expect(b, SLUICE_BYE);
    assert_false(fake_next(b, &f));
    fake_close(b);
    WORLD_WAIT(parked() == 1);
    restart(b);
    expect_resume(b, cid);
    paper_free(p);
}

static void a_reload_hands_over_what_it_no_longer_names(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_goaway g;
    uint64_t cid;
    struct paper *p = start_two(&cid);
    struct pool_server first = world.servers[0];
    world.servers[0] = world.servers[1];
    world.pool.servers_n = 1;
    world_adopt();
    struct sluice_frame f = fake_expect(b, SLUICE_GOAWAY);
    assert_int_equal(sluice_goaway_get(&g, &f), 0);
    assert_int_equal(g.mode, SLUICE_GOAWAY_HANDOVER);
    fake_expect(b, SLUICE_DETACH);
    detached(b, cid);
    expect_resume(fake_of(1), cid);
    fake_expect(b, SLUICE_BYE);
    world.servers[0] = first;
    paper_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_restarted_backend_gets_its_sessions_again),
        WORLD_TEST(tells_the_subprotocol_and_on_request_the_fields),
        WORLD_TEST(closes_who_was_held_in_vain),
        WORLD_TEST(knows_who_may_have_a_session),
        WORLD_TEST(keeps_no_more_than_a_window),
        WORLD_TEST(broadcasts_of_others_reach_the_parked),
        WORLD_TEST(a_client_may_leave_while_it_is_parked),
        WORLD_TEST(resumes_many_in_several_turns),
        WORLD_TEST(the_state_goes_along),
        WORLD_TEST(a_state_that_is_too_large_ends_the_client),
        WORLD_TEST(replays_what_was_not_acknowledged),
        WORLD_TEST(a_client_that_left_is_replayed_to_its_end),
        WORLD_TEST(what_is_said_of_a_client_that_left_is_ignored),
        WORLD_TEST(a_client_that_leaves_while_parked_is_told_too),
        WORLD_TEST(refuses_to_hear_of_messages_that_were_never_sent),
        WORLD_TEST(a_message_to_the_client_that_broke_off_ends_it),
        WORLD_TEST(a_message_from_the_client_that_is_cut_is_dropped),
        WORLD_TEST(at_least_once_replays_the_beginning_too),
        WORLD_TEST(an_unanswered_client_is_offered_to_another),
        WORLD_TEST(a_handover_moves_everybody),
        WORLD_TEST(a_handover_waits_for_somebody_to_hand_to),
        WORLD_TEST(does_not_move_inside_a_message),
        WORLD_TEST(a_backend_may_send_one_client_away),
        WORLD_TEST(unasked_detached_ends_the_client),
        WORLD_TEST(moving_with_at_least_once_replays),
        WORLD_TEST(a_backend_that_dies_while_it_hands_over_loses_nobody),
        WORLD_TEST(the_grace_is_enforced),
        WORLD_TEST(a_reload_hands_over_what_it_no_longer_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

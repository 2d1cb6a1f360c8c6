/* SPDX-License-Identifier: BSD-2-Clause */
/* What a backend does to clients of another one. */
#include "bridge/session.h"

#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

static struct paper *p;
static struct fake *owner, *other;
static uint64_t cid;

/* One client, and who does not have it. */
static void begin(void)
{
    struct sluice_frame f;

    world.hello.features |= SLUICE_FEATURE_CROSS | SLUICE_FEATURE_CHANNELS |
                            SLUICE_FEATURE_STATE | SLUICE_FEATURE_MOVE |
                            SLUICE_FEATURE_RESUME;
    world.skips_acks = world.own_boot_ids = true;
    world_start(2);
    p = paper_ask("");
    for (int i = 0; owner = fake_of((size_t)i % 2), !fake_try(owner, &f); i++) {
        if (i > 5000)
            fail_msg("nobody gets a client");
        world_turn();
    }
    other = fake_of(owner == fake_of(0));
    cid = f.header.cid;
    fake_accept_client(owner, cid, NULL);
    fake_expect(owner, SLUICE_OPENED);
    paper_expect_101(p);
}

static void say(enum sluice_type type, unsigned flags, const char *data)
{
    fake_put_data(other, type, flags, cid, data, strlen(data));
    fake_send(other);
}

static void send_close(struct fake *b, unsigned code)
{
    struct sluice_close c = {.cid = cid, .code = (uint16_t)code};
    sluice_close_put(&b->out, &c);
    fake_send(b);
}

static void expect_error(struct fake *b, enum sluice_error code)
{
    struct sluice_error_frame e;
    struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
    sluice_error_get(&e, &f);
    assert_int_equal(e.code, code);
    assert_int_equal(e.severity, SLUICE_SEVERITY_INFO);
}

static struct sluice_closed expect_closed(struct fake *b)
{
    struct sluice_closed c;
    struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
    sluice_closed_get(&c, &f);
    return c;
}

static void sends_messages(void **state)
{
    (void)state;
    static char big[40000];
    begin();
    say(SLUICE_TEXT, 0, "hey");
    paper_expect(p, "\x81\3hey", 5);
    say(SLUICE_BINARY, SLUICE_FLAG_NOTIFY, "raw");
    say(SLUICE_PING, 0, "p");
    paper_expect(p, "\x82\3raw\x89\1p", 8);
    /* No credit is spent, and none comes back. */
    for (int i = 0; i < 5; i++) {
        fake_put_data(other, SLUICE_BINARY, 0, cid, big, sizeof big);
        fake_send(other);
        assert_true(paper_want(p, sizeof big + 4));
        buf_drop(&p->in, sizeof big + 4);
    }
    /* Its owner does not notice, and inside its message others wait. */
    fake_put_data(owner, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "a", 1);
    fake_send(owner);
    paper_expect(p, "\1\1a", 3);
    say(SLUICE_TEXT, 0, "later");
    fake_put_data(owner, SLUICE_CONT, 0, cid, "b", 1);
    fake_send(owner);
    paper_expect(p, "\x80\1b\x81\5later", 10);
    assert_true(fake_is_silent(owner));
    paper_free(p);
}

static void sends_to_named_ones(void **state)
{
    (void)state;
    struct buf ids = {0};
    begin();
    sluice_ids_append(&ids, cid);
    sluice_ids_append(&ids, cid + (1 << 24));
    struct sluice_msend m = {.notify = true,
                             .token = 3,
                             .opcode = WS_TEXT,
                             .ids = buf_str(&ids),
                             .data = STR_INIT("few")};
    sluice_msend_put(&other->out, &m);
    fake_send(other);
    paper_expect(p, "\x81\3few", 5);
    struct sluice_delivered d;
    struct sluice_frame f = fake_expect(other, SLUICE_DELIVERED);
    sluice_delivered_get(&d, &f);
    assert_int_equal(d.matched, 1);
    assert_int_equal(d.queued, 1);
    buf_fini(&ids);
    paper_free(p);
}

static void puts_it_into_channels(void **state)
{
    (void)state;
    struct sluice_publish m = {
        .opcode = WS_TEXT, .channel = STR_INIT("r"), .data = STR_INIT("in")};
    struct sluice_header h = {.type = SLUICE_SUBSCRIBE};
    begin();
    h.cid = cid;
    size_t at = sluice_frame_begin(&other->out, &h);
    sluice_frame_end(&other->out, at,
                     sluice_channel_put(&other->out, STR("r")));
    sluice_publish_put(&other->out, &m);
    fake_put_empty(other, SLUICE_UNSUBSCRIBE, cid);
    sluice_publish_put(&other->out, &m);
    fake_send(other);
    say(SLUICE_TEXT, 0, "out");
    paper_expect(p, "\x81\2in\x81\3out", 9);
    paper_free(p);
}

static void closes_it(void **state)
{
    (void)state;
    begin();
    send_close(other, 4001);
    paper_expect(p, "\x88\2\x0f\xa1", 4);
    paper_frame(p, 0x88, "\x0f\xa1", 2);
    struct sluice_closed c = expect_closed(owner);
    assert_int_equal(c.code, 4001);
    assert_int_equal(c.cause, SLUICE_CAUSE_BACKEND_CLOSE);
    assert_true(fake_is_silent(other));
    paper_free(p);
}

static void terminates_it(void **state)
{
    (void)state;
    begin();
    fake_put_empty(other, SLUICE_TERMINATE, cid);
    fake_send(other);
    assert_int_equal(expect_closed(owner).cause, SLUICE_CAUSE_TERMINATE);
    paper_expect_end(p);
    paper_free(p);
}

static void also_when_its_own_backend_is_lost(void **state)
{
    (void)state;
    begin();
    fake_close(owner);
    WORLD_WAIT(!list_is_empty(&pool_find(STR("test"))->losses));
    say(SLUICE_TEXT, 0, "still");
    paper_expect(p, "\x81\5still", 7);
    send_close(other, 1000);
    paper_expect(p, "\x88\2\x03\xe8", 4);
    paper_frame(p, 0x88, "\x03\xe8", 2);
    WORLD_WAIT(bridge.live == 0);
    paper_free(p);
}

static void what_is_its_owners_is_refused_without_harm(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        enum sluice_type type;
        unsigned flags;
        const char *data;
        enum sluice_error code;
    } rows[] = {
        {"a piece", SLUICE_TEXT, SLUICE_FLAG_MORE, "a", SLUICE_ERROR_BAD_STATE},
        {"another piece", SLUICE_CONT, 0, "a", SLUICE_ERROR_DENIED},
        {"bad text", SLUICE_TEXT, 0, "\xff", SLUICE_ERROR_BAD_UTF8},
        {"its state", SLUICE_SET_STATE, 0, "0000", SLUICE_ERROR_DENIED},
        {"options", SLUICE_SET_OPTS, 0, "", SLUICE_ERROR_DENIED},
        {"an answer", SLUICE_ACCEPT, 0, "00000000", SLUICE_ERROR_DENIED},
        {"moving", SLUICE_DETACH, 0, "", SLUICE_ERROR_DENIED},
        {"pausing", SLUICE_PAUSE, 0, "", SLUICE_ERROR_DENIED},
        {"a channel without a name", SLUICE_SUBSCRIBE, 0, "\0",
         SLUICE_ERROR_LIMIT},
    };
    begin();
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t n = rows[i].type == SLUICE_SUBSCRIBE ? 2 : strlen(rows[i].data);
        static const char none[2];
        fake_put_data(other, rows[i].type, rows[i].flags, cid,
                      rows[i].type == SLUICE_SUBSCRIBE ? none : rows[i].data,
                      n);
        fake_send(other);
        expect_error(other, rows[i].code);
    }
    send_close(other, 1005);
    struct sluice_frame f = fake_expect(other, SLUICE_ERROR);
    assert_int_equal(f.header.cid, cid);
    fake_put_data(owner, SLUICE_TEXT, 0, cid, "on", 2);
    fake_send(owner);
    paper_expect(p, "\x81\2on", 4);
    paper_free(p);
}

static void nothing_of_it_without_cross_backend(void **state)
{
    (void)state;
    begin();
    world.pool.set.cross_backend = false; /* a reload */
    say(SLUICE_TEXT, 0, "no");
    fake_put_empty(other, SLUICE_TERMINATE, cid);
    send_close(other, 1000);
    assert_true(fake_is_silent(other));
    fake_put_data(owner, SLUICE_TEXT, 0, cid, "on", 2);
    fake_send(owner);
    paper_expect(p, "\x81\2on", 4);
    paper_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(sends_messages),
        WORLD_TEST(sends_to_named_ones),
        WORLD_TEST(puts_it_into_channels),
        WORLD_TEST(closes_it),
        WORLD_TEST(terminates_it),
        WORLD_TEST(also_when_its_own_backend_is_lost),
        WORLD_TEST(what_is_its_owners_is_refused_without_harm),
        WORLD_TEST(nothing_of_it_without_cross_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

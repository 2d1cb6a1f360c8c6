/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/channels.h"

#include "world.h"

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, begin, world_end)

static int begin(void **state)
{
    int rc = world_begin(state);
    world.hello.features |= SLUICE_FEATURE_CHANNELS;
    return rc;
}

/* ---- the backend's side ---- */

static void put_channels(struct fake *b, enum sluice_type type, uint64_t cid,
                         const char *names)
{
    struct sluice_header h = {.type = (uint8_t)type, .cid = cid};
    size_t at = sluice_frame_begin(&b->out, &h);
    struct str rest = str_c(names);
    bool ok = true;

    while (rest.n) {
        size_t end = str_find(rest, ' ', 0);
        ok &= sluice_channel_put(&b->out, str_slice(rest, 0, end));
        rest = str_slice(rest, end + 1, rest.n);
    }
    assert_true(sluice_frame_end(&b->out, at, ok));
    fake_send(b);
}

static void publish(struct fake *b, const char *channel, const char *text,
                    uint64_t except)
{
    struct sluice_publish p = {.channel = str_c(channel),
                               .data = str_c(text),
                               .opcode = WS_TEXT,
                               .except = except,
                               .notify = true,
                               .token = 3};
    assert_true(sluice_publish_put(&b->out, &p));
    fake_send(b);
}

static void expect_matched(struct fake *b, unsigned matched)
{
    struct sluice_delivered d;
    struct sluice_frame f = fake_expect(b, SLUICE_DELIVERED);
    assert_int_equal(sluice_delivered_get(&d, &f), 0);
    assert_int_equal(d.token, 3);
    assert_int_equal(d.matched, matched);
    assert_int_equal(d.queued, matched);
}

static struct sluice_presence presence(struct fake *b, const char *channel,
                                       bool list)
{
    struct sluice_presence_req q = {
        .token = 4, .list = list, .channel = str_c(channel)};
    struct sluice_presence p;

    assert_true(sluice_presence_req_put(&b->out, &q));
    fake_send(b);
    struct sluice_frame f = fake_expect(b, SLUICE_PRESENCE);
    assert_int_equal(sluice_presence_get(&p, &f), 0);
    assert_int_equal(p.token, 4);
    return p;
}

/* ---- */

static void members_get_what_is_published(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid[3];
    struct paper *p[3];
    world_start(1);
    for (int i = 0; i < 3; i++)
        p[i] = paper_open(b, &cid[i]);
    put_channels(b, SLUICE_SUBSCRIBE, cid[0], "news chat");
    put_channels(b, SLUICE_SUBSCRIBE, cid[1], "chat chat");
    publish(b, "chat", "a", 0);
    expect_matched(b, 2);
    publish(b, "news", "b", 0);
    expect_matched(b, 1);
    publish(b, "chat", "c", cid[0]);
    expect_matched(b, 1);
    publish(b, "nobody", "d", 0);
    expect_matched(b, 0);
    paper_expect(p[0], "\x81\1a\x81\1b", 6);
    paper_expect(p[1], "\x81\1a\x81\1c", 6);
    for (int i = 0; i < 3; i++)
        paper_free(p[i]);
}

static void who_leaves_hears_no_more(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid[2];
    struct paper *p[2];
    world_start(1);
    for (int i = 0; i < 2; i++)
        p[i] = paper_open(b, &cid[i]);
    for (int i = 0; i < 2; i++)
        put_channels(b, SLUICE_SUBSCRIBE, cid[i], "a b c");
    put_channels(b, SLUICE_UNSUBSCRIBE, cid[0], "b");
    assert_int_equal(presence(b, "a", false).count, 2);
    assert_int_equal(presence(b, "b", false).count, 1);
    put_channels(b, SLUICE_UNSUBSCRIBE, cid[0], "");
    assert_int_equal(presence(b, "a", false).count, 1);
    struct sluice_presence who = presence(b, "c", true);
    assert_int_equal(who.count, 1);
    assert_int_equal(sluice_ids_at(who.ids, 0), cid[1]);
    /* A connection that ends leaves as well. */
    fake_put_empty(b, SLUICE_TERMINATE, cid[1]);
    fake_send(b);
    fake_expect(b, SLUICE_CLOSED);
    assert_int_equal(presence(b, "c", false).count, 0);
    for (int i = 0; i < 2; i++)
        paper_free(p[i]);
}

static void accept_subscribes_before_the_101(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct buf tlvs = {0};
    world_start(1);
    struct paper *p = paper_ask("");
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    sluice_tlv_put(&tlvs, SLUICE_TAG_CHANNEL, STR("room"));
    struct sluice_accept a = {.cid = cid, .tlvs = buf_str(&tlvs)};
    assert_true(sluice_accept_put(&b->out, &a));
    buf_fini(&tlvs);
    publish(b, "room", "x", 0); /* in the same write */
    paper_expect_101(p);
    paper_expect(p, "\x81\1x", 3);
    paper_free(p);
}

static void members_of_other_backends_are_reached(void **state)
{
    (void)state;
    uint64_t cid[2];
    struct paper *p[2];
    world.pool.set.cross_backend = true;
    world.pool.set.method = &balance_round_robin;
    world_start(2);
    for (int i = 0; i < 2; i++) {
        p[i] = paper_open(fake_of((size_t)i), &cid[i]);
        put_channels(fake_of((size_t)i), SLUICE_SUBSCRIBE, cid[i], "all");
        assert_int_equal(presence(fake_of((size_t)i), "all", false).count,
                         i + 1);
    }
    publish(fake_of(0), "all", "x", 0);
    expect_matched(fake_of(0), 2);
    for (int i = 0; i < 2; i++) {
        paper_expect(p[i], "\x81\1x", 3);
        paper_free(p[i]);
    }
}

static void without_cross_backend_a_link_has_its_own(void **state)
{
    (void)state;
    uint64_t cid[2];
    struct paper *p[2];
    world.pool.set.cross_backend = false;
    world.pool.set.method = &balance_round_robin;
    world_start(2);
    for (int i = 0; i < 2; i++) {
        p[i] = paper_open(fake_of((size_t)i), &cid[i]);
        put_channels(fake_of((size_t)i), SLUICE_SUBSCRIBE, cid[i], "all");
    }
    assert_int_equal(presence(fake_of(1), "all", false).count, 1);
    publish(fake_of(0), "all", "x", 0);
    expect_matched(fake_of(0), 1);
    for (int i = 0; i < 2; i++)
        paper_free(p[i]);
}

static void too_many_channels_end_the_client(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    put_channels(b, SLUICE_SUBSCRIBE, cid, "1 2 3 4"); /* channels_max */
    put_channels(b, SLUICE_SUBSCRIBE, cid, "3");
    assert_int_equal(presence(b, "4", false).count, 1);
    put_channels(b, SLUICE_SUBSCRIBE, cid, "5");
    fake_expect(b, SLUICE_ERROR);
    fake_expect(b, SLUICE_CLOSED);
    assert_int_equal(presence(b, "4", false).count, 0);
    paper_free(p);
}

/* Each of the members is slow, and is closed by the very message. */
static void a_channel_may_empty_while_it_is_told(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    static char big[60000];
    uint64_t cid[2];
    struct paper *p[2];
    world.conf.send_buffer = 70000;
    world_start(1);
    for (int i = 0; i < 2; i++) {
        p[i] = paper_open(b, &cid[i]);
        put_channels(b, SLUICE_SUBSCRIBE, cid[i], "c");
    }
    memset(big, 'x', sizeof big - 1);
    for (int i = 0; i < 200 && presence(b, "c", false).count; i++) {
        struct sluice_publish m = {
            .channel = STR("c"), .data = str_c(big), .opcode = WS_TEXT};
        sluice_publish_put(&b->out, &m);
        fake_send(b);
        while (!fake_is_silent(b)) {
            struct sluice_frame f;
            fake_next(b, &f);
        }
    }
    assert_int_equal(presence(b, "c", false).count, 0);
    for (int i = 0; i < 2; i++)
        paper_free(p[i]);
}

static void who_waits_for_its_backend_stays_in_its_channels(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.hello.features |= SLUICE_FEATURE_RESUME;
    world.hello.flags = SLUICE_HELLO_WANTS_RESUME;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    put_channels(b, SLUICE_SUBSCRIBE, cid, "c");
    assert_int_equal(presence(b, "c", false).count, 1);
    fake_close(b);
    fake_accept(b);
    fake_greet(b);
    fake_expect(b, SLUICE_HELLO);
    fake_ready(b);
    struct sluice_open o;
    struct sluice_frame f = fake_expect(b, SLUICE_RESUME);
    assert_int_equal(sluice_open_get(&o, &f), 0);
    struct str name = sluice_tlv_find(o.tlvs, SLUICE_TAG_CHANNEL);
    assert_true(str_eq(name, STR("c")));
    fake_expect(b, SLUICE_RESUME_END);
    publish(b, "c", "x", 0);
    expect_matched(b, 1);
    paper_expect(p, "\x81\1x", 3);
    paper_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(members_get_what_is_published),
        WORLD_TEST(who_leaves_hears_no_more),
        WORLD_TEST(accept_subscribes_before_the_101),
        WORLD_TEST(members_of_other_backends_are_reached),
        WORLD_TEST(without_cross_backend_a_link_has_its_own),
        WORLD_TEST(too_many_channels_end_the_client),
        WORLD_TEST(a_channel_may_empty_while_it_is_told),
        WORLD_TEST(who_waits_for_its_backend_stays_in_its_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/ack.h"
#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

static void put_raw(struct fake *b, uint64_t cid, unsigned head,
                    const char *data, size_t n)
{
    struct sluice_raw w = {
        .cid = cid, .head = (uint8_t)head, .data = str_n(data, n)};
    assert_true(sluice_raw_put(&b->out, &w));
}

/* allow_raw */
static void writes_frames_that_the_backend_makes(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.pool.set.allow_raw = true;
    world.hello.features |= SLUICE_FEATURE_RAW;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    put_raw(b, cid, 0x01, "a\xc3", 2);
    put_raw(b, cid, 0x89, "p", 1);
    put_raw(b, cid, 0x00, "", 0);
    put_raw(b, cid, 0x80, "\xa4", 1);
    put_raw(b, cid, 0x82, "\0", 1);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "yo", 2);
    put_raw(b, cid, 0x88,
            "\x03\xe8"
            "end",
            5);
    fake_send(b);
    paper_expect(p,
                 "\1\2a\xc3\x89\1p\0\0\x80\1\xa4\x82\1\0\x81\2yo"
                 "\x88\5\x03\xe8"
                 "end",
                 26);
    paper_frame(p, 0x88, "\x03\xe8", 2);
    struct sluice_closed c =
        fake_expect_closed(b, SLUICE_CAUSE_BACKEND_CLOSE, 1000);
    assert_int_equal(c.messages_out, 3);
    paper_free(p);
}

/* What they mean is for the two ends to know. */
static void writes_frames_that_are_reserved(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.pool.set.allow_raw = true;
    world.hello.features |= SLUICE_FEATURE_RAW;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    put_raw(b, cid, 0x83, "a", 1);
    put_raw(b, cid, 0x8b, "b", 1);
    put_raw(b, cid, 0xf1, "\xff", 1);
    put_raw(b, cid, 0x07, "c", 1);
    put_raw(b, cid, 0xa9, "d", 1);
    put_raw(b, cid, 0xb0, "e", 1);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "f", 1);
    fake_send(b);
    paper_expect(p, "\x83\1a\x8b\1b\xf1\1\xff\x07\1c\xa9\1d\xb0\1e\x81\1f", 21);
    paper_free(p);
}

static void refuses_frames_that_break_a_session(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        unsigned first, second; /* 0x100: none */
        const char *data;
        enum sluice_error code;
    } cases[] = {
        {"a reserved control frame in parts", 0x0b, 0x100, "",
         SLUICE_ERROR_WS_PROTOCOL},
        {"a reserved frame in a message", 0x01, 0x83, "",
         SLUICE_ERROR_BAD_STATE},
        {"a ping in parts", 0x09, 0x100, "", SLUICE_ERROR_WS_PROTOCOL},
        {"a close of one byte", 0x88, 0x100, "x", SLUICE_ERROR_WS_PROTOCOL},
        {"nothing to go on", 0x80, 0x100, "", SLUICE_ERROR_BAD_STATE},
        {"text in a message", 0x01, 0x81, "", SLUICE_ERROR_BAD_STATE},
        {"bad text", 0x81, 0x100, "\xff", SLUICE_ERROR_BAD_UTF8},
        {"text cut short", 0x01, 0x80, "\xc3", SLUICE_ERROR_BAD_UTF8},
    };
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.pool.set.allow_raw = true;
    world.hello.features |= SLUICE_FEATURE_RAW;
    world_start(1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct paper *p = paper_open(b, &cid);
        struct sluice_error_frame e;
        put_raw(b, cid, cases[i].first, cases[i].data, strlen(cases[i].data));
        if (cases[i].second != 0x100)
            put_raw(b, cid, cases[i].second, "", 0);
        fake_send(b);
        struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
        assert_int_equal(sluice_error_get(&e, &f), 0);
        if (e.code != cases[i].code || e.severity != SLUICE_SEVERITY_CLIENT)
            fail_msg("%s: %s", cases[i].why, sluice_error_name(e.code));
        fake_expect_closed(b, SLUICE_CAUSE_BACKEND_CLOSE, 1011);
        paper_free(p);
    }
}

static void raw_frames_stay_among_themselves(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct sluice_error_frame e;
    world.pool.set.allow_raw = true;
    world.hello.features |= SLUICE_FEATURE_RAW;
    world_start(1);
    for (int i = 0; i < 2; i++) {
        struct paper *p = paper_open(b, &cid);
        if (i) {
            put_raw(b, cid, 0x01, "a", 1);
            fake_put_data(b, SLUICE_CONT, 0, cid, "b", 1);
        } else {
            fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "a", 1);
            put_raw(b, cid, 0x80, "b", 1);
        }
        fake_send(b);
        struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
        assert_int_equal(sluice_error_get(&e, &f), 0);
        assert_int_equal(e.code, SLUICE_ERROR_BAD_STATE);
        fake_expect(b, SLUICE_CLOSED);
        paper_free(p);
    }
}

static void raw_frames_need_permission(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct sluice_error_frame e;
    world.hello.features |= SLUICE_FEATURE_RAW;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    put_raw(b, cid, 0x81, "a", 1);
    fake_send(b);
    struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
    assert_int_equal(sluice_error_get(&e, &f), 0);
    assert_int_equal(e.severity, SLUICE_SEVERITY_LINK);
    paper_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(writes_frames_that_the_backend_makes),
        WORLD_TEST(writes_frames_that_are_reserved),
        WORLD_TEST(refuses_frames_that_break_a_session),
        WORLD_TEST(raw_frames_stay_among_themselves),
        WORLD_TEST(raw_frames_need_permission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

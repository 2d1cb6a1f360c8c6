/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

static void answers_the_clients_close(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    paper_frame(p, 0x81, "x", 1);
    fake_expect(b, SLUICE_TEXT);
    paper_frame(p, 0x88, "\x0f\xa0why", 5); /* 4000 */
    paper_expect(p, "\x88\2\x0f\xa0", 4);
    struct sluice_closed c =
        fake_expect_closed(b, SLUICE_CAUSE_CLIENT_CLOSE, 4000);
    assert_int_equal(c.flags, SLUICE_CLOSED_CLEAN);
    assert_int_equal(c.messages_in, 1);
    assert_int_equal(c.bytes_in, 7 + 11);
    assert_str(c.reason, "why");
    paper_expect_end(p);
    paper_free(p);
    assert_int_equal(bridge_live(), 0);
}

static void a_close_without_a_code_is_1005(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    paper_frame(p, 0x88, "", 0);
    paper_expect(p, "\x88\0", 2);
    fake_expect_closed(b, SLUICE_CAUSE_CLIENT_CLOSE, 1005);
    paper_free(p);
}

static void passes_the_backends_close_on(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    struct sluice_close close = {
        .cid = cid, .code = 3001, .reason = STR_INIT("bye")};
    sluice_close_put(&b->out, &close);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "late", 4); /* is dropped */
    fake_send(b);
    paper_expect(p,
                 "\x88\5\x0b\xb9"
                 "bye",
                 7);
    paper_frame(p, 0x88, "\x0b\xb9", 2);
    struct sluice_closed c =
        fake_expect_closed(b, SLUICE_CAUSE_BACKEND_CLOSE, 3001);
    assert_int_equal(c.flags, SLUICE_CLOSED_CLEAN | SLUICE_CLOSED_BY_BACKEND);
    paper_expect_end(p);
    paper_free(p);
}

static void does_not_wait_for_ever_for_a_close(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.close_timeout_ms = 100;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    struct sluice_close close = {.cid = cid};
    sluice_close_put(&b->out, &close);
    fake_send(b);
    paper_expect(p, "\x88\0", 2);
    struct sluice_closed c =
        fake_expect_closed(b, SLUICE_CAUSE_BACKEND_CLOSE, 1006);
    assert_int_equal(c.flags, SLUICE_CLOSED_BY_BACKEND);
    paper_expect_end(p);
    paper_free(p);
}

static void tells_why_a_client_is_closed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        unsigned code, cause;
    } cases[] = {
        {"\x81\x02hi", 4, 1002, SLUICE_CAUSE_PROTOCOL_ERROR}, /* no mask */
        {"\xc1\x80\0\0\0\0", 6, 1002, SLUICE_CAUSE_PROTOCOL_ERROR},
        {"\x80\x80\0\0\0\0", 6, 1002, SLUICE_CAUSE_PROTOCOL_ERROR},
        {"\x81\x81\0\0\0\0\xff", 7, 1007, SLUICE_CAUSE_BAD_UTF8},
        {"\x82\xff\0\0\0\0\0\x20\0\0\1\1\1\1", 14, 1009, SLUICE_CAUSE_TOO_BIG},
    };
    struct fake *b = fake_of(0);
    world_start(1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t cid;
        uint8_t close[4] = {0x88, 2, (uint8_t)(cases[i].code >> 8),
                            (uint8_t)cases[i].code};
        struct paper *p = paper_open(b, &cid);
        paper_send(p, cases[i].bytes, cases[i].n);
        fake_expect_closed(b, cases[i].cause, cases[i].code);
        paper_expect(p, close, 4);
        paper_expect_end(p);
        paper_free(p);
    }
}

static void tells_of_a_client_that_just_left(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    shutdown(p->fd, SHUT_WR);
    fake_expect_closed(b, SLUICE_CAUSE_EOF, 1006);
    paper_free(p);
    assert_int_equal(bridge_live(), 0);
}

static void a_lost_backend_closes_its_clients_with_1012(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    /* In the middle of a message: no end is invented. */
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "a", 1);
    fake_send(b);
    paper_expect(p, "\1\1a", 3);
    fake_close(b);
    paper_expect(p, "\x88\2\x03\xf4", 4);
    paper_expect_end(p);
    paper_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(answers_the_clients_close),
        WORLD_TEST(a_close_without_a_code_is_1005),
        WORLD_TEST(passes_the_backends_close_on),
        WORLD_TEST(does_not_wait_for_ever_for_a_close),
        WORLD_TEST(tells_why_a_client_is_closed),
        WORLD_TEST(tells_of_a_client_that_just_left),
        WORLD_TEST(a_lost_backend_closes_its_clients_with_1012),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

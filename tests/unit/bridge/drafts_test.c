/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions of the versions before RFC 6455. */
#include "bridge/session.h"

#include <sys/socket.h>

#include "sluice/ack.h"
#include "sluice/link.h"
#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

#define KEYS_76                                                                \
    "Sec-WebSocket-Key1: 18x 6]8vM;54 *(5:  {   U1]8  z [  8\n"                \
    "Sec-WebSocket-Key2: 1_ tx7X d  <  nw  334J702) 7]o}` 0\n"
#define HEAD_76                                                                \
    "HTTP/1.1 101 WebSocket Protocol Handshake\r\n"                            \
    "Upgrade: WebSocket\r\n"                                                   \
    "Connection: Upgrade\r\n"
#define HEAD_75                                                                \
    "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"                           \
    "Upgrade: WebSocket\r\n"                                                   \
    "Connection: Upgrade\r\n"
#define ORIGIN "Origin: http://example.com\n"
#define LOCATION "WebSocket-Location: ws://example.com/ws?x=1\r\n"

static void accept_now(struct fake *b, struct paper *p, uint64_t *cid,
                       const char *protocol)
{
    assert_int_equal(p->verdict, VERDICT_PENDING);
    *cid = fake_expect(b, SLUICE_OPEN).header.cid;
    fake_accept_client(b, *cid, protocol);
    fake_expect(b, SLUICE_OPENED);
}

static struct paper *open_76(struct fake *b, uint64_t *cid)
{
    static const char head[] = HEAD_76 "Sec-" LOCATION "\r\n"
                                       "fQJ,fN/4F4!~K~MH";
    struct paper *p = paper_ask_old(KEYS_76);
    paper_behind(p, "Tm[K T2u", 8);
    accept_now(b, p, cid, NULL);
    paper_expect(p, head, sizeof head - 1);
    return p;
}

static struct paper *open_75(struct fake *b, uint64_t *cid)
{
    static const char head[] = HEAD_75 LOCATION "\r\n";
    struct paper *p = paper_ask_old("");
    accept_now(b, p, cid, NULL);
    paper_expect(p, head, sizeof head - 1);
    return p;
}

static void expect_text(struct fake *b, const char *text)
{
    struct sluice_frame f = fake_expect(b, SLUICE_TEXT);
    assert_str(sluice_payload(&f), text);
    assert_int_equal(f.header.flags, 0);
}

static void send_close(struct fake *b, uint64_t cid, unsigned code)
{
    struct sluice_close c = {.cid = cid, .code = (uint16_t)code};
    sluice_close_put(&b->out, &c);
    fake_send(b);
}

static void the_answer_of_76_to_the_letter(void **state)
{
    (void)state;
    static const char head[] =
        HEAD_76 "Sec-WebSocket-Origin: http://example.com\r\n"
                "Sec-" LOCATION "Sec-WebSocket-Protocol: sample\r\n\r\n"
                "8jKS'y:G*Co,Wxa-";
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p =
        paper_ask_old(ORIGIN "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\n"
                             "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00\n"
                             "Sec-WebSocket-Protocol: sample\n");
    /* Nobody is asked before the secret is here. */
    paper_behind(p, "^n:", 3);
    assert_true(fake_is_silent(b));
    paper_behind(p, "ds[4U", 5);
    accept_now(b, p, &cid, "sample");
    paper_expect(p, head, sizeof head - 1);
    paper_free(p);
}

static void the_answer_of_75_to_the_letter(void **state)
{
    (void)state;
    static const char head[] =
        HEAD_75 "WebSocket-Origin: http://example.com\r\n" LOCATION
                "WebSocket-Protocol: sample\r\n\r\n";
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_ask_old(ORIGIN "WebSocket-Protocol: sample\n");
    accept_now(b, p, &cid, "sample");
    paper_expect(p, head, sizeof head - 1);
    paper_free(p);
}

static void the_backend_learns_the_version(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool old;
        unsigned version, flags;
        const char *location, *origin;
    } rows[] = {
        {KEYS_76 ORIGIN, true, 76, 0, "ws://example.com/ws?x=1",
         "http://example.com"},
        {ORIGIN, true, 75, 0, "ws://example.com/ws?x=1", "http://example.com"},
        {"Sec-WebSocket-Version: 7\nSec-WebSocket-" ORIGIN, false, 7,
         SLUICE_OPEN_BINARY_OK, "", "http://example.com"},
        {"Sec-WebSocket-Version: 8\nSec-WebSocket-" ORIGIN, false, 8,
         SLUICE_OPEN_BINARY_OK, "", "http://example.com"},
        {"Sec-WebSocket-Version: 8\n" ORIGIN, false, 8, SLUICE_OPEN_BINARY_OK,
         "", "http://example.com"},
        {"Sec-WebSocket-Version: 13\nSec-WebSocket-" ORIGIN, false, 13,
         SLUICE_OPEN_BINARY_OK, "", ""},
    };
    struct fake *b = fake_of(0);
    world_start(1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct paper *p = rows[i].old ? paper_ask_old(rows[i].fields)
                                      : paper_ask(rows[i].fields);
        struct sluice_open o;
        if (p->r.raw_left)
            paper_behind(p, "12345678", 8);
        struct sluice_frame f = fake_expect(b, SLUICE_OPEN);
        assert_int_equal(sluice_open_get(&o, &f), 0);
        assert_int_equal(o.ws_version, rows[i].version);
        assert_int_equal(o.flags, rows[i].flags);
        assert_str(sluice_tlv_find(o.tlvs, SLUICE_TAG_LOCATION),
                   rows[i].location);
        assert_str(sluice_tlv_find(o.tlvs, SLUICE_TAG_ORIGIN), rows[i].origin);
        paper_free(p);
        fake_expect(b, SLUICE_CLOSED);
    }
}

static void origins_are_checked_in_every_version(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool old;
        int verdict;
    } rows[] = {
        {KEYS_76 "Origin: http://evil.example\n", true, 403},
        {"Origin: http://evil.example\n", true, 403},
        {"Sec-WebSocket-Version: 8\n"
         "Sec-WebSocket-Origin: http://evil.example\n",
         false, 403},
        {"Sec-WebSocket-Version: 8\nOrigin: http://evil.example\n", false, 403},
        {"Sec-WebSocket-Version: 8\nSec-WebSocket-" ORIGIN
         "Sec-WebSocket-" ORIGIN,
         false, 403},
        {"Sec-WebSocket-Version: 8\nOrigin: http://evil.example\n"
         "Sec-WebSocket-" ORIGIN,
         false, VERDICT_PENDING},
        {"Sec-WebSocket-Version: 8\n" ORIGIN
         "Sec-WebSocket-Origin: http://evil.example\n",
         false, 403},
        {"Sec-WebSocket-Version: 8\nSec-WebSocket-" ORIGIN, false,
         VERDICT_PENDING},
        /* What is not theirs means nothing. */
        {"Sec-WebSocket-Origin: http://evil.example\n", false, VERDICT_PENDING},
    };
    world_start(1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct paper *p = rows[i].old ? paper_ask_old(rows[i].fields)
                                      : paper_ask(rows[i].fields);
        if (p->verdict != rows[i].verdict)
            fail_msg("%s: %d", rows[i].fields, p->verdict);
        paper_free(p);
    }
}

static void only_what_is_offered(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool old;
        int verdict;
    } rows[] = {
        {KEYS_76, true, 426},
        {"", true, 400},
        {"Sec-WebSocket-Version: 7\n", false, 426},
    };
    world.conf.versions =
        ws_framing_bit(&ws_framing_13) | ws_framing_bit(&ws_framing_8);
    world_start(1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct paper *p = rows[i].old ? paper_ask_old(rows[i].fields)
                                      : paper_ask(rows[i].fields);
        p->r.keep_alive = true;
        assert_int_equal(p->verdict, rows[i].verdict);
        assert_non_null(
            strstr((char *)p->fields.p, "Sec-WebSocket-Version=13, 8;"));
        paper_free(p);
    }
}

static void text_goes_both_ways_in_76_and_75(void **state)
{
    (void)state;
    struct paper *(*const open[])(struct fake *, uint64_t *) = {open_76,
                                                                open_75};
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    for (size_t i = 0; i < COUNT(open); i++) {
        struct paper *p = open[i](b, &cid);
        paper_send(p, "\0hello\377\200\2xx\0\377", 13);
        expect_text(b, "hello");
        expect_text(b, "");
        fake_put_data(b, SLUICE_TEXT, 0, cid, "yo", 2);
        fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "a", 1);
        /* What these versions do not have is not written. */
        struct sluice_ping ping = {
            .type = SLUICE_PING, .cid = cid, .data = STR("p")};
        sluice_ping_put(&b->out, &ping);
        fake_put_data(b, SLUICE_CONT, SLUICE_FLAG_MORE, cid, "b", 1);
        fake_put_data(b, SLUICE_CONT, 0, cid, "", 0);
        fake_send(b);
        paper_expect(p, "\0yo\377\0ab\377", 8);
        char big[5000];
        memset(big, 'x', sizeof big);
        fake_put_data(b, SLUICE_TEXT, 0, cid, big, sizeof big);
        fake_send(b);
        paper_expect(p, "\0", 1);
        paper_expect(p, big, sizeof big);
        paper_expect(p, "\377", 1);
        paper_free(p);
        fake_expect(b, SLUICE_CLOSED);
    }
}

/* Nothing announces how long a text of these versions is. */
static void long_text_of_76_is_streamed(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = open_76(b, &cid);
    struct buf tlvs = {0};
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_EVENT_MASK, SLUICE_EVENT_FRAGMENTS);
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_STREAM_THRESHOLD, 6);
    struct sluice_set_opts o = {.cid = cid, .tlvs = buf_str(&tlvs)};
    sluice_set_opts_put(&b->out, &o);
    buf_fini(&tlvs);
    fake_send(b);
    assert_true(fake_is_silent(b));
    paper_send(p, "\0abcde", 6);
    assert_true(fake_is_silent(b));
    paper_send(p, "\377\0abc", 5);
    expect_text(b, "abcde");
    assert_true(fake_is_silent(b));
    paper_send(p, "def", 3);
    struct sluice_frame f = fake_expect(b, SLUICE_TEXT);
    assert_str(sluice_payload(&f), "abcdef");
    assert_int_equal(f.header.flags, SLUICE_FLAG_MORE);
    paper_send(p, "g\377", 2);
    f = fake_expect(b, SLUICE_CONT);
    assert_str(sluice_payload(&f), "g");
    assert_int_equal(f.header.flags, 0);
    paper_free(p);
}

static void the_client_of_76_closes(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = open_76(b, &cid);
    paper_send(p, "\0bye\377\377\0", 7);
    paper_expect(p, "\377\0", 2);
    paper_expect_end(p);
    expect_text(b, "bye");
    struct sluice_closed c =
        fake_expect_closed(b, SLUICE_CAUSE_CLIENT_CLOSE, 1005);
    assert_int_equal(c.flags, SLUICE_CLOSED_CLEAN);
    paper_free(p);
}

static void the_backend_closes_76(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = open_76(b, &cid);
    send_close(b, cid, 1000);
    paper_expect(p, "\377\0", 2);
    paper_send(p, "\0late\377\377\0", 8);
    paper_expect_end(p);
    expect_text(b, "late");
    struct sluice_closed c =
        fake_expect_closed(b, SLUICE_CAUSE_BACKEND_CLOSE, 1005);
    assert_int_equal(c.flags, SLUICE_CLOSED_CLEAN | SLUICE_CLOSED_BY_BACKEND);
    paper_free(p);
}

static void the_end_of_the_connection_closes_75(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = open_75(b, &cid);
    paper_send(p, "\0bye\377", 5);
    shutdown(p->fd, SHUT_WR);
    expect_text(b, "bye");
    struct sluice_closed c =
        fake_expect_closed(b, SLUICE_CAUSE_CLIENT_CLOSE, 1005);
    assert_int_equal(c.flags, SLUICE_CLOSED_CLEAN);
    paper_free(p);

    /* Not inside a message. */
    p = open_75(b, &cid);
    paper_send(p, "\0by", 3);
    shutdown(p->fd, SHUT_WR);
    c = fake_expect_closed(b, SLUICE_CAUSE_EOF, 1006);
    assert_int_equal(c.flags, 0);
    paper_free(p);
}

static void the_backend_closes_75(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = open_75(b, &cid);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "last", 4);
    send_close(b, cid, 1000);
    paper_expect(p, "\0last\377", 6);
    struct sluice_closed c =
        fake_expect_closed(b, SLUICE_CAUSE_BACKEND_CLOSE, 1005);
    assert_int_equal(c.flags, SLUICE_CLOSED_CLEAN | SLUICE_CLOSED_BY_BACKEND);
    assert_int_equal(c.messages_out, 1);
    paper_expect_end(p);
    paper_free(p);
}

static void what_is_too_big_is_closed_without_a_code(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.limits.max_message = 5;
    world_start(1);
    struct paper *p = open_76(b, &cid);
    paper_send(p, "\0abcdef", 7);
    paper_expect(p, "\377\0", 2);
    fake_expect_closed(b, SLUICE_CAUSE_TOO_BIG, 1009);
    paper_expect_end(p);
    paper_free(p);
    p = open_75(b, &cid);
    paper_send(p, "\0\303(\377", 4);
    fake_expect_closed(b, SLUICE_CAUSE_BAD_UTF8, 1007);
    assert_false(paper_want(p, 1));
    paper_free(p);
}

/* The backend is told, and gets its credit back. */
static void binary_cannot_be_carried(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct sluice_error_frame e;
    char data[40000] = "";
    world_start(1);
    struct paper *p = open_76(b, &cid);
    for (int i = 0; i < 4; i++) {
        fake_put_data(b, SLUICE_BINARY, SLUICE_FLAG_MORE, cid, data,
                      sizeof data);
        fake_put_data(b, SLUICE_CONT, 0, cid, "x", 1);
        fake_send(b);
        bool told = false, acked = false;
        while (!told || !acked) {
            struct sluice_frame f;
            assert_true(fake_next(b, &f));
            if (f.header.type == SLUICE_ACK) {
                acked = true;
                continue;
            }
            assert_int_equal(f.header.type, SLUICE_ERROR);
            sluice_error_get(&e, &f);
            assert_int_equal(e.cid, cid);
            assert_int_equal(e.code, SLUICE_ERROR_UNSUPPORTED);
            assert_int_equal(e.severity, SLUICE_SEVERITY_INFO);
            assert_int_equal(e.offending_type, SLUICE_BINARY);
            assert_false(told);
            told = true;
        }
    }
    fake_put_data(b, SLUICE_TEXT, 0, cid, "ok", 2);
    fake_send(b);
    paper_expect(p, "\0ok\377", 4);
    paper_free(p);
}

static void group_messages_are_written_for_each_version(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *old = open_76(b, &cid);
    struct paper *oldest = open_75(b, &cid);
    struct paper *today = paper_open(b, &cid);
    static char big[3000];
    memset(big, 'y', sizeof big);
    static const struct {
        unsigned opcode;
        size_t n;
        unsigned queued, skipped;
    } rows[] = {
        {WS_TEXT, 5, 3, 0}, {WS_BINARY, 5, 1, 2}, {WS_TEXT, sizeof big, 3, 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sluice_broadcast m = {.opcode = (uint8_t)rows[i].opcode,
                                     .data = str_n(big, rows[i].n),
                                     .notify = true};
        struct sluice_delivered d;
        assert_true(sluice_broadcast_put(&b->out, &m));
        fake_send(b);
        struct sluice_frame f = fake_expect(b, SLUICE_DELIVERED);
        assert_int_equal(sluice_delivered_get(&d, &f), 0);
        assert_int_equal(d.matched, 3);
        assert_int_equal(d.queued, rows[i].queued);
        assert_int_equal(d.skipped, rows[i].skipped);
    }
    paper_expect(today, "\x81\5yyyyy\x82\5yyyyy\x81\x7e\x0b\xb8", 18);
    paper_expect(today, big, sizeof big);
    struct paper *both[] = {old, oldest};
    for (int i = 0; i < 2; i++) {
        paper_expect(both[i], "\0yyyyy\377\0", 8);
        paper_expect(both[i], big, sizeof big);
        paper_expect(both[i], "\377", 1);
    }
    paper_free(old);
    paper_free(oldest);
    paper_free(today);
}

/* They could not answer. */
static void nobody_is_pinged_who_knows_no_pings(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.ping_ms = 20;
    world.conf.ping_timeout_ms = 20;
    world_start(1);
    struct paper *p = open_76(b, &cid);
    for (int i = 0; i < 100; i++)
        world_turn();
    paper_send(p, "\0alive\377", 7);
    expect_text(b, "alive");
    fake_put_data(b, SLUICE_TEXT, 0, cid, "yes", 3);
    fake_send(b);
    paper_expect(p, "\0yes\377", 5);
    paper_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_answer_of_76_to_the_letter),
        WORLD_TEST(the_answer_of_75_to_the_letter),
        WORLD_TEST(the_backend_learns_the_version),
        WORLD_TEST(origins_are_checked_in_every_version),
        WORLD_TEST(only_what_is_offered),
        WORLD_TEST(text_goes_both_ways_in_76_and_75),
        WORLD_TEST(long_text_of_76_is_streamed),
        WORLD_TEST(the_client_of_76_closes),
        WORLD_TEST(the_backend_closes_76),
        WORLD_TEST(the_end_of_the_connection_closes_75),
        WORLD_TEST(the_backend_closes_75),
        WORLD_TEST(what_is_too_big_is_closed_without_a_code),
        WORLD_TEST(binary_cannot_be_carried),
        WORLD_TEST(group_messages_are_written_for_each_version),
        WORLD_TEST(nobody_is_pinged_who_knows_no_pings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/http/play.h"

struct row {
    const char *why;
    const char *input;
    const char *expected;
};

static void play(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        transcript_play(&transcript_limits, true, rows[i].why,
                        str_c(rows[i].input), rows[i].expected);
}

#define OK "HTTP/1.1 200 OK\r\n"
#define EMPTY OK "Content-Length: 0\r\n\r\n"
#define EMPTY_SEEN "200 OK HTTP/1.1 length=0 keep {Content-Length: 0}\nEND\n"

static void reads_responses(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"length", OK "Content-Length: 5\r\n\r\nhello",
         "200 OK HTTP/1.1 length=5 keep {Content-Length: 5}\nBODY(hello)\n"
         "END\nFINISH 0\n"},
        {"chunked with trailers",
         OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
         "200 OK HTTP/1.1 chunked keep {Transfer-Encoding: chunked}\n"
         "BODY(hello)\nTRAILERS {X: y}\nEND\nFINISH 0\n"},
        {"to the end", OK "\r\nhello",
         "200 OK HTTP/1.1 eof close {}\nBODY(hello)\nFINISH END\n"},
        {"to an end at once", "HTTP/1.0 200 OK\r\n\r\n",
         "200 OK HTTP/1.0 eof close {}\nFINISH END\n"},
        {"HTTP/1.0 kept alive",
         "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
         "Content-Length: 0\r\n\r\n",
         "200 OK HTTP/1.0 length=0 keep {Connection: keep-alive; "
         "Content-Length: 0}\nEND\nFINISH 0\n"},
        {"an empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
         "200  HTTP/1.1 length=0 keep {Content-Length: 0}\nEND\nFINISH 0\n"},
        {"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
         "200  HTTP/1.1 length=0 keep {Content-Length: 0}\nEND\nFINISH 0\n"},
        {"an 8-bit reason of many words",
         "HTTP/1.1 999 Tr\xe8s  bien\r\nContent-Length: 0\r\n\r\n",
         "999 Tr\xe8s  bien HTTP/1.1 length=0 keep {Content-Length: 0}\nEND\n"
         "FINISH 0\n"},
        {"204", "HTTP/1.1 204 No Content\r\n\r\n" EMPTY,
         "204 No Content HTTP/1.1 none keep {}\nEND\n" EMPTY_SEEN "FINISH 0\n"},
        {"304 with a length",
         "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n" EMPTY,
         "304 Not Modified HTTP/1.1 none keep {Content-Length: "
         "5}\nEND\n" EMPTY_SEEN "FINISH 0\n"},
        {"204 that frames a body is the last",
         "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
         "204 No Content HTTP/1.1 none close {Content-Length: 5}\nEND\n"
         "FINISH 0\n"},
        {"1xx, then the response",
         "HTTP/1.1 100 Continue\r\n\r\n"
         "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" EMPTY,
         "100 Continue HTTP/1.1 none keep {}\n"
         "103 Early Hints HTTP/1.1 none keep {Link: x}\n" EMPTY_SEEN
         "FINISH 0\n"},
        {"1xx alone is cut off", "HTTP/1.1 100 Continue\r\n\r\n",
         "100 Continue HTTP/1.1 none keep {}\nFINISH -502\n"},
        {"upgrade offered in a 200",
         OK "Connection: upgrade\r\nUpgrade: h2c\r\n"
            "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
         "200 OK HTTP/1.1 chunked keep upgrade {Connection: upgrade; Upgrade: "
         "h2c; Transfer-Encoding: chunked}\nBODY(x)\nEND\nFINISH 0\n"},
        {"names that requests may not have", OK "X_Y.Z: 1\r\n\r\n",
         "200 OK HTTP/1.1 eof close {X_Y.Z: 1}\nFINISH END\n"},
        {"nothing at all", "", "FINISH 0\n"},
        {"cut off in the head", "HTTP/1.1 2", "FINISH -502\n"},
        {"cut off in the length", OK "Content-Length: 5\r\n\r\nhell",
         "200 OK HTTP/1.1 length=5 keep {Content-Length: 5}\nBODY(hell)\n"
         "FINISH -502\n"},
        {"cut off between chunks",
         OK "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
         "200 OK HTTP/1.1 chunked keep {Transfer-Encoding: chunked}\n"
         "BODY(x)\nFINISH -502\n"},
    };
    play(rows, COUNT(rows));
}

static void refuses_malformed_responses(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *input;
    } bad[] = {
        {"empty line in front", "\r\n" EMPTY},
        {"two digits", "HTTP/1.1 20 OK\r\n\r\n"},
        {"four digits", "HTTP/1.1 2000 OK\r\n\r\n"},
        {"000", "HTTP/1.1 000 OK\r\n\r\n"},
        {"099", "HTTP/1.1 099 OK\r\n\r\n"},
        {"letters", "HTTP/1.1 2x0 OK\r\n\r\n"},
        {"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n"},
        {"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n"},
        {"HTTP/0.9", "HTTP/0.9 200 OK\r\n\r\n"},
        {"another protocol", "ICY 200 OK\r\n\r\n"},
        {"two spaces", "HTTP/1.1  200 OK\r\n\r\n"},
        {"a tab", "HTTP/1.1\t200 OK\r\n\r\n"},
        {"a control in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n"},
        {"DEL in the reason", "HTTP/1.1 200 O\x7fK\r\n\r\n"},
        {"bare LF behind the reason", "HTTP/1.1 200 OK\n\r\n"},
        {"bare LF behind the status", "HTTP/1.1 200\n\r\n"},
        {"bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n"},
        {"bare LF at the end", OK "\n"},
        {"a fold", OK "X: y\r\n z\r\n\r\n"},
        {"a space before the colon", OK "X : y\r\n\r\n"},
        {"a control in a value", OK "X: \x02\r\n\r\n"},
        {"two lengths", OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
        {"a list of lengths", OK "Content-Length: 1, 1\r\n\r\n"},
        {"2^63", OK "Content-Length: 9223372036854775808\r\n\r\n"},
        {"length and coding",
         OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"an unknown coding", OK "Transfer-Encoding: gzip\r\n\r\n"},
        {"identity", OK "Transfer-Encoding: identity\r\n\r\n"},
        {"chunked twice", OK "Transfer-Encoding: chunked, chunked\r\n\r\n"},
        {"two codings", OK "Transfer-Encoding: chunked\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n"},
        {"a coding in HTTP/1.0",
         "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {"a malformed length where no body is",
         "HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n"},
        {"a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        transcript_play(&transcript_limits, true, bad[i].why,
                        str_c(bad[i].input), "ERROR -502\nFINISH -502\n");
}

static void holds_to_its_limits_with_502(void **state)
{
    (void)state;
    static const struct http_limits tight = {
        .line_max = 20, .field_max = 12, .head_max = 50, .fields_max = 2};
    static const char *const over[] = {
        "HTTP/1.1 200 A longer reason\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: 23456789\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\nA: b\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT(over); i++)
        transcript_play(&tight, true, over[i], str_c(over[i]),
                        "ERROR -502\nFINISH -502\n");
}

static int next(struct http_reader *r, struct span *in, struct http_event *ev)
{
    return http_reader_next(r, in, ev);
}

static void leaves_what_follows_a_101_alone(void **state)
{
    (void)state;
    struct http_limits limits = transcript_limits;
    struct http_reader *r = http_response_reader_create(&limits);
    struct http_event ev;
    uint8_t bytes[] = "HTTP/1.1 101 Switching Protocols\r\n"
                      "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                      "Content-Length: 2\r\n\r\n\x81\x01x";
    struct span in = {bytes, sizeof bytes - 1};

    assert_int_equal(next(r, &in, &ev), 1);
    assert_int_equal(ev.head->status, 101);
    assert_int_equal(ev.head->body, BODY_NONE);
    assert_true(ev.head->upgrade);
    assert_int_equal(next(r, &in, &ev), 1);
    assert_int_equal(ev.type, HTTP_EVENT_END);
    assert_int_equal(in.n, 3);
    assert_int_equal(in.p[0], 0x81);
    http_reader_destroy(r);
}

static void expects_no_body_after_head_once(void **state)
{
    (void)state;
    struct http_limits limits = transcript_limits;
    struct http_reader *r = http_response_reader_create(&limits);
    struct http_event ev;
    uint8_t bytes[] =
        "HTTP/1.1 103 Early Hints\r\n\r\n" OK "Content-Length: 5\r\n\r\n" OK
        "Transfer-Encoding: chunked\r\n\r\n" EMPTY;
    struct span in = {bytes, sizeof bytes - 1};

    http_reader_expect_no_body(r);
    assert_int_equal(next(r, &in, &ev), 1);
    assert_int_equal(ev.head->status, 103);
    assert_false(http_reader_is_idle(r));
    assert_int_equal(next(r, &in, &ev), 1);
    assert_int_equal(ev.head->body, BODY_NONE);
    assert_true(ev.head->keep_alive);
    assert_int_equal(next(r, &in, &ev), 1);
    assert_int_equal(ev.type, HTTP_EVENT_END);
    assert_int_equal(next(r, &in, &ev), 1);
    assert_int_equal(ev.head->body, BODY_CHUNKED);
    http_reader_destroy(r);
}

static void bounds_the_number_of_1xx(void **state)
{
    (void)state;
    struct buf input = {0};
    struct transcript t = {.limits = transcript_limits, .response = true};
    for (int i = 0; i < 101; i++)
        buf_put_str(&input, STR("HTTP/1.1 102 Processing\r\n\r\n"));
    transcript_begin(&t);
    struct span in = {input.p, input.n};
    assert_int_equal(transcript_feed(&t, &in), -502);
    assert_int_equal(in.n, 0);
    assert_string_equal(http_reader_error(t.r), "too many 1xx responses");
    transcript_end(&t);
    buf_fini(&t.out);
    buf_fini(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_responses),
        TEST(refuses_malformed_responses),
        TEST(holds_to_its_limits_with_502),
        TEST(leaves_what_follows_a_101_alone),
        TEST(expects_no_body_after_head_once),
        TEST(bounds_the_number_of_1xx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

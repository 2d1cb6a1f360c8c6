/* SPDX-License-Identifier: BSD-2-Clause */
#include "transcript.h"

#include "support/feed.h"

struct row {
    const char *why;
    struct piece in[FRAMES_MAX];
    const char *expected;
};

static const struct ws_limits wide = {
    .max_message = 1 << 20,
    .max_frame = 1 << 20,
    .max_fragments = 1 << 17,
};

static void run_one(struct transcript *t, const struct row *row)
{
    struct buf in = {0};
    put_pieces(&in, row->in);
    t->why = row->why;
    t->expected = row->expected;
    const struct feed f = {t, transcript_begin, transcript_feed,
                           transcript_end};
    feed_every_split(&f, in.p, in.n);
    buf_fini(&in);
    buf_fini(&t->out);
    buf_fini(&t->message);
}

static void run(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct transcript t = {.limits = wide};
        run_one(&t, &rows[i]);
    }
}

#define LETTERS_25 "abcdefghijklmnopqrstuvwxy"
#define LETTERS_125 LETTERS_25 LETTERS_25 LETTERS_25 LETTERS_25 LETTERS_25
#define LETTERS_500 LETTERS_125 LETTERS_125 LETTERS_125 LETTERS_125

static void reads_messages_and_their_fragments(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"5.7: Hello, masked",
         {F(RAW, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58")},
         "text(Hello)"},
        {"5.7: Hello in two fragments",
         {F(0x01, "Hel"), F(0x80, "lo")},
         "text(Hello)"},
        {"5.7: 500 bytes of binary",
         {F(0x82, LETTERS_500)},
         "binary(500 bytes)"},
        {"5.6: text of no bytes", {F(0x81, "")}, "text()"},
        {"5.6: binary is any bytes",
         {F(0x82, "\xff\x00\x80")},
         "binary(\\xff\\x00\\x80)"},
        {"5.4: three fragments",
         {F(0x02, "a"), F(0x00, "b"), F(0x80, "c")},
         "binary(abc)"},
        {"5.4: all fragments empty",
         {F(0x01, ""), F(0x00, ""), F(0x80, "")},
         "text()"},
        {"5.4: empty fragments around one",
         {F(0x01, ""), F(0x00, "x"), F(0x00, ""), F(0x80, "")},
         "text(x)"},
        {"5.4: one message after another",
         {F(0x81, "a"), F(0x01, "b"), F(0x80, "c"), F(0x82, "d")},
         "text(a) text(bc) binary(d)"},
        {"5.3: a key of zeros", {F(RAW, "\x81\x82\0\0\0\0hi")}, "text(hi)"},
        {"125 bytes, the longest short length",
         {F(0x82, LETTERS_125)},
         "binary(125 bytes)"},
        {"126 bytes, the shortest 16-bit length",
         {F(0x82, LETTERS_125 "z")},
         "binary(126 bytes)"},
        {"a message that does not end",
         {F(0x81, "a"), F(0x01, "b"), F(0x00, "c")},
         "text(a)"},
        {"a frame that does not end",
         {F(0x81, "a"), F(RAW, "\x82\x85\x37\xfa\x21\x3d\x7f\x9f")},
         "text(a)"},
    };
    run(rows, COUNT(rows));
}

static void gives_control_frames_between_fragments(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"5.5.2: an empty ping", {F(0x89, "")}, "ping()"},
        {"5.5.2: a ping of 125 bytes",
         {F(0x89, LETTERS_125)},
         "ping(125 bytes)"},
        {"5.5.3: a pong nobody asked for", {F(0x8a, "x")}, "pong(x)"},
        {"5.5.2: a ping need not be UTF-8",
         {F(0x89, "\xff\xfe")},
         "ping(\\xff\\xfe)"},
        {"5.4: a ping inside a message",
         {F(0x01, "a"), F(0x89, "p"), F(0x80, "b")},
         "ping(p) text(ab)"},
        {"5.4: a ping inside a character",
         {F(0x01, "\xe2\x82"), F(0x89, "p"), F(0x8a, "q"), F(0x80, "\xac")},
         "ping(p) pong(q) text(\\xe2\\x82\\xac)"},
        {"5.4: a close inside a message",
         {F(0x01, "a"), F(0x88, ""), F(0x80, "b")},
         "close-1005()"},
        {"a control frame that does not end",
         {F(0x81, "a"), F(RAW, "\x89\x83\x37\xfa\x21\x3d\x7f\x9f")},
         "text(a)"},
    };
    run(rows, COUNT(rows));
}

static void refuses_broken_framing_with_1002(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"5.1: a frame without a mask",
         {F(UNMASKED, "\x81"
                      "a")},
         "-1002"},
        {"5.1: an empty frame without a mask", {F(RAW, "\x81\x00")}, "-1002"},
        {"5.1: a ping without a mask",
         {F(UNMASKED, "\x89"
                      "a")},
         "-1002"},
        {"5.1: a close without a mask", {F(UNMASKED, "\x88")}, "-1002"},
        {"5.1: a second fragment without a mask",
         {F(0x01, "a"), F(UNMASKED, "\x80"
                                    "b")},
         "-1002"},
        {"5.2: RSV1", {F(0xc1, "a")}, "-1002"},
        {"5.2: RSV2", {F(0xa1, "a")}, "-1002"},
        {"5.2: RSV3", {F(0x91, "a")}, "-1002"},
        {"5.2: all three", {F(0xf2, "a")}, "-1002"},
        {"5.2: RSV1 on a ping", {F(0xc9, "")}, "-1002"},
        {"5.2: RSV2 on a close", {F(0xa8, "")}, "-1002"},
        {"5.2: RSV3 on a continuation", {F(0x01, "a"), F(0x90, "b")}, "-1002"},
        {"5.2: opcode 3", {F(0x83, "a")}, "-1002"},
        {"5.2: opcode 4", {F(0x84, "a")}, "-1002"},
        {"5.2: opcode 5", {F(0x85, "a")}, "-1002"},
        {"5.2: opcode 6", {F(0x86, "a")}, "-1002"},
        {"5.2: opcode 7", {F(0x87, "a")}, "-1002"},
        {"5.2: opcode 11", {F(0x8b, "")}, "-1002"},
        {"5.2: opcode 12", {F(0x8c, "")}, "-1002"},
        {"5.2: opcode 13", {F(0x8d, "")}, "-1002"},
        {"5.2: opcode 14", {F(0x8e, "")}, "-1002"},
        {"5.2: opcode 15", {F(0x8f, "")}, "-1002"},
        {"5.2: 125 written in 16 bits",
         {F(RAW, "\x82\xfe\x00\x7d\0\0\0\0")},
         "-1002"},
        {"5.2: 65535 written in 64 bits",
         {F(RAW, "\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0")},
         "-1002"},
        {"5.2: a length with the top bit",
         {F(RAW, "\x82\xff\x80\0\0\0\0\0\0\x01\0\0\0\0")},
         "-1002"},
        {"5.4: a continuation of nothing", {F(0x80, "a")}, "-1002"},
        {"5.4: a fragment of nothing", {F(0x00, "a")}, "-1002"},
        {"5.4: a continuation after the end",
         {F(0x01, "a"), F(0x80, "b"), F(0x80, "c")},
         "text(ab) -1002"},
        {"5.4: a text inside a text", {F(0x01, "a"), F(0x81, "b")}, "-1002"},
        {"5.4: a binary inside a text", {F(0x01, "a"), F(0x82, "b")}, "-1002"},
        {"5.4: a fragment inside a binary",
         {F(0x02, "a"), F(0x02, "b")},
         "-1002"},
        {"5.4: a text inside an empty text",
         {F(0x01, ""), F(0x81, "b")},
         "-1002"},
        {"5.5: a ping of 126 bytes", {F(0x89, LETTERS_125 "z")}, "-1002"},
        {"5.5: a pong of 126 bytes", {F(0x8a, LETTERS_125 "z")}, "-1002"},
        {"5.5: a close of 126 bytes",
         {F(0x88, "\x03\xe8" LETTERS_125)},
         "-1002"},
        {"5.5: a fragmented ping", {F(0x09, "a"), F(0x80, "b")}, "-1002"},
        {"5.5: a fragmented close", {F(0x08, "\x03\xe8")}, "-1002"},
        {"what came before is given",
         {F(0x81, "a"), F(0x89, "b"), F(0x83, "")},
         "text(a) ping(b) -1002"},
    };
    run(rows, COUNT(rows));
}

static void reads_a_close_and_nothing_after_it(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"5.5.1: no code", {F(0x88, "")}, "close-1005()"},
        {"5.5.1: a code", {F(0x88, "\x03\xe8")}, "close-1000()"},
        {"5.5.1: code and reason",
         {F(0x88, "\x03\xe9"
                  "away")},
         "close-1001(away)"},
        {"5.5.1: the longest reason",
         {F(0x88, "\x0b\xb8" LETTERS_25 LETTERS_25 LETTERS_25 LETTERS_25
                  "abcdefghijklmnopqrstuvw")},
         "close-3000(123 bytes)"},
        {"5.5.1: a reason in UTF-8",
         {F(0x88, "\x0f\xa0"
                  "\xc3\xa9")},
         "close-4000(\\xc3\\xa9)"},
        {"5.5.1: half a code", {F(0x88, "\x03")}, "-1002"},
        {"7.4.1: 1003", {F(0x88, "\x03\xeb")}, "close-1003()"},
        {"7.4.1: 1004 is reserved", {F(0x88, "\x03\xec")}, "-1002"},
        {"7.4.1: 1005 is never sent", {F(0x88, "\x03\xed")}, "-1002"},
        {"7.4.1: 1006 is never sent", {F(0x88, "\x03\xee")}, "-1002"},
        {"7.4.1: 1007", {F(0x88, "\x03\xef")}, "close-1007()"},
        {"7.4.1: 1010 is a client's", {F(0x88, "\x03\xf2")}, "close-1010()"},
        {"7.4.1: 1011", {F(0x88, "\x03\xf3")}, "close-1011()"},
        {"IANA: 1014", {F(0x88, "\x03\xf6")}, "close-1014()"},
        {"7.4.1: 1015 is never sent", {F(0x88, "\x03\xf7")}, "-1002"},
        {"7.4.2: 0", {F(0x88, "\0\0")}, "-1002"},
        {"7.4.2: 999", {F(0x88, "\x03\xe7")}, "-1002"},
        {"7.4.2: 1016", {F(0x88, "\x03\xf8")}, "-1002"},
        {"7.4.2: 2999", {F(0x88, "\x0b\xb7")}, "-1002"},
        {"7.4.2: 4999", {F(0x88, "\x13\x87")}, "close-4999()"},
        {"7.4.2: 5000", {F(0x88, "\x13\x88")}, "-1002"},
        {"7.4.2: 65535", {F(0x88, "\xff\xff")}, "-1002"},
        {"5.5.1: a reason that is not UTF-8",
         {F(0x88, "\x03\xe8\xff")},
         "-1007"},
        {"5.5.1: a reason cut in a character",
         {F(0x88, "\x03\xe8\xe2\x82")},
         "-1007"},
        {"the code goes before the reason", {F(0x88, "\x03\xed\xff")}, "-1002"},
        {"5.5.1: messages after a close",
         {F(0x81, "a"), F(0x88, "\x03\xe8"), F(0x81, "b"), F(0x89, "")},
         "text(a) close-1000()"},
        {"5.5.1: a second close",
         {F(0x88, "\x03\xe8"), F(0x88, "\x03\xe9")},
         "close-1000()"},
        {"5.5.1: rubbish after a close",
         {F(0x88, ""), F(RAW, "\xff\xff\xff")},
         "close-1005()"},
    };
    run(rows, COUNT(rows));
}

static void checks_text_across_frames_and_chunks(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"8.1: two, three and four bytes",
         {F(0x81, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")},
         "text(\\xc3\\xa9\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80)"},
        {"8.1: a character cut by a fragment",
         {F(0x01, "\xf0"), F(0x00, "\x9f"), F(0x00, ""), F(0x80, "\x98\x80")},
         "text(\\xf0\\x9f\\x98\\x80)"},
        {"8.1: U+0000", {F(0x81, "\0")}, "text(\\x00)"},
        {"8.1: U+FFFF", {F(0x81, "\xef\xbf\xbf")}, "text(\\xef\\xbf\\xbf)"},
        {"8.1: U+10FFFF",
         {F(0x81, "\xf4\x8f\xbf\xbf")},
         "text(\\xf4\\x8f\\xbf\\xbf)"},
        {"8.1: a continuation byte alone", {F(0x81, "a\x80")}, "-1007"},
        {"8.1: FF", {F(0x81, "\xff")}, "-1007"},
        {"8.1: overlong, C0 80", {F(0x81, "\xc0\x80")}, "-1007"},
        {"8.1: overlong, E0 9F BF", {F(0x81, "\xe0\x9f\xbf")}, "-1007"},
        {"8.1: overlong, F0 8F BF BF", {F(0x81, "\xf0\x8f\xbf\xbf")}, "-1007"},
        {"8.1: a surrogate", {F(0x81, "\xed\xa0\x80")}, "-1007"},
        {"8.1: above U+10FFFF", {F(0x81, "\xf4\x90\x80\x80")}, "-1007"},
        {"8.1: bad behind much ASCII", {F(0x81, LETTERS_500 "\xfe")}, "-1007"},
        {"8.1: bad in the second fragment",
         {F(0x01, "\xce"), F(0x80, "a")},
         "-1007"},
        {"8.1: unfinished at the end", {F(0x81, "\xe2\x82")}, "-1007"},
        {"8.1: unfinished at an empty last fragment",
         {F(0x01, "\xe2\x82"), F(0x80, "")},
         "-1007"},
        {"8.1: the next message starts afresh",
         {F(0x81, "\xe2\x82\xac"), F(0x81, "a"), F(0x81, "\x82")},
         "text(\\xe2\\x82\\xac) text(a) -1007"},
        {"5.6: bad UTF-8 in continued binary",
         {F(0x02, "\xff"), F(0x80, "\xc0")},
         "binary(\\xff\\xc0)"},
    };
    run(rows, COUNT(rows));
}

static void keeps_to_its_limits(void **state)
{
    (void)state;
    static const struct {
        struct ws_limits limits;
        struct row row;
    } rows[] = {
        {{5, 5, 9}, {"as much as may be", {F(0x81, "12345")}, "text(12345)"}},
        {{5, 9, 9}, {"a message of one more", {F(0x81, "123456")}, "-1009"}},
        {{9, 5, 9}, {"a frame of one more", {F(0x82, "123456")}, "-1009"}},
        {{9, 5, 9},
         {"more than a frame in two",
          {F(0x01, "12345"), F(0x80, "6789")},
          "text(123456789)"}},
        {{5, 5, 9},
         {"a message of one more in two",
          {F(0x01, "123"), F(0x80, "456")},
          "-1009"}},
        {{5, 5, 9},
         {"each message is counted alone",
          {F(0x81, "12345"), F(0x81, "12345"), F(0x01, "12"), F(0x80, "3")},
          "text(12345) text(12345) text(123)"}},
        {{5, 5, 3},
         {"as many fragments as may be",
          {F(0x01, "1"), F(0x00, "2"), F(0x80, "3"), F(0x81, "4")},
          "text(123) text(4)"}},
        {{5, 5, 3},
         {"a fragment more",
          {F(0x01, "1"), F(0x00, "2"), F(0x00, "3"), F(0x80, "4")},
          "-1008"}},
        {{5, 5, 3},
         {"empty fragments count",
          {F(0x01, ""), F(0x00, ""), F(0x00, ""), F(0x00, "")},
          "-1008"}},
        {{5, 5, 1},
         {"control frames have a limit of their own",
          {F(0x89, "1234567"), F(0x88, "\x03\xe8reason")},
          "ping(1234567) close-1000(reason)"}},
        {{5, 5, 9},
         {"the longest length there is",
          {F(RAW, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0")},
          "-1009"}},
        {{UINT64_MAX, UINT64_MAX, 9},
         {"the longest length, where it may be",
          {F(RAW, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0abc")},
          ""}},
        {{0, 0, 9},
         {"nothing but empty messages",
          {F(0x81, ""), F(0x82, "1")},
          "text() -1009"}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct transcript t = {.limits = rows[i].limits};
        run_one(&t, &rows[i].row);
    }
}

/* Bytes of the input that are read before it is refused. */
static void fails_at_the_first_wrong_byte(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct piece in[FRAMES_MAX];
        int expected;
        size_t at;
    } rows[] = {
        {"reserved opcode", {F(0x83, "abc")}, -1002, 2},
        {"reserved bit, long length", {F(0xc1, LETTERS_500)}, -1002, 2},
        {"no mask, long length", {F(UNMASKED, "\x82" LETTERS_500)}, -1002, 2},
        {"continuation of nothing", {F(0x80, LETTERS_500)}, -1002, 2},
        {"a text inside a text", {F(0x01, "a"), F(0x81, "abc")}, -1002, 9},
        {"long ping", {F(0x89, LETTERS_500)}, -1002, 2},
        {"close of half a code", {F(0x88, "a")}, -1002, 2},
        {"length with the top bit", {F(RAW, "\x82\xff\x80\0\0\0")}, -1002, 3},
        {"frame too big, on its header", {F(0x82, LETTERS_500)}, -1009, 8},
        {"message too big, on its header",
         {F(0x02, LETTERS_125), F(0x80, LETTERS_125)},
         -1009,
         6 + 125 + 6},
        {"bad byte of a text",
         {F(0x81, "ab\x80"
                  "cd")},
         -1007,
         6 + 3},
        {"overlong, at its second byte",
         {F(0x81, "\xe0\x9f\x80")},
         -1007,
         6 + 2},
        {"surrogate, at its second byte",
         {F(0x81, "\xed\xa0\x80")},
         -1007,
         6 + 2},
        {"too high, at its second byte",
         {F(0x81, "\xf4\x90\x80\x80")},
         -1007,
         6 + 2},
        {"unfinished, at the end of the message",
         {F(0x01, "\xe2"), F(0x80, "")},
         -1007,
         6 + 1 + 6},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ws_limits limits = {200, 300, 9};
        struct ws_reader r;
        struct ws_event ev;
        struct buf in = {0};
        put_pieces(&in, rows[i].in);
        ws_reader_init(&r, &limits);
        struct span window = {in.p, 0};
        size_t shown = 0;
        int got = 0;
        while (got == 0 && shown < in.n) {
            shown++;
            window.n = (size_t)(in.p + shown - window.p);
            while ((got = ws_reader_next(&r, &window, &ev)) == 1)
                ;
        }
        buf_fini(&in);
        if (got != rows[i].expected || shown != rows[i].at)
            fail_msg("%s: %d after %zu bytes", rows[i].why, got, shown);
    }
}

static void leaves_reserved_bits_to_an_extension(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"RSV1 on a message",
         {F(0xc1, "a"), F(0x81, "b")},
         "text/4(a) text(b)"},
        {"RSV1 on the first fragment alone",
         {F(0x41, "a"), F(0x89, "p"), F(0x80, "b")},
         "ping(p) text/4(ab)"},
        {"what is not yet text need not be UTF-8",
         {F(0xc1, "\xff")},
         "text/4(\\xff)"},
        {"RSV1 on a continuation", {F(0x41, "a"), F(0xc0, "b")}, "-1002"},
        {"RSV1 on a ping", {F(0xc9, "a")}, "-1002"},
        {"RSV2 is nobody's", {F(0xa1, "a")}, "-1002"},
        {"RSV1 and RSV2", {F(0xe1, "a")}, "-1002"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct transcript t = {.limits = wide, .extension_rsv = WS_RSV1};
        run_one(&t, &rows[i]);
    }
}

static void reads_a_server_when_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"5.7: an unmasked Hello", {F(RAW, "\x81\x05Hello")}, "text(Hello)"},
        {"unmasked fragments and a ping",
         {F(UNMASKED, "\x01"
                      "a"),
          F(UNMASKED, "\x89"
                      "p"),
          F(UNMASKED, "\x80"
                      "b")},
         "ping(p) text(ab)"},
        {"an unmasked close",
         {F(UNMASKED, "\x88\x03\xe8"
                      "x")},
         "close-1000(x)"},
        {"5.1: a server that masks", {F(0x81, "a")}, "-1002"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct transcript t = {.limits = wide, .client = true};
        run_one(&t, &rows[i]);
    }
}

/* Limits may shrink while a message is under way, as a reload does it. */
static void limits_may_change_inside_a_message(void **state)
{
    (void)state;
    struct ws_limits limits = wide;
    struct ws_reader r;
    struct ws_event ev;
    struct buf in = {0};
    ws_reader_init(&r, &limits);
    put_piece(&in, &(struct piece)F(0x01, "12345678"));
    struct span window = {in.p, in.n};
    assert_int_equal(ws_reader_next(&r, &window, &ev), 1);
    assert_int_equal(ev.data.n, 8);

    limits.max_message = 5;
    put_piece(&in, &(struct piece)F(0x80, ""));
    window = (struct span){in.p + in.n - 6, 6};
    assert_int_equal(ws_reader_next(&r, &window, &ev), -1009);
    buf_fini(&in);
}

static void gives_a_long_message_as_it_arrives(void **state)
{
    (void)state;
    struct ws_reader r;
    struct ws_event ev;
    struct buf in = {0};
    put_piece(&in, &(struct piece)F(0x82, LETTERS_500));
    ws_reader_init(&r, &wide);
    struct span window = {in.p, 8 + 3};
    assert_int_equal(ws_reader_next(&r, &window, &ev), 1);
    assert_true(ev.first && !ev.last && ev.data.n == 3);
    assert_memory_equal(ev.data.p, "abc", 3);
    assert_int_equal(ws_reader_next(&r, &window, &ev), 0);
    window = (struct span){in.p + 11, in.n - 11};
    assert_int_equal(ws_reader_next(&r, &window, &ev), 1);
    assert_true(!ev.first && ev.last && ev.data.n == 497);
    assert_memory_equal(ev.data.p, "defg", 4);
    buf_fini(&in);
}

static void reads_again_what_was_not_used(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 125; n++) {
        struct ws_reader r;
        struct ws_event ev;
        struct buf in = {0};
        put_piece(&in, &(struct piece)F(0xc1, LETTERS_125));
        put_piece(&in, &(struct piece)F(0x89, "p"));
        ws_reader_init(&r, &wide);
        r.extension_rsv = WS_RSV1;
        struct span window = {in.p, in.n};
        assert_int_equal(ws_reader_next(&r, &window, &ev), 1);
        assert_true(ev.first && ev.last && ev.data.n == 125);
        ws_reader_unread(&r, &window, &ev, n);
        assert_int_equal(r.wire_bytes + window.n, in.n);
        /* It may be kept elsewhere meanwhile, and come in pieces. */
        struct span half = {window.p, n / 2};
        if (n / 2) {
            assert_int_equal(ws_reader_next(&r, &half, &ev), 1);
            assert_true(!ev.first && !ev.last && ev.rsv == WS_RSV1);
        }
        span_advance(&window, n / 2);
        assert_int_equal(ws_reader_next(&r, &window, &ev), 1);
        assert_true(!ev.first && ev.last && ev.data.n == n - n / 2);
        assert_memory_equal(ev.data.p, &LETTERS_125[125 - ev.data.n],
                            ev.data.n);
        assert_int_equal(ws_reader_next(&r, &window, &ev), 1);
        assert_int_equal(ev.type, WS_EVENT_PING);
        assert_int_equal(r.wire_bytes, in.n);
        buf_fini(&in);
    }
}

/* Thousands of sessions stand idle with one each. */
static void a_reader_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct ws_reader) <= 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_messages_and_their_fragments),
        TEST(gives_control_frames_between_fragments),
        TEST(refuses_broken_framing_with_1002),
        TEST(reads_a_close_and_nothing_after_it),
        TEST(checks_text_across_frames_and_chunks),
        TEST(keeps_to_its_limits),
        TEST(fails_at_the_first_wrong_byte),
        TEST(leaves_reserved_bits_to_an_extension),
        TEST(reads_a_server_when_told),
        TEST(limits_may_change_inside_a_message),
        TEST(gives_a_long_message_as_it_arrives),
        TEST(reads_again_what_was_not_used),
        TEST(a_reader_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/framing.h"

#include "transcript.h"

#include "support/feed.h"

struct row {
    const char *why;
    struct piece in[FRAMES_MAX];
    const char *expected;
};

static const struct ws_limits limits = {
    .max_message = 300,
    .max_frame = 200,
    .max_fragments = 10,
};

static void run(const struct ws_framing *framing, const struct row *rows,
                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct transcript t = {.framing = framing,
                               .limits = limits,
                               .why = rows[i].why,
                               .expected = rows[i].expected};
        struct buf in = {0};
        put_pieces(&in, rows[i].in);
        const struct feed f = {&t, transcript_begin, transcript_feed,
                               transcript_end};
        feed_every_split(&f, in.p, in.n);
        buf_fini(&in);
        buf_fini(&t.out);
        buf_fini(&t.message);
    }
}

#define T10 "0123456789"
#define T50 T10 T10 T10 T10 T10
#define T200 T50 T50 T50 T50

/* Of hixie-75 and -76 alike. */
static const struct row hixie_rows[] = {
    {"text", {F(RAW, "\x00hello\xff")}, "text(hello)"},
    {"empty text", {F(RAW, "\x00\xff")}, "text()"},
    {"text in a row",
     {F(RAW, "\x00"
             "a\xff\x00"
             "b\xff")},
     "text(a) text(b)"},
    {"text of several bytes a character",
     {F(RAW, "\x00\xc3\xa4\xe2\x82\xac\xff")},
     "text(\\xc3\\xa4\\xe2\\x82\\xac)"},
    {"zeros are text", {F(RAW, "\x00\x00\x00\xff")}, "text(\\x00\\x00)"},
    {"a frame that is not whole", {F(RAW, "\x00hel")}, ""},
    {"text of the size that is allowed",
     {F(RAW, "\x00" T200 "\xff")},
     "text(200 bytes)"},
    {"a byte more", {F(RAW, "\x00" T200 "x\xff")}, "-1009"},
    {"a byte more, without its end", {F(RAW, "\x00" T200 "x")}, "-1009"},
    {"not UTF-8", {F(RAW, "\x00\xc3(\xff")}, "-1007"},
    {"not UTF-8, before the end", {F(RAW, "\x00\xc0")}, "-1007"},
    {"a character cut short", {F(RAW, "\x00\xe2\x82\xff")}, "-1007"},
    {"bytes with a length are dropped",
     {F(RAW, "\x80\x03"
             "abc\x00x\xff")},
     "text(x)"},
    {"among them FF", {F(RAW, "\x80\x02\xff\xff\x00x\xff")}, "text(x)"},
    {"of no length", {F(RAW, "\x80\x00\x00x\xff")}, "text(x)"},
    {"of a length of two digits",
     {F(RAW, "\x90\x81\x48" T200 "\x00x\xff")},
     "text(x)"},
    {"of a length over the limit", {F(RAW, "\x80\x81\x49")}, "-1009"},
    {"of a length with zeros in front",
     {F(RAW, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01y\x00x\xff")},
     "text(x)"},
    {"of a length that never ends",
     {F(RAW, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80")},
     "-1002"},
    {"FF with a length", {F(RAW, "\xff\x01z\x00x\xff")}, "text(x)"},
    {"FE with no length", {F(RAW, "\xfe\x00\x00x\xff")}, "text(x)"},
    {"an unknown type is dropped",
     {F(RAW, "\x01\xc0!\xff\x7f\xff\x00x\xff")},
     "text(x)"},
    {"if it is short", {F(RAW, "\x01" T200 "z")}, "-1009"},
};

static void reads_hixie_76(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"the closing frame", {F(RAW, "\xff\x00")}, "close-1005()"},
        {"its length in two digits", {F(RAW, "\xff\x80\x00")}, "close-1005()"},
        {"what follows it",
         {F(RAW, "\xff\x00\x00hello\xff\xff\x00")},
         "close-1005()"},
        {"behind text", {F(RAW, "\x00x\xff\xff\x00")}, "text(x) close-1005()"},
    };
    run(&ws_framing_76, hixie_rows, COUNT(hixie_rows));
    run(&ws_framing_76, rows, COUNT(rows));
}

static void reads_hixie_75(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"there is no closing frame", {F(RAW, "\xff\x00\x00x\xff")}, "text(x)"},
    };
    run(&ws_framing_75, hixie_rows, COUNT(hixie_rows));
    run(&ws_framing_75, rows, COUNT(rows));
}

static void reads_hybi_drafts_as_the_rfc_but_for_lengths_and_1004(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"text", {F(0x81, "hello")}, "text(hello)"},
        {"fragments", {F(0x01, "he"), F(0x80, "llo")}, "text(hello)"},
        {"a length of 16 bits for 1 byte",
         {F(RAW, "\x81\xfe\x00\x01\x00\x00\x00\x00x")},
         "text(x)"},
        {"a length of 64 bits for 1 byte",
         {F(RAW, "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00x")},
         "text(x)"},
        {"a ping of such a length",
         {F(RAW, "\x89\xfe\x00\x01\x00\x00\x00\x00x")},
         "-1002"},
        {"no mask", {F(UNMASKED, "\x81x")}, "-1002"},
        {"reserved bits", {F(0xc1, "x")}, "-1002"},
        {"not UTF-8", {F(0x81, "\xff")}, "-1007"},
        {"1004 was: too large", {F(0x88, "\x03\xecwhy")}, "close-1009(why)"},
        {"1005 was never sent", {F(0x88, "\x03\xed")}, "-1002"},
        {"an empty Close", {F(0x88, "")}, "close-1005()"},
    };
    run(&ws_framing_8, rows, COUNT(rows));
    run(&ws_framing_7, rows, COUNT(rows));
}

static void what_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct ws_header h;
        struct str head[3], tail[3]; /* of 13, 76, 75 */
    } rows[] = {
        {"text",
         {.opcode = WS_TEXT, .fin = true, .length = 5},
         {STR_INIT("\x81\x05"), STR_INIT("\x00"), STR_INIT("\x00")},
         {STR_INIT(""), STR_INIT("\xff"), STR_INIT("\xff")}},
        {"its first fragment",
         {.opcode = WS_TEXT, .length = 5},
         {STR_INIT("\x01\x05"), STR_INIT("\x00"), STR_INIT("\x00")},
         {STR_INIT(""), STR_INIT(""), STR_INIT("")}},
        {"one in the middle",
         {.opcode = WS_CONT, .length = 5},
         {STR_INIT("\x00\x05"), STR_INIT(""), STR_INIT("")},
         {STR_INIT(""), STR_INIT(""), STR_INIT("")}},
        {"the last",
         {.opcode = WS_CONT, .fin = true, .length = 5},
         {STR_INIT("\x80\x05"), STR_INIT(""), STR_INIT("")},
         {STR_INIT(""), STR_INIT("\xff"), STR_INIT("\xff")}},
        {"a ping",
         {.opcode = WS_PING, .fin = true},
         {STR_INIT("\x89\x00"), STR_INIT(""), STR_INIT("")},
         {STR_INIT(""), STR_INIT(""), STR_INIT("")}},
        {"a close",
         {.opcode = WS_CLOSE, .fin = true},
         {STR_INIT("\x88\x00"), STR_INIT("\xff\x00"), STR_INIT("")},
         {STR_INIT(""), STR_INIT(""), STR_INIT("")}},
    };
    static const struct ws_framing *const framings[] = {
        &ws_framing_13, &ws_framing_76, &ws_framing_75};

    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < COUNT(framings); k++) {
            const struct ws_framing *f = framings[k];
            uint8_t head[WS_HEADER_MAX], tail[WS_TAIL_MAX];
            size_t head_n = f->head(head, &rows[i].h);
            size_t tail_n = f->tail ? f->tail(tail, &rows[i].h) : 0;
            if (!str_eq(str_n(head, head_n), rows[i].head[k]) ||
                !str_eq(str_n(tail, tail_n), rows[i].tail[k]))
                fail_msg("%s, version %u", rows[i].why, f->version);
        }
}

static void every_version_is_in_the_list_once(void **state)
{
    (void)state;
    static const unsigned versions[] = {13, 8, 7, 76, 75};
    unsigned seen = 0;

    for (unsigned i = 0; i < COUNT(versions); i++) {
        const struct ws_framing *f = ws_framing_at(i);
        assert_int_equal(f->version, versions[i]);
        assert_ptr_equal(ws_framing_find(versions[i]), f);
        assert_int_equal(ws_framing_bit(f), 1u << i);
        seen |= ws_framing_bit(f);
    }
    assert_null(ws_framing_at(COUNT(versions)));
    assert_null(ws_framing_find(0));
    assert_null(ws_framing_find(9));
    assert_int_equal(seen, 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_hixie_76),
        TEST(reads_hixie_75),
        TEST(reads_hybi_drafts_as_the_rfc_but_for_lengths_and_1004),
        TEST(what_is_written),
        TEST(every_version_is_in_the_list_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/test.h"

#include "ws/close.h"

static void knows_which_codes_stand_in_a_frame(void **state)
{
    (void)state;
    static const struct {
        unsigned low, high;
        bool legal;
    } ranges[] = {
        {0, 999, false},       {1000, 1003, true},
        {1004, 1006, false},   {1007, 1014, true},
        {1015, 2999, false},   {3000, 4999, true},
        {5000, 5100, false},   {65535, 65537, false},
        {66536, 66540, false}, /* 1000 and a bit above 16 */
    };

    for (size_t i = 0; i < COUNT(ranges); i++)
        for (unsigned code = ranges[i].low; code <= ranges[i].high; code++)
            if (ws_close_code_may_be_received(code) != ranges[i].legal ||
                ws_close_code_may_be_sent(code) != ranges[i].legal)
                fail_msg("code %u", code);
}

#define LETTERS_60                                                             \
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh"
#define LETTERS_120 LETTERS_60 LETTERS_60

static void writes_only_legal_payloads(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        unsigned code;
        struct str reason;
        struct str expected;
    } rows[] = {
        {"no code", WS_CLOSE_NONE, STR_INIT("ignored"), STR_INIT("")},
        {"a code alone", 1000, STR_INIT(""), STR_INIT("\x03\xe8")},
        {"no reason at all", 4999, {NULL, 0}, STR_INIT("\x13\x87")},
        {"code and reason", 1001, STR_INIT("bye"),
         STR_INIT("\x03\xe9"
                  "bye")},
        {"123 bytes of reason", 3000, STR_INIT(LETTERS_120 "123"),
         STR_INIT("\x0b\xb8" LETTERS_120 "123")},
        {"124 bytes are cut", 3000, STR_INIT(LETTERS_120 "1234"),
         STR_INIT("\x0b\xb8" LETTERS_120 "123")},
        {"a character that ends at the limit stays", 3000,
         STR_INIT(LETTERS_120 "\xe2\x82\xac"
                              "x"),
         STR_INIT("\x0b\xb8" LETTERS_120 "\xe2\x82\xac")},
        {"a character across the limit goes", 3000,
         STR_INIT(LETTERS_120 "1\xe2\x82\xac"),
         STR_INIT("\x0b\xb8" LETTERS_120 "1")},
        {"what is not UTF-8 ends the reason", 1011,
         STR_INIT("ab\xff"
                  "cd"),
         STR_INIT("\x03\xf3"
                  "ab")},
        {"so does half a character", 1011, STR_INIT("ab\xe2\x82"),
         STR_INIT("\x03\xf3"
                  "ab")},
        {"and half a character before others", 1011,
         STR_INIT("ab\xe2\x82"
                  "c"),
         STR_INIT("\x03\xf3"
                  "ab")},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t out[WS_CONTROL_MAX];
        size_t n = ws_close_payload(out, rows[i].code, rows[i].reason);
        if (!str_eq(str_n(out, n), rows[i].expected))
            fail_msg("%s: %zu bytes", rows[i].why, n);
    }
}

static void reads_a_payload_or_names_the_code_to_answer(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct str payload;
        int expected;
        uint16_t code;
        const char *reason;
    } rows[] = {
        {"empty", STR_INIT(""), 0, 1005, ""},
        {"one byte", STR_INIT("\x03"), -1002, 0, NULL},
        {"code", STR_INIT("\x03\xe8"), 0, 1000, ""},
        {"code and reason",
         STR_INIT("\x0f\xa0"
                  "\xc3\xa9t\xc3\xa9"),
         0, 4000, "\xc3\xa9t\xc3\xa9"},
        {"999", STR_INIT("\x03\xe7"), -1002, 0, NULL},
        {"1005 itself", STR_INIT("\x03\xed"), -1002, 0, NULL},
        {"reason not UTF-8", STR_INIT("\x03\xe8\x80"), -1007, 0, NULL},
        {"reason cut inside a character", STR_INIT("\x03\xe8\xc3"), -1007, 0,
         NULL},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t copy[WS_CONTROL_MAX];
        memcpy(copy, rows[i].payload.p, rows[i].payload.n);
        uint16_t code;
        struct span reason;
        int got = ws_close_decode((struct span){copy, rows[i].payload.n}, &code,
                                  &reason);
        if (got != rows[i].expected)
            fail_msg("%s: returned %d", rows[i].why, got);
        if (got == 0) {
            assert_int_equal(code, rows[i].code);
            assert_str(str_n(reason.p, reason.n), rows[i].reason);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(knows_which_codes_stand_in_a_frame),
        TEST(writes_only_legal_payloads),
        TEST(reads_a_payload_or_names_the_code_to_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/test.h"

#include "ws/extension.h"

#define PMD "permessage-deflate"
#define SNT "; server_no_context_takeover"
#define CNT "; client_no_context_takeover"
#define SMB "; server_max_window_bits"
#define CMB "; client_max_window_bits"

static const struct ws_deflate_params everything = {true, true, 15, 15};
static const struct ws_deflate_params nothing_kept = {false, false, 15, 15};
static const struct ws_deflate_params small = {true, true, 10, 11};

struct row {
    const char *why, *offers;
    const char *answer; /* NULL: none */
    struct ws_deflate_params agreed;
};

static void run(const struct ws_deflate_params *wish, const struct row *rows,
                size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct ws_deflate_params agreed;
        char answer[WS_EXTENSION_TEXT_MAX] = "none";
        /* Of the exact size, so that reading on is seen. */
        size_t n = row->offers ? strlen(row->offers) : 0;
        char *copy = row->offers ? xmalloc(n + !n) : NULL;
        if (n)
            memcpy(copy, row->offers, n);
        bool got = ws_deflate_negotiate(str_n(copy, n), wish, &agreed, answer);
        free(copy);
        if (got != (row->answer != NULL))
            fail_msg("%s: %s", row->why, answer);
        if (!got)
            continue;
        if (strcmp(answer, row->answer) != 0)
            fail_msg("%s: answered \"%s\"", row->why, answer);
        if (agreed.server_takeover != row->agreed.server_takeover ||
            agreed.client_takeover != row->agreed.client_takeover ||
            agreed.server_bits != row->agreed.server_bits ||
            agreed.client_bits != row->agreed.client_bits)
            fail_msg("%s: agreed on something else", row->why);
    }
}

static void agrees_on_what_was_offered(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"7: no parameters", PMD, PMD, {true, true, 15, 15}},
        {"7.1.1.1: MUST be answered", PMD SNT, PMD SNT, {false, true, 15, 15}},
        {"7.1.1.2: a hint, confirmed", PMD CNT, PMD CNT, {true, false, 15, 15}},
        {"both", PMD SNT CNT, PMD SNT CNT, {false, false, 15, 15}},
        {"7.1.2.1: the least", PMD SMB "=8", PMD SMB "=8", {true, true, 8, 15}},
        {"7.1.2.1: the most is said again",
         PMD SMB "=15",
         PMD SMB "=15",
         {true, true, 15, 15}},
        {"7.1.2.2: without a value", PMD CMB, PMD, {true, true, 15, 15}},
        {"7.1.2.2: a hint", PMD CMB "=9", PMD CMB "=9", {true, true, 15, 9}},
        {"7.1.2.2: a hint that hints at nothing",
         PMD CMB "=15",
         PMD,
         {true, true, 15, 15}},
        {"all four",
         PMD CMB "=12" SMB "=11" CNT SNT,
         PMD SNT CNT SMB "=11" CMB "=12",
         {false, false, 11, 12}},
        {"6455 9.1: quoted",
         PMD SMB "=\"10\"",
         PMD SMB "=10",
         {true, true, 10, 15}},
        {"9110 5.6.4: a quoted pair",
         PMD SMB "=\"1\\0\"",
         PMD SMB "=10",
         {true, true, 10, 15}},
        {"all of them quoted pairs",
         PMD CMB "=\"\\1\\1\" ;server_no_context_takeover",
         PMD SNT CMB "=11",
         {false, true, 15, 11}},
        {"blanks",
         " \t" PMD " ;\tserver_max_window_bits = 10 ",
         PMD SMB "=10",
         {true, true, 10, 15}},
        {"no blanks",
         PMD ";server_max_window_bits=10",
         PMD SMB "=10",
         {true, true, 10, 15}},
        {"empty elements", ",, " PMD ",", PMD, {true, true, 15, 15}},
    };
    run(&everything, rows, COUNT(rows));
}

static void says_what_it_wishes_beyond_the_offer(void **state)
{
    (void)state;
    static const struct row without[] = {
        {"7.1.1: a server may say both",
         PMD,
         PMD SNT CNT,
         {false, false, 15, 15}},
        {"and what was offered",
         PMD SMB "=9" CMB,
         PMD SNT CNT SMB "=9",
         {false, false, 9, 15}},
    };
    run(&nothing_kept, without, COUNT(without));
    static const struct row windows[] = {
        {"7.1.2.1: smaller unasked; the client's can not be",
         PMD,
         PMD SMB "=10",
         {true, true, 10, 15}},
        {"smaller than offered",
         PMD SMB "=12",
         PMD SMB "=10",
         {true, true, 10, 15}},
        {"the offer is smaller",
         PMD SMB "=9",
         PMD SMB "=9",
         {true, true, 9, 15}},
        {"7.1.2.2: the client lets itself be asked",
         PMD CMB,
         PMD SMB "=10" CMB "=11",
         {true, true, 10, 11}},
        {"it says less of itself",
         PMD CMB "=8",
         PMD SMB "=10" CMB "=8",
         {true, true, 10, 8}},
        {"it says more",
         PMD CMB "=12",
         PMD SMB "=10" CMB "=11",
         {true, true, 10, 11}},
    };
    run(&small, windows, COUNT(windows));
}

static void agrees_on_each_pair_of_windows(void **state)
{
    (void)state;
    for (unsigned wish = 8; wish <= 15; wish++)
        for (unsigned server = 8; server <= 15; server++)
            for (unsigned client = 8; client <= 15; client++) {
                struct ws_deflate_params agreed,
                    w = {true, true, (uint8_t)wish, (uint8_t)wish};
                char offer[128], answer[WS_EXTENSION_TEXT_MAX];
                snprintf(offer, sizeof offer, PMD SMB "=%u" CMB "=%u", server,
                         client);
                assert_true(
                    ws_deflate_negotiate(str_c(offer), &w, &agreed, answer));
                assert_int_equal(agreed.server_bits,
                                 wish < server ? wish : server);
                assert_int_equal(agreed.client_bits,
                                 wish < client ? wish : client);
            }
}

static void declines_what_is_wrong(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"absent", NULL, NULL, {0}},
        {"empty", "", NULL, {0}},
        {"commas", " , ,", NULL, {0}},
        {"another extension", "x-webkit-deflate-frame", NULL, {0}},
        {"a longer name", PMD "2", NULL, {0}},
        {"a shorter name", "permessage-deflat", NULL, {0}},
        {"an unknown parameter", PMD "; more", NULL, {0}},
        {"an unknown one after a good one", PMD SNT "; more=1", NULL, {0}},
        {"a flag with a value", PMD SNT "=1", NULL, {0}},
        {"the other with an empty one", PMD CNT "=\"\"", NULL, {0}},
        {"a flag twice", PMD SNT SNT, NULL, {0}},
        {"the other twice", PMD CNT CNT, NULL, {0}},
        {"bits twice", PMD SMB "=10" SMB "=10", NULL, {0}},
        {"the client's twice", PMD CMB "=10" CMB "=10", NULL, {0}},
        {"the client's twice, once without a value",
         PMD CMB CMB "=9",
         NULL,
         {0}},
        {"7.1.2.1: a value is needed", PMD SMB, NULL, {0}},
        {"7", PMD SMB "=7", NULL, {0}},
        {"16", PMD SMB "=16", NULL, {0}},
        {"0", PMD SMB "=0", NULL, {0}},
        {"a leading zero", PMD SMB "=08", NULL, {0}},
        {"a sign", PMD SMB "=+9", NULL, {0}},
        {"a letter", PMD SMB "=1o", NULL, {0}},
        {"a long number", PMD SMB "=18446744073709551625", NULL, {0}},
        {"the client's 7", PMD CMB "=7", NULL, {0}},
        {"the client's 16", PMD CMB "=16", NULL, {0}},
        {"the client's leading zero", PMD CMB "=010", NULL, {0}},
        {"no value behind the sign", PMD SMB "=", NULL, {0}},
        {"no parameter", PMD ";", NULL, {0}},
        {"no parameter, and an end", PMD "; ,", NULL, {0}},
        {"an open quote", PMD SMB "=\"10", NULL, {0}},
        {"a quoted blank", PMD SMB "=\"10 \"", NULL, {0}},
        {"a quote that a quoted pair leaves open",
         PMD SMB "=\"10\\\"",
         NULL,
         {0}},
        {"a quoted pair without its end", PMD SMB "=\"10\\", NULL, {0}},
        {"more behind a quote", PMD SMB "=\"10\"0", NULL, {0}},
        {"a quoted parameter name", PMD "; \"x\"=10", NULL, {0}},
        {"a quoted control character", PMD SMB "=\"10\x01\", " PMD, NULL, {0}},
        {"a quoted number that only begins well",
         PMD SMB "=\"10000\"",
         NULL,
         {0}},
        {"a flag with a quoted value", PMD SNT "=\"a\"", NULL, {0}},
        {"an empty quote", PMD SMB "=\"\"", NULL, {0}},
        {"two tokens", "permessage deflate", NULL, {0}},
        {"no name", "; " PMD, NULL, {0}},
        {"a syntax error in front", "a/b, " PMD, NULL, {0}},
        {"a zero byte is no token", "\x01" PMD, NULL, {0}},
        {"upper case", "Permessage-Deflate", NULL, {0}},
    };
    run(&everything, rows, COUNT(rows));
}

static void takes_the_first_offer_that_is_right(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"behind another extension",
         "foo; a=1; b=\"x\", " PMD,
         PMD,
         {true, true, 15, 15}},
        {"behind quoted commas, semicolons and quotes",
         "foo; a=\"x, y; \\\" " PMD " \\\\\", " PMD SNT,
         PMD SNT,
         {false, true, 15, 15}},
        {"behind one with a quoted value that is no number",
         PMD SMB "=\"a, b\", " PMD,
         PMD,
         {true, true, 15, 15}},
        {"behind one with an empty quote",
         PMD SMB "=\"\"," PMD,
         PMD,
         {true, true, 15, 15}},
        {"what is quoted is no offer of its own",
         "foo; a=\"," PMD ",\"," PMD CNT,
         PMD CNT,
         {true, false, 15, 15}},
        {"behind one out of range",
         PMD SMB "=16, " PMD SMB "=9",
         PMD SMB "=9",
         {true, true, 9, 15}},
        {"behind one with an unknown parameter",
         PMD "; x, " PMD SNT,
         PMD SNT,
         {false, true, 15, 15}},
        {"the client's preference",
         PMD SMB "=12, " PMD,
         PMD SMB "=12",
         {true, true, 12, 15}},
        {"what is behind it is not read",
         PMD ", a/b",
         PMD,
         {true, true, 15, 15}},
        {"nor answered", PMD ", foo", PMD, {true, true, 15, 15}},
    };
    run(&everything, rows, COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(agrees_on_what_was_offered),
        TEST(says_what_it_wishes_beyond_the_offer),
        TEST(agrees_on_each_pair_of_windows),
        TEST(declines_what_is_wrong),
        TEST(takes_the_first_offer_that_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

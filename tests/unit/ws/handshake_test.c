/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/test.h"

#include "ws/handshake.h"

#define NONCE "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* Fields are one text each here; NULL is absent, what came twice is joined
 * with ", " as the reader of the request joins it. */
struct row {
    const char *why;
    int expected;
    const char *upgrade, *connection, *key, *version;
    size_t keys, versions;
    bool not_get, not_11, body;
};

#define USUAL .upgrade = "websocket", .connection = "Upgrade"
#define KEY .key = NONCE, .keys = 1
#define VERSION13 .version = "13", .versions = 1

static int run(const struct row *row, struct ws_handshake *hs)
{
    struct ws_handshake_request q = {
        .method_is_get = !row->not_get,
        .version_is_11 = !row->not_11,
        .upgrade = str_c(row->upgrade),
        .connection = str_c(row->connection),
        .key = str_c(row->key),
        .key_count = row->keys,
        .version = str_c(row->version),
        .version_count = row->versions,
        .versions = ws_framing_bit(&ws_framing_13),
        .has_body = row->body,
    };
    const char *why = NULL;
    int got = ws_handshake_check(&q, hs, &why);
    if (got && (!why || !*why))
        fail_msg("%s: refused without a word", row->why);
    return got;
}

static void accepts_what_the_rfc_lets_a_client_send(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"the example of 1.3", 0, USUAL, KEY, VERSION13},
        {"4.2.1 item 3: any case", 0, KEY, VERSION13, .upgrade = "WebSocket",
         .connection = "upgrade"},
        {"among other protocols", 0, KEY, VERSION13,
         .upgrade = "h2c, websocket", .connection = "Upgrade"},
        {"item 4: among other options", 0, KEY, VERSION13,
         .upgrade = "websocket", .connection = "keep-alive, Upgrade"},
        {"blanks around the key and the version", 0, USUAL,
         .key = " " NONCE "\t", .keys = 1, .version = " 13 ", .versions = 1},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ws_handshake hs = {0};
        int got = run(&rows[i], &hs);
        if (got != 0)
            fail_msg("%s: returned %d", rows[i].why, got);
        assert_ptr_equal(hs.framing, &ws_framing_13);
        assert_string_equal(hs.accept, ACCEPT);
    }
}

static void refuses_with_the_status_of_the_rfc(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"item 1: not GET", -405, USUAL, KEY, VERSION13, .not_get = true},
        {"item 1: HTTP/1.0", -400, USUAL, KEY, VERSION13, .not_11 = true},
        {"a body", -400, USUAL, KEY, VERSION13, .body = true},
        {"item 3: no Upgrade", -400, KEY, VERSION13, .connection = "Upgrade"},
        {"item 3: another protocol", -400, KEY, VERSION13, .upgrade = "h2c",
         .connection = "Upgrade"},
        {"item 3: websocket inside a longer name", -400, KEY, VERSION13,
         .upgrade = "websocketx, xwebsocket, web socket",
         .connection = "Upgrade"},
        {"item 4: no Connection", -400, KEY, VERSION13, .upgrade = "websocket"},
        {"item 4: Connection without upgrade", -400, KEY, VERSION13,
         .upgrade = "websocket", .connection = "keep-alive"},
        {"item 5: no key", -400, USUAL, VERSION13},
        {"item 5: an empty key", -400, USUAL, VERSION13, .key = "", .keys = 1},
        {"item 5: a key of 15 bytes", -400, USUAL, VERSION13, .keys = 1,
         .key = "AAAAAAAAAAAAAAAAAAAA"},
        {"item 5: a key of 17 bytes", -400, USUAL, VERSION13, .keys = 1,
         .key = "AAAAAAAAAAAAAAAAAAAAAAA="},
        {"item 5: a key of 18 bytes", -400, USUAL, VERSION13, .keys = 1,
         .key = "AAAAAAAAAAAAAAAAAAAAAAAA"},
        {"item 5: a key of 16 bytes without padding", -400, USUAL, VERSION13,
         .keys = 1, .key = "AAAAAAAAAAAAAAAAAAAAAA"},
        {"item 5: base64url is another alphabet", -400, USUAL, VERSION13,
         .keys = 1, .key = "AAAA-AAAA_AAAAAAAAAAAA=="},
        {"item 5: a blank inside", -400, USUAL, VERSION13, .keys = 1,
         .key = "dGhlIHNhbXBs SBub25jZQ=="},
        {"item 5: an equals sign too early", -400, USUAL, VERSION13, .keys = 1,
         .key = "dGhlIHNhbXBsZSBub25jZ==="},
        {"item 5: text behind the key", -400, USUAL, VERSION13, .keys = 1,
         .key = NONCE "A"},
        {"11.3.1: two keys", -400, USUAL, VERSION13, .keys = 2,
         .key = NONCE ", " NONCE},
        {"item 6: no version", -400, USUAL, KEY},
        {"11.3.5: two versions", -400, USUAL, KEY, .version = "13, 13",
         .versions = 2},
        {"two versions in one field", -400, USUAL, KEY, .version = "13, 8",
         .versions = 1},
        {"item 6: version 8", -426, USUAL, KEY, .version = "8", .versions = 1},
        {"item 6: version 0", -426, USUAL, KEY, .version = "0", .versions = 1},
        {"item 6: version 14", -426, USUAL, KEY, .version = "14",
         .versions = 1},
        {"item 6: version 255", -426, USUAL, KEY, .version = "255",
         .versions = 1},
        {"4.3: version 256", -400, USUAL, KEY, .version = "256", .versions = 1},
        {"4.3: a leading zero", -400, USUAL, KEY, .version = "013",
         .versions = 1},
        {"4.3: two zeros", -400, USUAL, KEY, .version = "00", .versions = 1},
        {"4.3: a sign", -400, USUAL, KEY, .version = "+13", .versions = 1},
        {"4.3: a fraction", -400, USUAL, KEY, .version = "13.0", .versions = 1},
        {"4.3: 2^64 + 13", -400, USUAL, KEY, .version = "18446744073709551629",
         .versions = 1},
        {"4.3: an empty version", -400, USUAL, KEY, .version = "",
         .versions = 1},
        {"4.4: the version is told before the key is looked at", -426, USUAL,
         .version = "7", .versions = 1},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ws_handshake hs;
        int got = run(&rows[i], &hs);
        if (got != rows[i].expected)
            fail_msg("%s: returned %d", rows[i].why, got);
    }
}

static void wants_a_websocket_only_when_upgrade_names_it(void **state)
{
    (void)state;
    static const struct {
        const char *upgrade;
        bool wanted;
    } rows[] = {
        {NULL, false},         {"", false},    {"websocket", true},
        {"WEBSOCKET", true},   {"h2c", false}, {"h2c, WebSocket , foo", true},
        {"websocket2", false}, {"web", false}, {",websocket", true},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ws_handshake_request q = {.upgrade = str_c(rows[i].upgrade)};
        if (ws_handshake_is_wanted(&q) != rows[i].wanted)
            fail_msg("%s", rows[i].upgrade);
    }
}

static void the_accept_value_is_that_of_others(void **state)
{
    (void)state;
    /* Computed with `printf ... | openssl sha1 -binary | base64`. */
    static const char *const rows[][2] = {
        {NONCE, ACCEPT},
        {"AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
        {"/////////////////////w==", "XXpj4jYzLM2yUE0C7TIgMwTQh2g="},
        {"x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[WS_ACCEPT_SIZE + 1];
        ws_accept_of(str_c(rows[i][0]), out);
        assert_string_equal(out, rows[i][1]);
    }
}

/* ---- the drafts ---- */

enum { V13 = 1, V8 = 2, V7 = 4, V76 = 8, V75 = 16 };

#define A64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

struct old_row {
    const char *why;
    int expected; /* the version, or a negated status */
    unsigned offered;
    const char *key, *version, *key1, *key2;
};

static int run_old(const struct old_row *row, struct ws_handshake *hs)
{
    struct ws_handshake_request q = {
        .method_is_get = true,
        .version_is_11 = true,
        .upgrade = STR("WebSocket"),
        .connection = STR("Upgrade"),
        .key = str_c(row->key),
        .key_count = row->key != NULL,
        .version = str_c(row->version),
        .version_count = row->version != NULL,
        .key1 = str_c(row->key1),
        .key1_count = row->key1 != NULL,
        .key2 = str_c(row->key2),
        .key2_count = row->key2 != NULL,
        .versions = row->offered,
    };
    const char *why = NULL;
    int got = ws_handshake_check(&q, hs, &why);
    if (got && (!why || !*why))
        fail_msg("%s: refused without a word", row->why);
    return got ? got : (int)hs->framing->version;
}

static void tells_the_drafts_apart(void **state)
{
    (void)state;
    static const struct old_row rows[] = {
        {"hybi-08 to -12", 8, V13 | V8, NONCE, "8", NULL, NULL},
        {"hybi-07", 7, V7, NONCE, "7", NULL, NULL},
        {"8 is not offered", -426, V13 | V7, NONCE, "8", NULL, NULL},
        {"7 is not offered", -426, V13 | V8, NONCE, "7", NULL, NULL},
        {"9 to 12 were never sent", -426, ~0u, NONCE, "9", NULL, NULL},
        {"75 is no number of theirs", -426, ~0u, NONCE, "75", NULL, NULL},
        {"76 is none either", -426, ~0u, NONCE, "76", NULL, NULL},
        {"8 without a key", -400, ~0u, NULL, "8", NULL, NULL},
        {"a key of 15 bytes", 8, V8, "OC0xNzAwMDAwMDAwMDAw", "8", NULL, NULL},
        {"not in 13", -400, V13, "OC0xNzAwMDAwMDAwMDAw", "13", NULL, NULL},
        {"an empty key", -400, V8, "", "8", NULL, NULL},
        {"a key of other letters", -400, V8, "a!b=", "8", NULL, NULL},
        {"a key of 64 letters", 8, V8, A64, "8", NULL, NULL},
        {"of 65", -400, V8, A64 "A", "8", NULL, NULL},
        {"a key without a version", -400, ~0u, NONCE, NULL, NULL, NULL},
        {"hixie-76", 76, V76, NULL, NULL, "1 1", "2 2"},
        {"76 is not offered", -426, V13 | V75, NULL, NULL, "1 1", "2 2"},
        {"no second key", -400, V76, NULL, NULL, "1 1", NULL},
        {"no first key", -400, V76, NULL, NULL, NULL, "2 2"},
        {"a first key without blanks", -400, V76, NULL, NULL, "11", "2 2"},
        {"a second key without blanks", -400, V76, NULL, NULL, "1 1", "22"},
        {"a remainder", -400, V76, NULL, NULL, "1 1", "2 3 5"},
        {"new keys win over old ones", 13, ~0u, NONCE, "13", "1 1", "2 2"},
        {"hixie-75", 75, V75, NULL, NULL, NULL, NULL},
        {"75 is not offered", -400, V13 | V8 | V76, NULL, NULL, NULL, NULL},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ws_handshake hs = {0};
        int got = run_old(&rows[i], &hs);
        if (got != rows[i].expected)
            fail_msg("%s: %d", rows[i].why, got);
    }
}

static void the_answers_are_those_of_the_drafts(void **state)
{
    (void)state;
    static const struct {
        const char *key1, *key2;
        uint32_t number1, number2;
        const char *secret, *answer;
    } rows[] = {
        {"4 @1  46546xW%0l 1 5", "12998 5 Y3 1  .P00", 829309203, 259970620,
         "^n:ds[4U", "8jKS'y:G*Co,Wxa-"},
        {"18x 6]8vM;54 *(5:  {   U1]8  z [  8",
         "1_ tx7X d  <  nw  334J702) 7]o}` 0", 155712099, 173347027, "Tm[K T2u",
         "fQJ,fN/4F4!~K~MH"},
        {"3e6b263  4 17 80", "17  9 G`ZD9   2 2b 7X 3 /r90", 906585445,
         179922739, "WjN}|M(6", "n`9eBk9z$R8pOtVb"},
        {"30  ;- 5=5 u 4 1  7336", ":2 8 G(  07A 93Ql 3 *20 Ox0G'w", 0, 0,
         "\x5d\x9f\xb0\x67\x0f\xe4\xfa\x75",
         "\xb6\xbc\x2a\x9e\xa0\x0c\x1c\xb9\x0f\xad\xdc\x97\x90\x60\x17\xa8"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ws_handshake hs = {0};
        const struct old_row row = {"",   76,           V76,         NULL,
                                    NULL, rows[i].key1, rows[i].key2};
        assert_int_equal(run_old(&row, &hs), 76);
        if (rows[i].number1) {
            assert_int_equal(hs.numbers[0], rows[i].number1);
            assert_int_equal(hs.numbers[1], rows[i].number2);
        }
        memcpy(hs.secret, rows[i].secret, WS_SECRET_SIZE);
        assert_true(ws_answer(&hs));
        assert_memory_equal(hs.answer, rows[i].answer, WS_ANSWER_SIZE);
    }
    struct ws_handshake hs = {.numbers = {777007543, 114997259}};
    memcpy(hs.secret, "\x47\x30\x22\x2d\x5a\x3f\x47\x58", WS_SECRET_SIZE);
    assert_true(ws_answer(&hs));
    assert_memory_equal(hs.answer, "0st3Rl&q-2ZU^weu", WS_ANSWER_SIZE);
}

static void reads_the_number_a_key_hides(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool good;
        uint32_t number;
    } rows[] = {
        {"4294967295 ", true, 4294967295u},
        {"4294967296 ", false, 0},
        {"99999999999999999999999999 9", false, 0},
        {" ", true, 0},
        {"1 2 3 6", true, 412},
        {"1 2 3 7", false, 0},
        {"12", false, 0},
        {"1\t2", false, 0},
        {"", false, 0},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t number = 0;
        bool good = ws_key_number(str_c(rows[i].key), &number);
        if (good != rows[i].good || number != rows[i].number)
            fail_msg("\"%s\": %u", rows[i].key, number);
    }
}

static void names_the_versions_that_have_numbers(void **state)
{
    (void)state;
    static const struct {
        unsigned set;
        const char *text;
    } rows[] = {
        {V13, "13"},     {V13 | V8, "13, 8"}, {~0u, "13, 8, 7"},
        {V7 | V76, "7"}, {V75 | V76, ""},     {0, ""},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[WS_VERSIONS_TEXT_MAX];
        assert_int_equal(ws_versions_text(rows[i].set, text),
                         strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

/* What the list gives, joined with blanks, and how it ends. */
static int names_of(struct str rest, char *out, size_t size)
{
    struct str token;
    int got;
    out[0] = 0;
    while ((got = ws_protocol_next(&rest, &token)) == 1) {
        size_t n = strlen(out);
        snprintf(out + n, size - n, "%s%.*s", n ? " " : "", STR_ARG(token));
    }
    return got;
}

static void takes_each_protocol_once(void **state)
{
    (void)state;
    static const struct {
        const char *why, *list;
        int expected;
        const char *names;
    } rows[] = {
        {"absent", NULL, 0, ""},
        {"empty", "", 0, ""},
        {"one", "chat", 0, "chat"},
        {"in the client's order", "v2.chat,v1.chat", 0, "v2.chat v1.chat"},
        {"blanks", " a ,\tb ", 0, "a b"},
        {"empty elements count for nothing", ",a,, ,b,", 0, "a b"},
        {"case makes a difference", "chat, Chat", 0, "chat Chat"},
        {"a name inside another", "chat, chats, cha", 0, "chat chats cha"},
        {"4.1 item 10: a blank inside", "a b", -400, ""},
        {"a separator", "a/b", -400, ""},
        {"a quoted name", "\"a\"", -400, ""},
        {"a control character", "a\x01", -400, ""},
        {"not ASCII", "caf\xc3\xa9", -400, ""},
        {"a bad one after a good one", "a, b;c", -400, "a"},
        {"twice", "a, a", -400, ""},
        {"twice, further on", "x, a, b, a", -400, "x"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char names[128];
        int got = names_of(str_c(rows[i].list), names, sizeof names);
        if (got != rows[i].expected || strcmp(names, rows[i].names) != 0)
            fail_msg("%s: returned %d after \"%s\"", rows[i].why, got, names);
    }
}

static void bounds_the_number_of_protocols(void **state)
{
    (void)state;
    char list[8 * (WS_PROTOCOLS_MAX + 1)] = "";
    char names[sizeof list];
    size_t n = 0;
    for (int i = 0; i < WS_PROTOCOLS_MAX; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%sp%d", i ? "," : "",
                              i);
    assert_int_equal(names_of(str_c(list), names, sizeof names), 0);
    snprintf(list + n, sizeof list - n, ",q");
    assert_int_equal(names_of(str_c(list), names, sizeof names), -400);

    /* Empty ones cost as much to walk over. */
    memset(list, ',', sizeof list);
    list[0] = 'a';
    assert_int_equal(names_of(str_n(list, sizeof list), names, sizeof names),
                     -400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accepts_what_the_rfc_lets_a_client_send),
        TEST(refuses_with_the_status_of_the_rfc),
        TEST(wants_a_websocket_only_when_upgrade_names_it),
        TEST(the_accept_value_is_that_of_others),
        TEST(tells_the_drafts_apart),
        TEST(the_answers_are_those_of_the_drafts),
        TEST(reads_the_number_a_key_hides),
        TEST(names_the_versions_that_have_numbers),
        TEST(takes_each_protocol_once),
        TEST(bounds_the_number_of_protocols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

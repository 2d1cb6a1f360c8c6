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
#define V13 .version = "13", .versions = 1

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
        {"the example of 1.3", 0, USUAL, KEY, V13},
        {"4.2.1 item 3: any case", 0, KEY, V13, .upgrade = "WebSocket",
         .connection = "upgrade"},
        {"among other protocols", 0, KEY, V13, .upgrade = "h2c, websocket",
         .connection = "Upgrade"},
        {"item 4: among other options", 0, KEY, V13, .upgrade = "websocket",
         .connection = "keep-alive, Upgrade"},
        {"blanks around the key and the version", 0, USUAL,
         .key = " " NONCE "\t", .keys = 1, .version = " 13 ", .versions = 1},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ws_handshake hs = {0};
        int got = run(&rows[i], &hs);
        if (got != 0)
            fail_msg("%s: returned %d", rows[i].why, got);
        assert_int_equal(hs.version, 13);
        assert_string_equal(hs.accept, ACCEPT);
    }
}

static void refuses_with_the_status_of_the_rfc(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"item 1: not GET", -405, USUAL, KEY, V13, .not_get = true},
        {"item 1: HTTP/1.0", -400, USUAL, KEY, V13, .not_11 = true},
        {"a body", -400, USUAL, KEY, V13, .body = true},
        {"item 3: no Upgrade", -400, KEY, V13, .connection = "Upgrade"},
        {"item 3: another protocol", -400, KEY, V13, .upgrade = "h2c",
         .connection = "Upgrade"},
        {"item 3: websocket inside a longer name", -400, KEY, V13,
         .upgrade = "websocketx, xwebsocket, web socket",
         .connection = "Upgrade"},
        {"item 4: no Connection", -400, KEY, V13, .upgrade = "websocket"},
        {"item 4: Connection without upgrade", -400, KEY, V13,
         .upgrade = "websocket", .connection = "keep-alive"},
        {"item 5: no key", -400, USUAL, V13},
        {"item 5: an empty key", -400, USUAL, V13, .key = "", .keys = 1},
        {"item 5: a key of 15 bytes", -400, USUAL, V13, .keys = 1,
         .key = "AAAAAAAAAAAAAAAAAAAA"},
        {"item 5: a key of 17 bytes", -400, USUAL, V13, .keys = 1,
         .key = "AAAAAAAAAAAAAAAAAAAAAAA="},
        {"item 5: a key of 18 bytes", -400, USUAL, V13, .keys = 1,
         .key = "AAAAAAAAAAAAAAAAAAAAAAAA"},
        {"item 5: a key of 16 bytes without padding", -400, USUAL, V13,
         .keys = 1, .key = "AAAAAAAAAAAAAAAAAAAAAA"},
        {"item 5: base64url is another alphabet", -400, USUAL, V13, .keys = 1,
         .key = "AAAA-AAAA_AAAAAAAAAAAA=="},
        {"item 5: a blank inside", -400, USUAL, V13, .keys = 1,
         .key = "dGhlIHNhbXBs SBub25jZQ=="},
        {"item 5: an equals sign too early", -400, USUAL, V13, .keys = 1,
         .key = "dGhlIHNhbXBsZSBub25jZ==="},
        {"item 5: text behind the key", -400, USUAL, V13, .keys = 1,
         .key = NONCE "A"},
        {"11.3.1: two keys", -400, USUAL, V13, .keys = 2,
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
        TEST(takes_each_protocol_once),
        TEST(bounds_the_number_of_protocols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

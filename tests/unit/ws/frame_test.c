/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/test.h"

#include "ws/frame.h"

static void refuses_what_no_peer_may_send(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint8_t bytes[10];
        size_t n;
    } bad[] = {
        {"reserved opcode 3", {0x83, 0x00}, 2},
        {"reserved opcode 7", {0x07, 0x80}, 2},
        {"reserved opcode 11", {0x8b, 0x00}, 2},
        {"reserved opcode 15", {0x8f, 0x00}, 2},
        {"fragmented ping", {0x09, 0x00}, 2},
        {"fragmented pong", {0x0a, 0x00}, 2},
        {"fragmented close", {0x08, 0x00}, 2},
        {"126-byte close", {0x88, 0x7e, 0x00, 0x7e}, 2},
        {"126-byte ping, before its length", {0x89, 0xfe}, 2},
        {"ping with a 64-bit length", {0x89, 0x7f}, 2},
        {"125 written in 16 bits", {0x82, 0x7e, 0x00, 0x7d}, 4},
        {"0 written in 16 bits", {0x82, 0x7e, 0x00, 0x00}, 4},
        {"65535 written in 64 bits",
         {0x82, 0x7f, 0, 0, 0, 0, 0, 0, 255, 255},
         10},
        {"5 written in 64 bits", {0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0, 5}, 10},
        {"length with the top bit set", {0x82, 0x7f, 0x80}, 3},
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct ws_header h;
        int got = ws_header_decode(&h, bad[i].bytes, bad[i].n);
        if (got != -1002)
            fail_msg("%s: returned %d", bad[i].why, got);
    }
}

static const struct {
    const char *why;
    uint8_t bytes[WS_HEADER_MAX];
    int n;
    struct ws_header h;
} good[] = {
    {"an empty text", {0x81, 0x00}, 2, {.opcode = WS_TEXT, .fin = true}},
    {"a first fragment", {0x01, 0x03}, 2, {.opcode = WS_TEXT, .length = 3}},
    {"a continuation", {0x00, 0x01}, 2, {.opcode = WS_CONT, .length = 1}},
    {"a masked text (5.7)",
     {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d},
     6,
     {.opcode = WS_TEXT,
      .fin = true,
      .masked = true,
      .key = {0x37, 0xfa, 0x21, 0x3d},
      .length = 5}},
    {"125 bytes",
     {0x82, 0x7d},
     2,
     {.opcode = WS_BINARY, .fin = true, .length = 125}},
    {"126 bytes",
     {0x82, 0x7e, 0x00, 0x7e},
     4,
     {.opcode = WS_BINARY, .fin = true, .length = 126}},
    {"256 bytes (5.7)",
     {0x82, 0x7e, 0x01, 0x00},
     4,
     {.opcode = WS_BINARY, .fin = true, .length = 256}},
    {"65535 bytes, masked",
     {0x82, 0xfe, 0xff, 0xff, 1, 2, 3, 4},
     8,
     {.opcode = WS_BINARY,
      .fin = true,
      .masked = true,
      .key = {1, 2, 3, 4},
      .length = 65535}},
    {"65536 bytes (5.7)",
     {0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0},
     10,
     {.opcode = WS_BINARY, .fin = true, .length = 65536}},
    {"the longest there is, masked",
     {0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 9, 8, 7, 6},
     14,
     {.opcode = WS_BINARY,
      .fin = true,
      .masked = true,
      .key = {9, 8, 7, 6},
      .length = INT64_MAX}},
    {"all reserved bits",
     {0xf1, 0x00},
     2,
     {.opcode = WS_TEXT, .fin = true, .rsv = 7}},
    {"RSV1",
     {0xc2, 0x00},
     2,
     {.opcode = WS_BINARY, .fin = true, .rsv = WS_RSV1}},
    {"RSV2",
     {0xa2, 0x00},
     2,
     {.opcode = WS_BINARY, .fin = true, .rsv = WS_RSV2}},
    {"RSV3",
     {0x92, 0x00},
     2,
     {.opcode = WS_BINARY, .fin = true, .rsv = WS_RSV3}},
    {"a 125-byte ping",
     {0x89, 0x7d},
     2,
     {.opcode = WS_PING, .fin = true, .length = 125}},
    {"a pong", {0x8a, 0x00}, 2, {.opcode = WS_PONG, .fin = true}},
    {"a close",
     {0x88, 0x02},
     2,
     {.opcode = WS_CLOSE, .fin = true, .length = 2}},
};

static bool same(const struct ws_header *a, const struct ws_header *b)
{
    return a->opcode == b->opcode && a->fin == b->fin &&
           a->masked == b->masked && a->rsv == b->rsv &&
           a->length == b->length && memcmp(a->key, b->key, 4) == 0;
}

static void reads_every_form_of_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct ws_header h;
        int got = ws_header_decode(&h, good[i].bytes, (size_t)good[i].n);
        if (got != good[i].n || !same(&h, &good[i].h))
            fail_msg("%s: returned %d", good[i].why, got);
    }
}

static void asks_for_more_until_the_header_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        for (int n = 0; n < good[i].n; n++) {
            /* Its own memory, so that reading ahead is seen. */
            uint8_t *part = xmalloc((size_t)n + 1);
            memcpy(part + 1, good[i].bytes, (size_t)n);
            struct ws_header h = {.length = 77};
            int got = ws_header_decode(&h, part + 1, (size_t)n);
            free(part);
            if (got != 0 || h.length != 77)
                fail_msg("%s: %d of its bytes gave %d", good[i].why, n, got);
        }
}

static void writes_the_shortest_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        uint8_t out[WS_HEADER_MAX];
        size_t n = ws_header_encode(out, &good[i].h);
        if (n != (size_t)good[i].n || memcmp(out, good[i].bytes, n) != 0)
            fail_msg("%s: wrote %zu bytes", good[i].why, n);
    }
}

static void a_server_header_is_final_and_unmasked(void **state)
{
    (void)state;
    uint8_t out[WS_HEADER_MAX];
    assert_int_equal(ws_server_header(out, WS_TEXT, 32), 2);
    assert_memory_equal(out, "\x81\x20", 2);
    assert_int_equal(ws_server_header(out, WS_PONG, 0), 2);
    assert_memory_equal(out, "\x8a\x00", 2);
    assert_int_equal(ws_server_header(out, WS_BINARY, 1024), 4);
    assert_memory_equal(out, "\x82\x7e\x04\x00", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_what_no_peer_may_send),
        TEST(reads_every_form_of_length),
        TEST(asks_for_more_until_the_header_is_whole),
        TEST(writes_the_shortest_form),
        TEST(a_server_header_is_final_and_unmasked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/test.h"

#include "ws/mask.h"

enum {
    LENGTHS = 300, /* more than two turns of the widest loop */
    OFFSETS = 33,  /* every alignment of the widest word */
    GUARD = 0xa5,
};

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

/* The example of RFC 6455 section 5.7. */
static void unmasks_the_hello_of_the_rfc(void **state)
{
    (void)state;
    uint8_t text[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
    ws_mask(text, sizeof text, key, 0);
    assert_memory_equal(text, "Hello", 5);
}

static void check_one(const char *name, ws_mask_fn *mask, size_t offset,
                      size_t n, uint32_t at)
{
    static uint8_t text[OFFSETS + LENGTHS + 64];

    memset(text, GUARD, sizeof text);
    for (size_t i = 0; i < n; i++)
        text[offset + i] = (uint8_t)(i * 7 + 1);
    mask(text + offset, n, key, at);
    for (size_t i = 0; i < sizeof text; i++) {
        size_t k = i - offset; /* huge before the text */
        uint8_t expected =
            k < n ? (uint8_t)((k * 7 + 1) ^ key[(at + k) % 4]) : GUARD;
        if (text[i] != expected)
            fail_msg("%s: %zu bytes at +%zu from key byte %u differ at %zu",
                     name, n, offset, at, i);
    }
}

static void every_method_is_the_plain_loop(void **state)
{
    (void)state;
    size_t count;
    const struct ws_mask_method *m = ws_mask_methods(&count);
    assert_true(count >= 1);
    for (size_t i = 0; i < count; i++)
        for (size_t offset = 0; offset < OFFSETS; offset++)
            for (size_t n = 0; n < LENGTHS; n++)
                check_one(m[i].name, m[i].mask, offset, n,
                          (uint32_t)(offset + n) % 4);
}

static void the_chosen_method_is_the_plain_loop(void **state)
{
    (void)state;
    for (size_t n = 0; n < LENGTHS; n++)
        for (uint32_t at = 0; at < 4; at++)
            check_one("ws_mask", ws_mask, n % OFFSETS, n, at);
    check_one("ws_mask", ws_mask, 1, 299, 0xfffffffd);
}

static void pieces_make_the_whole(void **state)
{
    (void)state;
    uint8_t whole[LENGTHS], pieces[LENGTHS];
    for (size_t i = 0; i < LENGTHS; i++)
        whole[i] = pieces[i] = (uint8_t)i;
    ws_mask(whole, LENGTHS, key, 0);
    for (size_t cut = 0; cut <= LENGTHS; cut++) {
        uint8_t text[LENGTHS];
        memcpy(text, pieces, LENGTHS);
        ws_mask(text, cut, key, 0);
        ws_mask(text + cut, LENGTHS - cut, key, (uint32_t)cut);
        assert_memory_equal(text, whole, LENGTHS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unmasks_the_hello_of_the_rfc),
        TEST(every_method_is_the_plain_loop),
        TEST(the_chosen_method_is_the_plain_loop),
        TEST(pieces_make_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/utf8.h"

#include "support/feed.h"
#include "support/test.h"

/* Encode as if every number could be encoded, in the length asked for. */
static size_t encode(uint32_t code, size_t length, uint8_t out[4])
{
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (uint8_t)(leads[length] | code);
    return length;
}

static void accepts_each_code_point_in_its_shortest_form_only(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x200000; code++) {
        size_t shortest = code < 0x80      ? 1
                          : code < 0x800   ? 2
                          : code < 0x10000 ? 3
                                           : 4;
        bool legal = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        for (size_t length = shortest; length <= 4; length++) {
            uint8_t bytes[4];
            size_t n = encode(code, length, bytes);
            if (utf8_is_valid(bytes, n) != (legal && length == shortest))
                fail_msg("U+%04X in %zu bytes", code, length);
        }
    }
}

static void refuses_stray_and_impossible_bytes(void **state)
{
    (void)state;
    for (unsigned byte = 0x80; byte < 0x100; byte++) {
        uint8_t p[2] = {(uint8_t)byte, 'a'};
        assert_false(utf8_is_valid(p, 1)); /* a lead alone is not complete */
        assert_false(utf8_is_valid(p, 2));
    }
    assert_true(utf8_is_valid("", 0));
}

static void fails_at_the_first_byte_that_cannot_go_on(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint8_t bytes[4];
        size_t good; /* how many bytes are still acceptable */
    } cases[] = {
        {"overlong of two", {0xc0, 0x80}, 0},
        {"overlong of three", {0xe0, 0x9f, 0x80}, 1},
        {"surrogate", {0xed, 0xa0, 0x80}, 1},
        {"overlong of four", {0xf0, 0x8f, 0x80, 0x80}, 1},
        {"above U+10FFFF", {0xf4, 0x90, 0x80, 0x80}, 1},
        {"five bytes long", {0xf8, 0x88, 0x80, 0x80}, 0},
        {"broken in the middle", {0xf1, 0x80, 0x41, 0x80}, 2},
        {"broken at the end", {0xf1, 0x80, 0x80, 0xc0}, 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct utf8 u = {0};
        if (!utf8_next(&u, cases[i].bytes, cases[i].good))
            fail_msg("%s: refused too early", cases[i].why);
        if (utf8_next(&u, cases[i].bytes + cases[i].good, 1))
            fail_msg("%s: not refused", cases[i].why);
    }
}

struct split {
    struct utf8 u;
    bool ok;
};

static void begin(void *arg)
{
    *(struct split *)arg = (struct split){.ok = true};
}

static int feed(void *arg, struct span *in)
{
    struct split *s = arg;
    s->ok = utf8_next(&s->u, in->p, in->n);
    span_advance(in, in->n);
    return !s->ok;
}

static void end_good(void *arg, const char *how)
{
    struct split *s = arg;
    if (!s->ok || !utf8_is_complete(&s->u))
        fail_msg("refused %s", how);
}

static void end_bad(void *arg, const char *how)
{
    struct split *s = arg;
    if (s->ok && utf8_is_complete(&s->u))
        fail_msg("accepted %s", how);
}

static void does_not_care_where_it_is_cut(void **state)
{
    (void)state;
    struct split s;
    struct feed f = {&s, begin, feed, end_good};
    static const char good[] = "plain text of more than sixteen bytes, "
                               "\xc2\xa3 \xe2\x82\xac \xf0\x9f\x98\x80 and on "
                               "with plain text again \xf4\x8f\xbf\xbf";
    feed_every_split(&f, good, sizeof good - 1);
    f.end = end_bad;
    /* A bad byte behind a long ASCII run, at each place of a word. */
    for (size_t at = 0; at < 40; at++) {
        uint8_t text[40];
        memset(text, 'a', sizeof text);
        text[at] = 0x80;
        feed_every_split(&f, text, sizeof text);
    }
    feed_every_split(&f, good, sizeof good - 2); /* ends too early */
}

/* ---- the wide methods against the plain loop ---- */

static void compare(const uint8_t *p, size_t n)
{
    size_t count;
    const struct utf8_method *methods = utf8_methods(&count);
    struct utf8 expected = {0};
    bool good = utf8_next_by(&methods[count - 1], &expected, p, n);

    assert_null(methods[count - 1].run);
    for (size_t i = 0; i + 1 < count; i++) {
        struct utf8 u = {0};
        bool got = utf8_next_by(&methods[i], &u, p, n);
        if (got != good || (good && u.pending != expected.pending) ||
            (good && u.pending &&
             (u.low != expected.low || u.high != expected.high)))
            fail_msg("%s, %zu bytes", methods[i].name, n);
    }
}

enum { TEXT = 100, EDGE = 32 };

static void fill(uint8_t p[TEXT], unsigned how)
{
    for (size_t i = 0; i < TEXT; i++)
        p[i] = how == 0 ? 'a' : i % 2 ? 0xa9 : 0xc3;
}

/* Every two bytes, inside of a block and over its edge. */
static void every_method_judges_two_bytes_alike(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 2; how++)
        for (size_t at = EDGE - 2; at <= EDGE; at++)
            for (unsigned pair = 0; pair < 0x10000; pair++) {
                uint8_t text[TEXT];
                fill(text, how);
                text[at] = (uint8_t)(pair >> 8);
                text[at + 1] = (uint8_t)pair;
                compare(text, sizeof text);
            }
}

static void every_method_judges_four_bytes_alike(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                    0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed,
                                    0xef, 0xf0, 0xf3, 0xf4, 0xf5, 0xff};
    const size_t n = COUNT(edges);
    for (size_t at = EDGE - 3; at <= EDGE; at++)
        for (size_t k = 0; k < n * n * n * n; k++) {
            uint8_t text[TEXT];
            fill(text, 0);
            text[at] = edges[k % n];
            text[at + 1] = edges[k / n % n];
            text[at + 2] = edges[k / n / n % n];
            text[at + 3] = edges[k / n / n / n];
            compare(text, 64 + k % 7);
        }
}

/* Text of all kinds of characters, with a wrong byte now and then, at every
 * length: what is at the end is not looked at too far. */
static void every_method_is_the_plain_loop(void **state)
{
    (void)state;
    static const char *const kinds[] = {"a",
                                        "\xc3\xa9",
                                        "\xe2\x82\xac",
                                        "\xed\x9f\xbf",
                                        "\xf0\x9f\x98\x80",
                                        "0123456789abcdef0123456789abcdef"};
    uint32_t seed = 1;
    for (unsigned round = 0; round < 40000; round++) {
        size_t n = round % 400, i = 0;
        uint8_t *text = xmalloc(n + 1);
        while (i < n) {
            seed = seed * 1664525u + 1013904223u;
            const char *kind = kinds[(seed >> 16) % COUNT(kinds)];
            for (; *kind && i < n; kind++)
                text[i++] = (uint8_t)*kind;
        }
        if (n && round % 3 == 0)
            text[(seed >> 8) % n] = (uint8_t)(seed >> 24);
        uint8_t *exact = xmalloc(n + !n);
        memcpy(exact, text, n);
        compare(exact, n);
        free(exact);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accepts_each_code_point_in_its_shortest_form_only),
        TEST(refuses_stray_and_impossible_bytes),
        TEST(fails_at_the_first_byte_that_cannot_go_on),
        TEST(does_not_care_where_it_is_cut),
        TEST(every_method_judges_two_bytes_alike),
        TEST(every_method_judges_four_bytes_alike),
        TEST(every_method_is_the_plain_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

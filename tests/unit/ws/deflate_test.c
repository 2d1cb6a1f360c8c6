/* SPDX-License-Identifier: BSD-2-Clause */
#include "ws/deflate.h"

#include <zlib.h>

#include "support/feed.h"
#include "support/test.h"

enum { ROOM = 512 };

#define B(literal) STR_INIT(literal)

/* ---- one message, cut anywhere, against a text or a code ---- */

struct inflated {
    const char *why;
    struct str before; /* a message that went before it, in the same window */
    struct str in, expected;
    int code; /* 0: inflates to expected */
    bool text;
    uint64_t max; /* 0: plenty */
    /* state */
    struct ws_inflater *inflater;
    size_t used, given;
    struct buf out;
    int got;
};

/* Inflate all of what is there.  Returns the last return value. */
static int inflate_all(struct ws_inflater *i, struct span *in, bool end,
                       struct buf *out, bool *ended)
{
    uint8_t room[ROOM];
    struct ws_piece piece;
    int got;

    *ended = false;
    while ((got = ws_inflater_next(i, in, end, (struct span){room, ROOM},
                                   &piece)) == 1) {
        if (!piece.data.n && !piece.last)
            fail_msg("an empty piece");
        buf_put(out, piece.data.p, piece.data.n);
        if (piece.last) {
            *ended = true;
            break;
        }
    }
    return got;
}

static void begin(void *arg)
{
    struct inflated *f = arg;
    uint8_t copy[256];
    bool ended;

    ws_inflater_destroy(f->inflater);
    f->inflater = ws_inflater_create(15);
    f->used = f->given = 0;
    f->got = 0;
    if (f->before.n) {
        memcpy(copy, f->before.p, f->before.n);
        struct span in = {copy, f->before.n};
        ws_inflater_begin(f->inflater, false, false, UINT64_MAX);
        assert_int_equal(inflate_all(f->inflater, &in, true, &f->out, &ended),
                         1);
    }
    buf_clear(&f->out);
    ws_inflater_begin(f->inflater, f->before.n > 0, f->text,
                      f->max ? f->max : UINT64_MAX);
}

static int feed(void *arg, struct span *in)
{
    struct inflated *f = arg;
    size_t before = in->n;
    bool ended;

    /* All that was left over is shown again. */
    bool end = f->used + in->n == f->in.n;
    f->got = inflate_all(f->inflater, in, end, &f->out, &ended);
    f->used += before - in->n;
    if (f->got == 0 && in->n)
        fail_msg("%s: %zu bytes stayed", f->why, in->n);
    if (f->got == 0 && end)
        fail_msg("%s: wants more behind the end", f->why);
    return f->got < 0;
}

static void end(void *arg, const char *how)
{
    struct inflated *f = arg;
    if (!f->in.n) { /* nothing was fed */
        struct span none = {NULL, 0};
        feed(f, &none);
    }
    if (f->code ? f->got != f->code : f->got != 1)
        fail_msg("%s, fed %s: returned %d", f->why, how, f->got);
    if (!f->code && !str_eq(buf_str(&f->out), f->expected))
        fail_msg("%s, fed %s: said \"%.*s\"", f->why, how,
                 STR_ARG(buf_str(&f->out)));
}

static void run(struct inflated *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct feed f = {&rows[i], begin, feed, end};
        feed_every_split(&f, rows[i].in.p, rows[i].in.n);
        ws_inflater_destroy(rows[i].inflater);
        buf_fini(&rows[i].out);
    }
}

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"

static void inflates_the_examples_of_the_rfc(void **state)
{
    (void)state;
    struct inflated rows[] = {
        {"7.2.3.1: Hello", .in = B(HELLO), .expected = B("Hello")},
        {"7.2.3.2: Hello again", .before = B(HELLO),
         .in = B("\xf2\x00\x11\x00\x00"), .expected = B("Hello")},
        {"7.2.3.2: Hello again, in full", .before = B(HELLO), .in = B(HELLO),
         .expected = B("Hello")},
        {"7.2.3.3: a block without compression",
         .in = B("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
         .expected = B("Hello")},
        {"7.2.3.4: BFINAL", .in = B("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
         .expected = B("Hello")},
        {"7.2.3.4: BFINAL without the empty block behind it",
         .in = B("\xf3\x48\xcd\xc9\xc9\x07\x00"), .expected = B("Hello")},
        {"7.2.3.4: the window goes on behind BFINAL",
         .before = B("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
         .in = B("\xf2\x00\x11\x00\x00"), .expected = B("Hello")},
        {"7.2.3.4: and inside of the message",
         .in = B("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00"),
         .expected = B("HelloHello")},
        {"7.2.3.5: two blocks",
         .in = B("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
         .expected = B("Hello")},
        {"7.2.3.6: nothing", .in = B("\x00"), .expected = B("")},
        {"7.2.3.6: nothing, in another way", .in = B("\x02\x00"),
         .expected = B("")},
        {"a message of no bytes at all", .in = B(""), .expected = B("")},
    };
    run(rows, COUNT(rows));
}

static void refuses_what_is_no_stream_with_1007(void **state)
{
    (void)state;
    struct inflated rows[] = {
        {"a block of type 3", .code = -1007, .in = B("\x06")},
        {"a wrong length", .code = -1007,
         .in = B("\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00")},
        {"a length without data", .code = -1007,
         .in = B("\x00\x05\x00\xfa\xff")},
        {"too far back", .code = -1007, .in = B("\xf2\x00\x11\x00\x00")},
        {"an end inside a block", .code = -1007, .in = B("\xf2\x48\xcd")},
        {"an end inside a BFINAL block", .code = -1007,
         .in = B("\xf3\x48\xcd")},
        {"an end that is said twice", .code = -1007,
         .in = B(HELLO "\x00\x00\xff\xff")},
        {"too many lengths", .code = -1007, .in = B("\xfc\x00\x00")},
        {"noise", .code = -1007, .in = B("Hello, this is text.")},
    };
    run(rows, COUNT(rows));
}

static void checks_text_when_it_is_inflated(void **state)
{
    (void)state;
    struct inflated rows[] = {
        {"not text", .code = -1007, .text = true,
         .in = B("\x00\x02\x00\xfd\xff\xc3\x28\x00")},
        {"binary may be anything", .in = B("\x00\x02\x00\xfd\xff\xc3\x28\x00"),
         .expected = B("\xc3\x28")},
        {"half a character", .code = -1007, .text = true,
         .in = B("\x00\x02\x00\xfd\xff\xe2\x82\x00")},
        {"a character in two blocks", .text = true,
         .in = B("\x00\x02\x00\xfd\xff\xe2\x82\x00\x01\x00\xfe\xff\xac\x00"),
         .expected = B("\xe2\x82\xac")},
    };
    run(rows, COUNT(rows));
}

static void holds_a_message_to_its_limit(void **state)
{
    (void)state;
    struct inflated rows[] = {
        {"the limit", .max = 5, .in = B(HELLO), .expected = B("Hello")},
        {"one more", .max = 4, .code = -1009, .in = B(HELLO)},
        {"nothing at all", .max = 0, .in = B("\x00"), .expected = B("")},
    };
    run(rows, COUNT(rows));
}

/* ---- there and back ---- */

static uint32_t noise(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Text that repeats itself, near and far, with noise in between. */
static void make_text(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n;) {
        size_t run = 1 + noise(&seed) % 40;
        size_t back = 1 + noise(&seed) % (i < 70000 ? i + 1 : 70000);
        bool again = noise(&seed) % 4 && back <= i;
        for (; run && i < n; run--, i++)
            p[i] = again ? p[i - back] : (uint8_t)(noise(&seed) % 64);
    }
}

struct pair {
    struct ws_deflater *d;
    struct ws_inflater *i;
    bool takeover;
    unsigned level;
};

static void there_and_back(struct pair *pair, const uint8_t *p, size_t n,
                           size_t fragment)
{
    struct buf wire = {0}, out = {0};
    bool ended;

    if (!pair->takeover)
        ws_deflater_reset(pair->d, pair->level);
    size_t at = 0;
    do {
        size_t part = n - at < fragment ? n - at : fragment;
        ws_deflate(pair->d, p + at, part, at + part == n, &wire);
        at += part;
    } while (at < n);
    ws_inflater_begin(pair->i, pair->takeover, false, n);
    struct span in = {wire.p, wire.n};
    assert_int_equal(inflate_all(pair->i, &in, true, &out, &ended), 1);
    assert_true(ended && in.n == 0);
    assert_true(str_eq(buf_str(&out), str_n(p, n)));
    buf_fini(&wire);
    buf_fini(&out);
}

static void what_it_deflates_can_be_inflated(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 5, 0, 0, 300, 4096, 70000, 0, 200000};
    static uint8_t text[200000];
    make_text(text, sizeof text, 1);
    for (unsigned bits = 8; bits <= 15; bits++)
        for (unsigned mode = 0; mode < 4; mode++) {
            struct pair pair = {.level = mode & 1 ? 9 : 1,
                                .takeover = mode & 2};
            pair.d = ws_deflater_create(bits, pair.level);
            pair.i = ws_inflater_create(bits);
            for (size_t k = 0; k < COUNT(sizes); k++) {
                there_and_back(&pair, text, sizes[k], SIZE_MAX);
                there_and_back(&pair, text, sizes[k], 5000);
            }
            ws_deflater_destroy(pair.d);
            ws_inflater_destroy(pair.i);
        }
}

/* The farthest that a stream refers back: zlib is asked to write a byte at a
 * time, so that it has nothing but its window to look at. */
static bool fits_in_window(struct str wire, int bits)
{
    z_stream z = {0};
    uint8_t byte;

    assert_int_equal(inflateInit2(&z, -bits), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)wire.p;
    z.avail_in = (uInt)wire.n;
    int rc;
    do {
        z.next_out = &byte;
        z.avail_out = 1;
        rc = inflate(&z, Z_SYNC_FLUSH);
    } while (rc == Z_OK && (z.avail_in || !z.avail_out));
    inflateEnd(&z);
    return rc == Z_OK || rc == Z_BUF_ERROR;
}

static void keeps_to_its_window(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    static uint8_t text[SIZE];
    for (int bits = 8; bits <= 15; bits++) {
        /* The same again and again, as far back as the window is wide: who
         * looks further finds it. */
        size_t period = (size_t)1 << bits;
        make_text(text, period < SIZE ? period : SIZE, 7);
        for (size_t i = period; i < SIZE; i++)
            text[i] = i % 97 ? text[i - period + i % 3] : (uint8_t)(i / 97);
        for (unsigned level = 1; level <= 9; level += 4) {
            struct ws_deflater *d = ws_deflater_create((unsigned)bits, level);
            struct buf wire = {0};
            ws_deflate(d, text, SIZE, true, &wire);
            assert_true(fits_in_window(buf_str(&wire), bits));
            ws_deflater_destroy(d);
            buf_fini(&wire);
        }
    }
    /* The measure sees a window that is too wide. */
    struct ws_deflater *d = ws_deflater_create(10, 9);
    struct buf wire = {0};
    make_text(text, 512, 3);
    memcpy(text + 512, text, 400);
    ws_deflate(d, text, 912, true, &wire);
    assert_true(fits_in_window(buf_str(&wire), 10));
    assert_false(fits_in_window(buf_str(&wire), 8));
    ws_deflater_destroy(d);
    buf_fini(&wire);
}

static void a_reset_forgets_and_changes_the_level(void **state)
{
    (void)state;
    static uint8_t text[4000];
    struct buf first = {0}, again = {0}, anew = {0}, best = {0};
    make_text(text, sizeof text, 5);
    struct ws_deflater *d = ws_deflater_create(14, 1);
    ws_deflate(d, text, sizeof text, true, &first);
    ws_deflate(d, text, sizeof text, true, &again);
    assert_true(again.n < first.n / 10);
    ws_deflater_reset(d, 1);
    ws_deflate(d, text, sizeof text, true, &anew);
    assert_true(str_eq(buf_str(&anew), buf_str(&first)));
    ws_deflater_reset(d, 9);
    ws_deflate(d, text, sizeof text, true, &best);
    assert_true(best.n < first.n);
    ws_deflater_destroy(d);
    buf_fini(&first);
    buf_fini(&again);
    buf_fini(&anew);
    buf_fini(&best);
}

/* ---- streaming ---- */

static void inflates_much_in_no_memory(void **state)
{
    (void)state;
    static uint8_t zeros[1 << 20];
    struct ws_deflater *d = ws_deflater_create(15, 9);
    struct buf wire = {0};
    for (int i = 0; i < 64; i++)
        ws_deflate(d, zeros, sizeof zeros, i == 63, &wire);
    ws_deflater_destroy(d);

    /* 64 MiB are 64 KiB; the limit is seen when it is passed. */
    struct ws_inflater *i = ws_inflater_create(15);
    for (unsigned limit = 0; limit < 2; limit++) {
        uint64_t max = limit ? 10 << 20 : 64 << 20, total = 0;
        uint8_t room[4096];
        struct span in = {wire.p, wire.n};
        struct ws_piece piece = {.last = false};
        int got = 1;
        ws_inflater_begin(i, false, true, max);
        while (!piece.last &&
               (got = ws_inflater_next(i, &in, true, (struct span){room, 4096},
                                       &piece)) == 1)
            total += piece.data.n;
        assert_int_equal(got, limit ? -1009 : 1);
        assert_int_equal(total, max);
        assert_true(limit ? in.n > wire.n / 2 : in.n == 0);
    }
    ws_inflater_destroy(i);
    buf_fini(&wire);
}

static void gives_each_fragment_whole(void **state)
{
    (void)state;
    static const char *const parts[] = {"first ", "", "second ", "third", ""};
    struct ws_deflater *d = ws_deflater_create(15, 1);
    struct ws_inflater *i = ws_inflater_create(15);
    ws_inflater_begin(i, false, true, 100);
    for (size_t k = 0; k < COUNT(parts); k++) {
        bool last = k == COUNT(parts) - 1, ended;
        struct buf wire = {0}, out = {0};
        ws_deflate(d, parts[k], strlen(parts[k]), last, &wire);
        struct span in = {wire.p, wire.n};
        assert_int_equal(inflate_all(i, &in, last, &out, &ended), last);
        assert_true(ended == last);
        assert_str(buf_str(&out), parts[k]);
        buf_fini(&wire);
        buf_fini(&out);
    }
    ws_deflater_destroy(d);
    ws_inflater_destroy(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(inflates_the_examples_of_the_rfc),
        TEST(refuses_what_is_no_stream_with_1007),
        TEST(checks_text_when_it_is_inflated),
        TEST(holds_a_message_to_its_limit),
        TEST(what_it_deflates_can_be_inflated),
        TEST(keeps_to_its_window),
        TEST(a_reset_forgets_and_changes_the_level),
        TEST(inflates_much_in_no_memory),
        TEST(gives_each_fragment_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

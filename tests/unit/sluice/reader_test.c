/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/reader.h"

#include "sluice/hello.h"
#include "support/feed.h"
#include "unit/sluice/golden.h"

static const uint64_t above = UINT64_C(1) << 53;

static struct sluice_reader reader_after_hello(enum sluice_role peer)
{
    struct sluice_reader r;
    sluice_reader_init(&r, peer, SLUICE_MAX_FRAME_MIN);
    r.hello_seen = true;
    return r;
}

/* A header alone, whose payload never comes. */
static int say(struct sluice_reader *r, uint8_t type, uint32_t length,
               uint64_t cid)
{
    struct sluice_header h = {.type = type, .length = length, .cid = cid};
    uint8_t bytes[SLUICE_HEADER_SIZE];
    sluice_header_put(bytes, &h);
    struct span in = {bytes, sizeof bytes};
    struct sluice_frame f;
    return sluice_reader_next(r, &in, &f);
}

static void refuses_a_header_that_nobody_may_send(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        enum sluice_role peer;
        uint8_t type;
        uint32_t length;
        uint64_t cid;
        int expected;
    } bad[] = {
        {"type 0", SLUICE_ROLE_BACKEND, 0, 0, 0, -1},
        {"a second HELLO", SLUICE_ROLE_BACKEND, 0x01, 48, 0, -1},
        {"a type below 0x80 that is not in the table", SLUICE_ROLE_BACKEND,
         0x7f, 0, 0, -2},
        {"one byte over max_frame", SLUICE_ROLE_BACKEND, 0x20, 16385, 1, -3},
        {"length 2^32-1", SLUICE_ROLE_BACKEND, 0x20, UINT32_MAX, 1, -3},
        {"an ignorable one over max_frame", SLUICE_ROLE_BACKEND, 0xc0, 16385, 0,
         -3},
        {"OPEN from a backend", SLUICE_ROLE_BACKEND, 0x10, 32, 1, -1},
        {"ACCEPT from a gateway", SLUICE_ROLE_GATEWAY, 0x11, 8, 1, -1},
        {"TEXT from a publisher", SLUICE_ROLE_PUBLISHER, 0x20, 0, 1, -1},
        {"BROADCAST from a monitor", SLUICE_ROLE_MONITOR, 0x43, 12, 0, -1},
        {"a cid of 2^53", SLUICE_ROLE_BACKEND, 0x20, 0, above, -1},
        {"the same in an ignorable type", SLUICE_ROLE_BACKEND, 0x80, 0, above,
         -1},
        {"the same where both are allowed", SLUICE_ROLE_BACKEND, 0x06, 4, above,
         -1},
        {"TEXT to the link", SLUICE_ROLE_BACKEND, 0x20, 0, 0, -1},
        {"ACK to a client", SLUICE_ROLE_BACKEND, 0x30, 0, 1, -1},
        {"a fixed part cut short", SLUICE_ROLE_GATEWAY, 0x15, 31, 1, -1},
        {"a feature that is not in effect", SLUICE_ROLE_BACKEND, 0x25, 0, 1,
         -8},
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct sluice_reader r = reader_after_hello(bad[i].peer);
        int got = say(&r, bad[i].type, bad[i].length, bad[i].cid);
        if (got != bad[i].expected)
            fail_msg("%s: returned %d", bad[i].why, got);
        assert_int_equal(r.bad_type, bad[i].type);
        if (say(&r, SLUICE_NOP, 0, 0) != bad[i].expected)
            fail_msg("%s: not spent", bad[i].why);
    }
}

static void waits_for_a_payload_within_limits(void **state)
{
    (void)state;
    struct sluice_reader r = reader_after_hello(SLUICE_ROLE_BACKEND);
    assert_int_equal(say(&r, SLUICE_TEXT, SLUICE_MAX_FRAME_MIN, 1), 0);
    assert_int_equal(sluice_reader_missing(&r), SLUICE_MAX_FRAME_MIN);
    r.features = SLUICE_FEATURE_RAW;
    assert_int_equal(say(&r, SLUICE_RAW, 1, above - 1), 0);
    r.peer = SLUICE_ROLE_PUBLISHER;
    assert_int_equal(say(&r, SLUICE_BROADCAST, 13, 0), 0);
    assert_int_equal(sluice_reader_missing(&r), 13);
}

static void the_first_frame_is_hello_with_its_magic(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *bytes;
        size_t n;
        int expected;
    } rows[] = {
        {"READY first", "\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0", 16, -1},
        {"an ignorable one first", "\0\0\0\0\xc0\0\0\0\0\0\0\0\0\0\0\0", 16,
         -1},
        {"a browser", "GET / HTTP/1.1\r\nHost", 20, -1},
        {"HELLO too short", "\x2f\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 16, -1},
        {"the magic's first byte", "\x30\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0s", 17,
         -1},
        {"the magic's last byte", "\x30\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0SLUICE1\r",
         24, -1},
        {"a header and no more", "\x30\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0", 16, 0},
        {"half a magic", "\x30\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0SLUI", 20, 0},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t bytes[64];
        memcpy(bytes, rows[i].bytes, rows[i].n);
        struct span in = {bytes, rows[i].n};
        struct sluice_reader r;
        struct sluice_frame f;
        sluice_reader_init(&r, SLUICE_ROLE_BACKEND, SLUICE_MAX_FRAME_MIN);
        int got = sluice_reader_next(&r, &in, &f);
        if (got != rows[i].expected)
            fail_msg("%s: returned %d", rows[i].why, got);
    }
}

/* Frames and what is skipped between them, as text. */
struct transcript {
    struct sluice_reader reader;
    struct buf out;
};

static void begin(void *arg)
{
    struct transcript *t = arg;
    sluice_reader_init(&t->reader, SLUICE_ROLE_BACKEND, SLUICE_MAX_FRAME_MIN);
    buf_clear(&t->out);
}

static int feed(void *arg, struct span *in)
{
    struct transcript *t = arg;
    struct sluice_frame f;
    int got;

    while ((got = sluice_reader_next(&t->reader, in, &f)) == 1)
        buf_printf(&t->out, "%s %zu;", sluice_type_name(f.header.type),
                   f.payload.n);
    if (got < 0)
        buf_printf(&t->out, "%d", got);
    return got;
}

static void end(void *arg, const char *how)
{
    struct transcript *t = arg;
    print_message("%s\n", how);
    assert_str(buf_str(&t->out), "HELLO 48;READY 0;TEXT 3;NOP 0;-2");
    assert_int_equal(t->reader.ignored, 2);
    assert_int_equal(t->reader.bad_type, 0x7e);
}

static void skips_ignorable_frames_in_whatever_pieces(void **state)
{
    (void)state;
    struct sluice_hello hello = {.version_min = 1,
                                 .version_max = 1,
                                 .role = SLUICE_ROLE_BACKEND,
                                 .max_frame = SLUICE_MAX_FRAME_MIN};
    struct buf in = {0};
    sluice_hello_put(&in, &hello);
    sluice_frame_put(&in, &(struct sluice_header){.type = 0xc1}, STR("secret"));
    sluice_empty_put(&in, SLUICE_READY, 0, 0);
    sluice_frame_put(&in, &(struct sluice_header){.type = 0x80, .cid = 7},
                     STR(""));
    sluice_frame_put(&in,
                     &(struct sluice_header){.type = SLUICE_TEXT, .cid = 7},
                     STR("abc"));
    sluice_empty_put(&in, SLUICE_NOP, 0, 0);
    sluice_frame_put(&in, &(struct sluice_header){.type = 0x7e}, STR("x"));

    struct transcript t = {0};
    struct feed f = {&t, begin, feed, end};
    feed_every_split(&f, in.p, in.n);
    buf_fini(&t.out);
    buf_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_a_header_that_nobody_may_send),
        TEST(waits_for_a_payload_within_limits),
        TEST(the_first_frame_is_hello_with_its_magic),
        TEST(skips_ignorable_frames_in_whatever_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

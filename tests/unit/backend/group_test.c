/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/backend/gateway.h"

static psb_t *start(struct gateway *g, size_t links, uint64_t features)
{
    static const psb_app app = {.name = "t"};
    psb_t *b = psb_new("test");

    assert_int_equal(psb_app_add(b, &app), 1);
    for (size_t i = 0; i < links; i++) {
        gateway_connect(&g[i], b);
        g[i].features = features;
        gateway_greet(&g[i], b);
    }
    return b;
}

static void finish(psb_t *b, struct gateway *g, size_t links)
{
    psb_free(b);
    for (size_t i = 0; i < links; i++)
        gateway_fini(&g[i]);
}

static struct sluice_bstream hear_piece(struct gateway *g, const char *data)
{
    struct sluice_frame f;
    struct sluice_bstream m;

    assert_heard(g, SLUICE_BSTREAM, &f);
    assert_int_equal(sluice_bstream_get(&m, &f), 0);
    assert_str(m.start ? m.first.data : m.data, data);
    return m;
}

static void a_stream_begins_with_its_first_piece(void **state)
{
    (void)state;
    struct gateway g[3];
    struct sluice_frame f;
    struct sluice_bstream m;
    psb_t *b = start(g, 2, SLUICE_FEATURE_BSTREAM);

    uint64_t id = psb_bstream_begin(b, 1, 1);
    assert_in_range(id, 1, SLUICE_SLOT_MAX);
    assert_int_equal(psb_bstream_write(b, id, "", 0), 0);
    turn(b);
    assert_int_equal(gateway_hear(&g[0], &f), 0);
    assert_int_equal(psb_bstream_write(b, id, "one", 3), 0);
    assert_int_equal(psb_bstream_write(b, id, "two", 3), 0);
    turn(b);
    for (int i = 0; i < 2; i++) {
        m = hear_piece(&g[i], "one");
        assert_true(m.start && !m.end && m.stream == id);
        assert_int_equal(m.first.opcode, 2);
        assert_int_equal(m.first.app_id, 1);
        m = hear_piece(&g[i], "two");
        assert_true(!m.start && !m.end && m.stream == id);
    }
    /* Who comes now was not there. */
    gateway_connect(&g[2], b);
    g[2].features = SLUICE_FEATURE_BSTREAM;
    gateway_greet(&g[2], b);
    assert_int_equal(psb_bstream_end(b, id), 0);
    turn(b);
    m = hear_piece(&g[0], "");
    assert_true(m.end && !m.start);
    assert_int_equal(gateway_hear(&g[2], &f), 0);
    assert_int_equal(psb_bstream_write(b, id, "x", 1), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(psb_bstream_end(b, id), -1);
    finish(b, g, 3);
}

static void streams_have_numbers_of_their_own(void **state)
{
    (void)state;
    struct gateway g[1];
    psb_t *b = start(g, 1, SLUICE_FEATURE_BSTREAM);

    uint64_t one = psb_bstream_begin(b, 0, 0), two = psb_bstream_begin(b, 0, 0);
    assert_true(one != two);
    psb_bstream_write(b, two, "2", 1);
    psb_bstream_write(b, one, "1", 1);
    psb_bstream_end(b, two);
    turn(b);
    assert_true(hear_piece(g, "2").stream == two);
    assert_true(hear_piece(g, "1").stream == one);
    assert_true(hear_piece(g, "").stream == two);
    /* An empty message is one too. */
    uint64_t three = psb_bstream_begin(b, 0, 0);
    psb_bstream_end(b, three);
    turn(b);
    struct sluice_bstream m = hear_piece(g, "");
    assert_true(m.start && m.end && m.stream == three);
    assert_true(psb_bstream_begin(b, 2, 0) == 0);
    assert_int_equal(errno, EINVAL);
    finish(b, g, 1);
}

static void large_pieces_are_cut(void **state)
{
    (void)state;
    struct gateway g[1];
    static char big[3 * SLUICE_MAX_FRAME_MIN];
    struct sluice_frame f;
    size_t got = 0;
    int frames = 0;
    psb_t *b = start(g, 1, SLUICE_FEATURE_BSTREAM);

    uint64_t id = psb_bstream_begin(b, 1, 1);
    assert_int_equal(psb_bstream_write(b, id, big, sizeof big), 0);
    turn(b);
    while (gateway_hear(g, &f)) {
        struct sluice_bstream m;
        assert_true(f.payload.n <= SLUICE_MAX_FRAME_MIN);
        assert_int_equal(sluice_bstream_get(&m, &f), 0);
        assert_int_equal(m.start, frames++ == 0);
        got += m.start ? m.first.data.n : m.data.n;
    }
    assert_int_equal(got, sizeof big);
    finish(b, g, 1);
}

static void a_gateway_without_streams_gets_none(void **state)
{
    (void)state;
    struct gateway g[1];
    struct sluice_frame f;
    psb_t *b = start(g, 1, 0);

    uint64_t id = psb_bstream_begin(b, 1, 1);
    psb_bstream_write(b, id, "x", 1);
    psb_bstream_end(b, id);
    turn(b);
    assert_int_equal(gateway_hear(g, &f), 0);
    /* Left under way: nothing leaks. */
    psb_bstream_begin(b, 1, 1);
    finish(b, g, 1);
}

static void a_piece_is_sent_to_all_or_to_none(void **state)
{
    (void)state;
    enum { ENOUGH = 70 };
    struct gateway g[2];
    static char big[1 << 20];
    psb_t *b = start(g, 2, SLUICE_FEATURE_BSTREAM);
    int rc = 0, slow = 0;

    uint64_t id = psb_bstream_begin(b, 1, 1);
    for (int i = 0; rc >= 0 && i < ENOUGH; i++) {
        rc = psb_bstream_write(b, id, big, sizeof big);
        slow += rc == 1;
    }
    assert_int_equal(rc, -1);
    assert_int_equal(errno, ENOBUFS);
    assert_in_range(slow, 1, ENOUGH);
    finish(b, g, 2);
}

/* What bits or control frames say only this backend's own clients can hear. */
static void one_frame_goes_to_all_of_its_own(void **state)
{
    (void)state;
    struct gateway g[2];
    struct sluice_frame f;
    psb_t *b = start(g, 2, SLUICE_FEATURE_RAW);

    gateway_open(&g[0], 1);
    gateway_open(&g[0], 2);
    gateway_say(&g[0]);
    turn(b);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x81, "x", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 0, 0xb1, "y", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x89, "z", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x88, "z", 1), -1);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x09, "z", 1), -1);
    assert_int_equal(psb_broadcast_raw(b, 2, 0x81, "z", 1), -1);
    turn(b);
    assert_heard(&g[0], SLUICE_ACCEPT, &f);
    assert_heard(&g[0], SLUICE_ACCEPT, &f);
    assert_heard(&g[0], SLUICE_BROADCAST, &f);
    assert_heard(&g[1], SLUICE_BROADCAST, &f);
    for (int i = 0; i < 4; i++) {
        assert_heard(&g[0], SLUICE_RAW, &f);
        assert_int_equal(f.header.aux, i < 2 ? 0xb1 : 0x89);
    }
    assert_int_equal(gateway_hear(&g[1], &f), 0);
    finish(b, g, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_begins_with_its_first_piece),
        cmocka_unit_test(streams_have_numbers_of_their_own),
        cmocka_unit_test(large_pieces_are_cut),
        cmocka_unit_test(a_gateway_without_streams_gets_none),
        cmocka_unit_test(a_piece_is_sent_to_all_or_to_none),
        cmocka_unit_test(one_frame_goes_to_all_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

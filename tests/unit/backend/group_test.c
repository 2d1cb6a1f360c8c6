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

/* ---- reports ---- */

struct heard {
    int calls;
    psb_delivered d;
    uint32_t count;
    psb_cid ids[4];
    size_t ids_n;
    int lost, last;
    char json[100];
};

static void on_delivered(psb_t *b, const psb_delivered *d, void *arg)
{
    struct heard *h = arg;
    (void)b;
    h->calls++;
    h->d = *d;
}

static void on_members(psb_t *b, const psb_members *m, void *arg)
{
    struct heard *h = arg;
    (void)b;
    h->calls++;
    h->count = m->count;
    h->lost = m->lost;
    assert_true(m->ids_n <= COUNT(h->ids));
    h->ids_n = m->ids_n;
    memcpy(h->ids, m->ids, m->ids_n * sizeof *m->ids);
}

static void on_stats(psb_t *b, psb_buf json, int last, void *arg)
{
    struct heard *h = arg;
    (void)b;
    h->calls++;
    h->last += last;
    snprintf(h->json + strlen(h->json), 50, "%.*s;", (int)json.n,
             json.p ? (const char *)json.p : "");
}

static void answer_delivered(struct gateway *g, uint16_t token, uint32_t n)
{
    struct sluice_delivered d = {token, 10 * n, 4 * n, 3 * n, 2 * n};
    sluice_delivered_put(&g->out, &d);
    gateway_say(g);
}

static void what_became_of_a_message_is_added_up(void **state)
{
    (void)state;
    struct gateway g[2];
    struct heard h = {0};
    psb_cid except[] = {cid_of(5), 0, cid_of(6)};
    psb_group how = {.scope = PSB_OWN,
                     .except = except,
                     .except_n = 3,
                     .done = on_delivered,
                     .arg = &h};
    struct sluice_broadcast m[2];
    struct sluice_frame f;
    psb_t *b = start(g, 2, 0);

    assert_int_equal(
        psb_broadcast_with(b, 1, 1 + PSB_NOCOMPRESS, "all", 3, &how), 0);
    turn(b);
    for (int i = 0; i < 2; i++) {
        assert_heard(&g[i], SLUICE_BROADCAST, &f);
        assert_int_equal(sluice_broadcast_get(&m[i], &f), 0);
        assert_true(m[i].notify && m[i].nocompress && m[i].opcode == 2);
        assert_int_equal(m[i].opts, SLUICE_BROADCAST_OWN_ONLY);
        assert_int_equal(sluice_ids_count(m[i].except), 2);
        assert_true(sluice_ids_at(m[i].except, 1) == cid_of(6));
    }
    answer_delivered(&g[1], m[1].token, 1);
    answer_delivered(&g[1], (uint16_t)(m[1].token + 1), 7); /* of nobody */
    turn(b);
    assert_int_equal(h.calls, 0);
    answer_delivered(&g[0], m[0].token, 2);
    turn(b);
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.d.matched, 30);
    assert_int_equal(h.d.queued, 12);
    assert_int_equal(h.d.skipped, 9);
    assert_int_equal(h.d.dropped, 6);
    assert_int_equal(h.d.lost, 0);
    finish(b, g, 2);
}

static void a_lost_gateway_says_nothing(void **state)
{
    (void)state;
    struct gateway g[2];
    struct heard h = {0}, none = {0};
    psb_group how = {.done = on_delivered, .arg = &h};
    struct sluice_frame f;
    struct sluice_broadcast m;
    psb_t *b = start(g, 2, 0);

    psb_broadcast_with(b, 0, 0, "x", 1, &how);
    turn(b);
    assert_heard(&g[0], SLUICE_BROADCAST, &f);
    sluice_broadcast_get(&m, &f);
    answer_delivered(&g[0], m.token, 1);
    close(g[1].fd);
    g[1].fd = -1;
    turn(b);
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.d.matched, 10);
    assert_int_equal(h.d.lost, 1);
    /* Nobody is asked: it is told all the same, and not at once. */
    how.scope = PSB_PROCESS;
    how.of = sluice_cid_make(1, 1, 9);
    how.arg = &none;
    assert_int_equal(psb_broadcast_with(b, 0, 0, "x", 1, &how), 0);
    assert_int_equal(none.calls, 0);
    assert_int_equal(psb_timeout_ms(b), 0);
    turn(b);
    assert_int_equal(none.calls, 1);
    /* At the end too. */
    how = (psb_group){.done = on_delivered, .arg = &h};
    psb_broadcast_with(b, 0, 0, "x", 1, &how);
    finish(b, g, 2);
    assert_int_equal(h.calls, 2);
    assert_int_equal(h.d.lost, 1);
}

static void a_message_goes_to_all_links_or_to_none(void **state)
{
    (void)state;
    struct gateway g[2];
    struct heard h = {0};
    static char big[SLUICE_MAX_FRAME_MIN];
    psb_group how = {.done = on_delivered, .arg = &h};
    struct sluice_frame f;
    psb_t *b = start(g, 1, SLUICE_FEATURE_CHANNELS);
    gateway_connect(&g[1], b);
    g[1].max_frame = 1 << 20;
    g[1].features = SLUICE_FEATURE_CHANNELS;
    gateway_greet(&g[1], b);

    assert_int_equal(psb_broadcast_with(b, 0, 1, big, sizeof big, &how), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(psb_publish_with(b, "c", 1, big, sizeof big, &how), -1);
    turn(b);
    assert_int_equal(gateway_hear(&g[1], &f), 0);
    assert_int_equal(h.calls, 0);
    how.scope = 7;
    assert_int_equal(psb_broadcast_with(b, 0, 1, big, 1, &how), -1);
    how.scope = PSB_OWN;
    assert_int_equal(psb_publish_with(b, "c", 1, big, 1, &how), -1);
    assert_int_equal(psb_publish_with(b, "", 1, big, 1, NULL), -1);
    assert_int_equal(psb_msend_with(b, NULL, 0, 1, big, 1, &how), -1);
    assert_int_equal(psb_broadcast_with(b, 2, 1, big, 1, NULL), -1);
    finish(b, g, 2);
}

static void a_stream_is_reported_at_its_end(void **state)
{
    (void)state;
    struct gateway g[1];
    struct heard h = {0};
    psb_cid one = cid_of(5);
    psb_group how = {
        .except = &one, .except_n = 1, .done = on_delivered, .arg = &h};
    psb_t *b = start(g, 1, SLUICE_FEATURE_BSTREAM);

    uint64_t id = psb_bstream_begin_with(b, 1, PSB_NOCOMPRESS, &how);
    psb_bstream_write(b, id, "a", 1);
    psb_bstream_end(b, id);
    turn(b);
    struct sluice_bstream m = hear_piece(g, "a");
    assert_true(m.start && !m.notify && m.first.nocompress);
    assert_true(sluice_ids_at(m.first.except, 0) == one);
    m = hear_piece(g, "");
    assert_true(m.end && m.notify);
    answer_delivered(g, m.token, 1);
    turn(b);
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.d.queued, 4);
    finish(b, g, 1);
}

static void members_of_all_gateways_are_listed(void **state)
{
    (void)state;
    struct gateway g[2];
    struct heard h = {0};
    psb_t *b = start(g, 2, SLUICE_FEATURE_CHANNELS);

    assert_int_equal(psb_presence(b, "", 1, on_members, &h), -1);
    assert_int_equal(psb_presence(b, "room", 1, on_members, &h), 0);
    turn(b);
    for (unsigned i = 0; i < 2; i++) {
        struct sluice_frame f;
        struct sluice_presence_req q;
        struct buf ids = {0};
        assert_heard(&g[i], SLUICE_PRESENCE_REQ, &f);
        assert_int_equal(sluice_presence_req_get(&q, &f), 0);
        assert_true(q.list);
        assert_str(q.channel, "room");
        for (unsigned k = 0; k <= i; k++)
            sluice_ids_append(&ids, cid_of(i * 10 + k + 1));
        struct sluice_presence p = {.token = q.token,
                                    .list = true,
                                    .count = i + 1,
                                    .ids = buf_str(&ids)};
        sluice_presence_put(&g[i].out, &p);
        gateway_say(&g[i]);
        buf_fini(&ids);
    }
    turn(b);
    assert_int_equal(h.calls, 1);
    assert_int_equal(h.count, 3);
    assert_int_equal(h.ids_n, 3);
    assert_true(h.ids[0] == cid_of(1) && h.ids[2] == cid_of(12));
    finish(b, g, 2);
}

static void stats_come_from_each_gateway(void **state)
{
    (void)state;
    struct gateway g[2];
    struct heard h = {0}, one = {0}, gone = {0};
    struct sluice_frame f;
    psb_t *b = start(g, 2, 0);

    assert_int_equal(psb_stats(b, PSB_STATS_PROCESS, 0, on_stats, &h), 0);
    assert_int_equal(psb_stats(b, PSB_STATS_INSTANCE, 0, on_stats, &one), 0);
    assert_int_equal(psb_stats(b, PSB_STATS_CLIENT, 0, on_stats, &one), -1);
    turn(b);
    /* Those of the instance may come later, or earlier. */
    assert_heard(&g[0], SLUICE_STATS_REQ, &f);
    assert_heard(&g[0], SLUICE_STATS_REQ, &f);
    assert_heard(&g[1], SLUICE_STATS_REQ, &f);
    assert_int_equal(gateway_hear(&g[1], &f), 0);
    struct sluice_stats s = {.scope = SLUICE_STATS_INSTANCE,
                             .json = STR("{all}")};
    sluice_stats_put(&g[0].out, &s);
    s = (struct sluice_stats){.scope = SLUICE_STATS_PROCESS,
                              .json = STR("{0}")};
    sluice_stats_put(&g[0].out, &s);
    gateway_say(&g[0]);
    turn(b);
    assert_string_equal(one.json, "{all};");
    assert_int_equal(one.last, 1);
    assert_string_equal(h.json, "{0};");
    assert_int_equal(h.last, 0);
    struct sluice_error_frame e = {.code = SLUICE_ERROR_LIMIT,
                                   .offending_type = SLUICE_STATS_REQ,
                                   .text = STR("no")};
    sluice_error_put(&g[1].out, &e);
    gateway_say(&g[1]);
    turn(b);
    assert_string_equal(h.json, "{0};;");
    assert_int_equal(h.last, 1);
    /* A client that no link can know. */
    assert_int_equal(psb_stats(b, PSB_STATS_CLIENT, sluice_cid_make(1, 1, 77),
                               on_stats, &gone),
                     0);
    turn(b);
    assert_int_equal(gone.calls, 1);
    assert_int_equal(gone.last, 1);
    finish(b, g, 2);
}

/* ---- clients of others ---- */

static void clients_of_others_are_reached_by_their_ids(void **state)
{
    (void)state;
    enum { CROSS = SLUICE_FEATURE_CROSS | SLUICE_FEATURE_CHANNELS };
    struct gateway g[1];
    struct sluice_frame f;
    struct sluice_msend m;
    struct sluice_close c;
    psb_t *b = start(g, 1, CROSS);

    assert_int_equal(psb_send_to(b, cid_of(9), 1, "hey", 3), 0);
    assert_int_equal(psb_close_cid(b, cid_of(9), 4001, "bye"), 0);
    assert_int_equal(psb_terminate_cid(b, cid_of(9)), 0);
    assert_int_equal(psb_subscribe_cid(b, cid_of(9), "room"), 0);
    assert_int_equal(psb_unsubscribe_cid(b, cid_of(9), NULL), 0);
    turn(b);
    assert_heard(g, SLUICE_MSEND, &f);
    assert_int_equal(sluice_msend_get(&m, &f), 0);
    assert_true(sluice_ids_at(m.ids, 0) == cid_of(9) && m.opcode == 2);
    assert_heard(g, SLUICE_CLOSE, &f);
    assert_int_equal(sluice_close_get(&c, &f), 0);
    assert_true(c.cid == cid_of(9) && c.code == 4001);
    assert_heard(g, SLUICE_TERMINATE, &f);
    assert_heard(g, SLUICE_SUBSCRIBE, &f);
    assert_heard(g, SLUICE_UNSUBSCRIBE, &f);
    assert_int_equal(f.payload.n, 0);
    assert_int_equal(psb_close_cid(b, cid_of(9), 1005, NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(psb_subscribe_cid(b, cid_of(9), ""), -1);
    assert_int_equal(errno, EINVAL);
    /* No link goes there. */
    assert_int_equal(psb_send_to(b, sluice_cid_make(1, 1, 4), 0, "x", 1), -1);
    assert_int_equal(errno, ENOENT);
    finish(b, g, 1);

    b = start(g, 1, 0);
    assert_int_equal(psb_terminate_cid(b, cid_of(9)), -1);
    assert_int_equal(errno, ENOTSUP);
    assert_int_equal(psb_send_to(b, cid_of(9), 0, "x", 1), -1);
    assert_int_equal(psb_msend(b, (psb_cid[]){cid_of(9)}, 1, 0, "x", 1), 0);
    turn(b);
    assert_int_equal(gateway_hear(g, &f), 0);
    finish(b, g, 1);
}

/* ---- claims ---- */

static void expect_claim(struct gateway *g, enum sluice_type type,
                         const char *key)
{
    struct sluice_frame f;
    struct sluice_claim c;
    assert_heard(g, type, &f);
    assert_int_equal(sluice_claim_get(&c, &f), 0);
    assert_str(c.key, key);
}

static psb_buf key_of(const char *text)
{
    return (psb_buf){(const uint8_t *)text, strlen(text)};
}

static void claims_are_told_to_all_who_come(void **state)
{
    (void)state;
    struct gateway g[2];
    struct sluice_frame f;
    char much[257] = "";
    psb_t *b = start(g, 1, SLUICE_FEATURE_CLAIM);

    assert_int_equal(psb_claim(b, key_of("one")), 0);
    assert_int_equal(psb_claim(b, key_of("two")), 0);
    assert_int_equal(psb_claim(b, key_of("one")), 0); /* it is mine again */
    assert_int_equal(psb_unclaim(b, key_of("two")), 0);
    assert_int_equal(psb_unclaim(b, key_of("two")), -1);
    assert_int_equal(errno, ENOENT);
    memset(much, 'k', 256);
    assert_int_equal(psb_claim(b, key_of(much)), -1);
    assert_int_equal(psb_claim(b, key_of("")), -1);
    assert_int_equal(errno, EINVAL);
    turn(b);
    expect_claim(g, SLUICE_CLAIM, "one");
    expect_claim(g, SLUICE_CLAIM, "two");
    expect_claim(g, SLUICE_CLAIM, "one");
    expect_claim(g, SLUICE_UNCLAIM, "two");
    psb_claim(b, key_of("three"));
    gateway_connect(&g[1], b);
    g[1].features = SLUICE_FEATURE_CLAIM;
    gateway_greet(&g[1], b);
    turn(b);
    expect_claim(&g[1], SLUICE_CLAIM, "one");
    expect_claim(&g[1], SLUICE_CLAIM, "three");
    assert_int_equal(gateway_hear(&g[1], &f), 0);
    finish(b, g, 2);
}

/* ---- by the first byte ---- */

static int on_open_it(psb_client_t *c, const psb_info *i, void *ud)
{
    (void)c;
    (void)i;
    (void)ud;
    return PSB_ACCEPT;
}

static void raw_heads_say_what_is_meant(void **state)
{
    (void)state;
    static const psb_handlers h = {.on_open = on_open_it};
    static const psb_app app = {.name = "t", .h = &h};
    struct gateway g[1];
    struct sluice_frame f;
    psb_t *b = psb_new("test");

    assert_int_equal(psb_app_add(b, &app), 1);
    gateway_connect(g, b);
    g->features = SLUICE_FEATURE_BSTREAM | SLUICE_FEATURE_RAW;
    gateway_greet(g, b);
    gateway_open(g, 5);
    gateway_say(g);
    turn(b);
    assert_heard(g, SLUICE_ACCEPT, &f);

    psb_client_t *c = psb_find(b, cid_of(5));
    psb_send(c, PSB_NOCOMPRESS, "1", 1);
    psb_fragment(c, 2 + PSB_NOCOMPRESS, "2", 1, 0);
    psb_fragment(c, 2, "3", 1, 1);
    turn(b);
    assert_heard(g, SLUICE_TEXT, &f);
    assert_int_equal(f.header.flags, SLUICE_FLAG_NOCOMPRESS);
    assert_heard(g, SLUICE_BINARY, &f);
    assert_int_equal(f.header.flags, SLUICE_FLAG_NOCOMPRESS | SLUICE_FLAG_MORE);
    assert_heard(g, SLUICE_CONT, &f);
    assert_int_equal(f.header.flags, 0);

    assert_int_equal(psb_broadcast_raw(b, 1, 0x81, "t", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x02, "a", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x01, "a", 1), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x00, "b", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x80, "c", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x80, "d", 1), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x89, "p", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 1, 0xc1, "r", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x83, "3", 1), 0);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x09, "p", 1), -1);
    assert_int_equal(psb_broadcast_raw(b, 1, 0x88, "\x0f\xa1why", 5), 0);
    turn(b);
    assert_heard(g, SLUICE_BROADCAST, &f);
    struct sluice_bstream m = hear_piece(g, "a");
    assert_true(m.start && m.first.opcode == 2);
    hear_piece(g, "b");
    hear_piece(g, "c");
    assert_true(hear_piece(g, "").end);
    assert_heard(g, SLUICE_PING, &f);
    assert_heard(g, SLUICE_RAW, &f);
    assert_int_equal(f.header.aux, 0xc1);
    assert_heard(g, SLUICE_RAW, &f);
    assert_int_equal(f.header.aux, 0x83);
    assert_heard(g, SLUICE_CLOSE, &f);
    assert_int_equal(f.header.aux, 4001);
    assert_int_equal(gateway_hear(g, &f), 0);
    finish(b, g, 1);
}

static void on_drain(psb_t *b, void *ud)
{
    (void)b;
    ++*(int *)ud;
}

static void who_waits_is_told_when_there_is_room(void **state)
{
    (void)state;
    static const psb_handlers h = {.on_drain = on_drain};
    struct gateway g[1];
    static char big[16000];
    int drained = 0, slow = 0;
    psb_app app = {.name = "t", .h = &h, .ud = &drained};
    psb_t *b = psb_new("test");

    assert_int_equal(psb_app_add(b, &app), 1);
    gateway_connect(g, b);
    gateway_greet(g, b);
    for (int i = 0; !slow && i < 200; i++)
        slow = psb_broadcast(b, 1, 1, big, sizeof big, 0);
    assert_int_equal(slow, 1);
    assert_int_equal(drained, 0);
    for (int i = 0; !drained && i < 1000; i++) {
        turn(b);
        gateway_read(g);
    }
    assert_int_equal(drained, 1);
    turn(b);
    assert_int_equal(drained, 1);
    finish(b, g, 1);
}

/* ---- apps ---- */

static void a_withdrawn_app_takes_no_more(void **state)
{
    (void)state;
    struct gateway g[2];
    struct sluice_frame f;
    struct sluice_reject r;
    psb_t *b = start(g, 1, 0);

    gateway_open(g, 5);
    gateway_say(g);
    turn(b);
    assert_heard(g, SLUICE_ACCEPT, &f);
    assert_int_equal(psb_app_withdraw(b, 2), -1);
    assert_int_equal(psb_app_withdraw(b, 1), 0);
    assert_int_equal(psb_app_withdraw(b, 1), 0);
    turn(b);
    assert_heard(g, SLUICE_UNREGISTER, &f);
    assert_int_equal(f.header.aux, 1);
    /* One that crossed it. */
    gateway_open(g, 6);
    gateway_say(g);
    turn(b);
    assert_heard(g, SLUICE_REJECT, &f);
    assert_int_equal(sluice_reject_get(&r, &f), 0);
    assert_int_equal(r.flags, SLUICE_REJECT_PASS);
    /* The others stay, until they are told. */
    assert_int_equal(psb_count(b, 1), 2);
    assert_int_equal(psb_close_all(b, 1, 1005, ""), -1);
    assert_int_equal(psb_close_all(b, 1, 1001, "bye"), 0);
    turn(b);
    assert_heard(g, SLUICE_CLOSE, &f);
    assert_true(f.header.cid == cid_of(5));
    assert_int_equal(psb_close_all(b, 1, -1, NULL), 0);
    turn(b);
    assert_heard(g, SLUICE_TERMINATE, &f);
    assert_int_equal(gateway_hear(g, &f), 0);
    /* A gateway that comes later hears of it too. */
    gateway_connect(&g[1], b);
    gateway_greet(&g[1], b);
    turn(b);
    assert_heard(&g[1], SLUICE_UNREGISTER, &f);
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
        cmocka_unit_test(a_withdrawn_app_takes_no_more),
        cmocka_unit_test(what_became_of_a_message_is_added_up),
        cmocka_unit_test(a_lost_gateway_says_nothing),
        cmocka_unit_test(a_message_goes_to_all_links_or_to_none),
        cmocka_unit_test(a_stream_is_reported_at_its_end),
        cmocka_unit_test(members_of_all_gateways_are_listed),
        cmocka_unit_test(stats_come_from_each_gateway),
        cmocka_unit_test(clients_of_others_are_reached_by_their_ids),
        cmocka_unit_test(claims_are_told_to_all_who_come),
        cmocka_unit_test(raw_heads_say_what_is_meant),
        cmocka_unit_test(who_waits_is_told_when_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

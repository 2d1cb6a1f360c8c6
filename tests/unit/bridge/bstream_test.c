/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/bstream.h"

#include <sys/socket.h>

#include "bridge/session.h"
#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

enum { ID = 5, START = 1, END = 2, NOTIFY = 4, NOCOMPRESS = 8 };

static void put_piece(struct fake *b, uint64_t id, unsigned flags,
                      struct str data, const struct sluice_broadcast *first)
{
    struct sluice_bstream m = {
        .stream = id,
        .start = flags & START,
        .end = flags & END,
        .notify = flags & NOTIFY,
        .token = flags & NOTIFY ? 77 : 0,
        .data = data,
    };
    if (first)
        m.first = *first;
    m.first.data = data;
    m.first.nocompress = flags & NOCOMPRESS;
    if (!m.first.opcode)
        m.first.opcode = WS_BINARY;
    assert_true(sluice_bstream_put(&b->out, &m));
}

static void piece(struct fake *b, unsigned flags, const char *data)
{
    put_piece(b, ID, flags, str_c(data), NULL);
    fake_send(b);
}

static void text(struct fake *b, unsigned flags, const char *data)
{
    put_piece(b, ID, flags, str_c(data),
              &(struct sluice_broadcast){.opcode = WS_TEXT});
    fake_send(b);
}

static struct sluice_delivered expect_delivered(struct fake *b)
{
    struct sluice_delivered d;
    struct sluice_frame f = fake_expect(b, SLUICE_DELIVERED);
    assert_int_equal(sluice_delivered_get(&d, &f), 0);
    return d;
}

static void expect_error(struct fake *b, enum sluice_error code, uint64_t id)
{
    struct sluice_error_frame e;
    struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
    assert_int_equal(sluice_error_get(&e, &f), 0);
    assert_int_equal(e.code, code);
    assert_int_equal(e.offending_type, SLUICE_BSTREAM);
    assert_int_equal(e.severity, SLUICE_SEVERITY_INFO);
    assert_int_equal(f.header.cid, id);
}

/* The world's backends say that they have the feature. */
static void begin(size_t backends)
{
    world.hello.features |= SLUICE_FEATURE_BSTREAM | SLUICE_FEATURE_RESUME;
    world.skips_acks = true;
    world_start(backends);
}

/* The clients are gone, and that has been told. */
static void end_clients(struct fake *b)
{
    struct sluice_frame f;
    WORLD_WAIT(bridge.live == 0);
    while (fake_try(b, &f) == 1)
        ;
}

/* Ask, and see who gets it. */
static struct paper *open_somewhere(struct fake **owner, uint64_t *cid)
{
    struct paper *p = paper_ask("");
    struct sluice_frame f;

    for (int i = 0; *owner = fake_of((size_t)i % 2), !fake_try(*owner, &f);
         i++) {
        if (i > 5000)
            fail_msg("nobody gets a client");
        world_turn();
    }
    assert_int_equal(f.header.type, SLUICE_OPEN);
    *cid = f.header.cid;
    fake_accept_client(*owner, *cid, NULL);
    fake_expect(*owner, SLUICE_OPENED);
    paper_expect_101(p);
    return p;
}

static void own(struct fake *b, uint64_t cid, const char *data)
{
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_NOTIFY, cid, data, strlen(data));
    fake_send(b);
}

static void put_close(struct fake *b, uint64_t cid)
{
    struct sluice_close c = {.cid = cid, .code = 1000};
    sluice_close_put(&b->out, &c);
    fake_send(b);
}

/* ---- on the wire ---- */

static void goes_to_those_who_are_there_at_its_beginning(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct paper *p[3];
    uint64_t cid[3];
    struct buf except = {0};
    begin(1);
    for (int i = 0; i < 2; i++)
        p[i] = paper_open(b, &cid[i]);
    sluice_ids_append(&except, cid[1]);
    put_piece(b, ID, START, STR("a"),
              &(struct sluice_broadcast){.except = buf_str(&except)});
    buf_fini(&except);
    fake_send(b);
    paper_expect(p[0], "\x02\1a", 3);
    p[2] = paper_open(b, &cid[2]);
    piece(b, 0, "bc");
    paper_expect(p[0], "\0\2bc", 4);
    piece(b, 0, ""); /* nothing is nothing */
    piece(b, END | NOTIFY, "d");
    paper_expect(p[0], "\0\1d\x80\0", 5);
    struct sluice_delivered d = expect_delivered(b);
    assert_int_equal(d.token, 77);
    assert_int_equal(d.matched, 1);
    assert_int_equal(d.queued, 1);
    for (int i = 0; i < 3; i++) {
        own(b, cid[i], "x");
        paper_expect(p[i], "\x81\1x", 3);
        paper_free(p[i]);
    }
}

static void may_be_one_frame(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    begin(1);
    struct paper *p = paper_open(b, &cid);
    text(b, START | END | NOTIFY, "all");
    paper_expect(p, "\1\3all\x80\0", 7);
    assert_int_equal(expect_delivered(b).queued, 1);
    text(b, START | END, "");
    paper_expect(p, "\1\0\x80\0", 4);
    paper_free(p);
}

static void shares_large_pieces(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    static uint8_t big[50000], wire[50006];
    struct paper *p[2];
    uint64_t cid;
    begin(1);
    for (int i = 0; i < 2; i++)
        p[i] = paper_open(b, &cid);
    memset(wire, 7, sizeof wire);
    memset(big, 7, sizeof big);
    memcpy(wire, "\x02\x7e\xc3\x50", 4);
    memcpy(wire + 50004, "\x80\0", 2);
    put_piece(b, ID, START | END, str_n(big, sizeof big), NULL);
    fake_send(b);
    for (int i = 0; i < 2; i++) {
        paper_expect(p[i], wire, sizeof wire);
        paper_free(p[i]);
    }
}

/* ---- beside other messages ---- */

static void other_messages_wait_for_its_end(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_broadcast m = {.opcode = WS_TEXT, .data = STR_INIT("all")};
    uint64_t cid;
    begin(1);
    struct paper *p = paper_open(b, &cid);
    struct session *s = CONTAINER(bridge.sessions.next, struct session, all);
    piece(b, START, "a");
    own(b, cid, "1");
    sluice_broadcast_put(&b->out, &m);
    fake_put_data(b, SLUICE_BINARY, SLUICE_FLAG_MORE, cid, "2", 1);
    sluice_broadcast_put(&b->out, &m);
    fake_put_data(b, SLUICE_PING, 0, cid, "p", 1);
    fake_put_data(b, SLUICE_CONT, 0, cid, "3", 1);
    own(b, cid, "4");
    /* A control frame may stand inside. */
    paper_expect(p, "\x02\1a\x89\1p", 6);
    assert_int_equal(session_seq_out(s), 3);
    assert_int_equal(s->seq_flushed, 0);
    piece(b, 0, "b");
    piece(b, END, "");
    paper_expect(p,
                 "\0\1b\x80\0"
                 "\x81\1"
                 "1\x81\3all\2\1"
                 "2\x80\1"
                 "3\x81\3all\x81\1"
                 "4",
                 5 + 3 + 5 + 3 + 3 + 5 + 3);
    WORLD_WAIT(s->seq_flushed == 3);
    WORLD_WAIT(!s->outstanding_out && !s->line);
    paper_free(p);
}

static void waits_for_the_end_of_a_message(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    begin(1);
    struct paper *p = paper_open(b, &cid);
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "1", 1);
    piece(b, START, "a");
    piece(b, 0, "b");
    fake_put_data(b, SLUICE_CONT, SLUICE_FLAG_MORE, cid, "2", 1);
    fake_send(b);
    paper_expect(p,
                 "\1\1"
                 "1\0\1"
                 "2",
                 6);
    fake_put_data(b, SLUICE_CONT, 0, cid, "3", 1);
    own(b, cid, "4");
    paper_expect(p,
                 "\x80\1"
                 "3\x02\1a\0\1b",
                 9);
    piece(b, END, "c");
    paper_expect(p,
                 "\0\1c\x80\0\x81\1"
                 "4",
                 8);
    /* All of it meets a message, also its end. */
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "5", 1);
    piece(b, START, "d");
    piece(b, END | NOTIFY, "");
    assert_int_equal(expect_delivered(b).queued, 1);
    fake_put_data(b, SLUICE_CONT, 0, cid, "6", 1);
    fake_send(b);
    paper_expect(p,
                 "\1\1"
                 "5\x80\1"
                 "6\2\1d\x80\0",
                 11);
    paper_free(p);
}

static void two_of_them_come_one_after_the_other(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    begin(1);
    struct paper *p = paper_open(b, &cid);
    piece(b, START, "a");
    put_piece(b, 6, START, STR("x"), NULL);
    put_piece(b, 7, START, STR("q"), NULL);
    put_piece(b, 6, 0, STR("y"), NULL);
    put_piece(b, 7, END, STR("r"), NULL);
    put_piece(b, ID, 0, STR("b"), NULL);
    fake_send(b);
    paper_expect(p, "\2\1a\0\1b", 6);
    piece(b, END, "c");
    paper_expect(p, "\0\1c\x80\0\2\1x\0\1y", 11);
    put_piece(b, 6, END, STR(""), NULL);
    fake_send(b);
    paper_expect(p, "\x80\0\2\1q\0\1r\x80\0", 10);
    paper_free(p);
}

static void reaches_the_clients_of_siblings(void **state)
{
    (void)state;
    struct fake *b = fake_of(0), *other = fake_of(1);
    struct paper *p[2];
    struct fake *owner[2];
    uint64_t cid;
    begin(2);
    for (int i = 0; i < 2; i++) {
        p[i] = paper_ask("");
        WORLD_WAIT(bridge.live == (size_t)i + 1);
        owner[i] = fake_of((size_t)i);
        cid = fake_expect(owner[i], SLUICE_OPEN).header.cid;
        fake_accept_client(owner[i], cid, NULL);
        fake_expect(owner[i], SLUICE_OPENED);
        paper_expect_101(p[i]);
    }
    piece(b, START, "a");
    for (int i = 0; i < 2; i++)
        paper_expect(p[i], "\2\1a", 3);
    piece(other, START, "z"); /* the same id is another stream there */
    piece(other, END, "");
    piece(b, END | NOTIFY, "");
    assert_int_equal(expect_delivered(b).queued, 2);
    for (int i = 0; i < 2; i++)
        paper_expect(p[i], "\x80\0\2\1z\x80\0", 7);
    put_piece(b, ID, START | END | NOTIFY, STR("own"),
              &(struct sluice_broadcast){.opts = SLUICE_BROADCAST_OWN_ONLY});
    fake_send(b);
    assert_int_equal(expect_delivered(b).matched, 1);
    paper_expect(p[0], "\2\3own", 5);
    world.pool.set.cross_backend = false;
    piece(other, START | END | NOTIFY, "own");
    assert_int_equal(expect_delivered(other).matched, 1);
    paper_expect(p[1], "\2\3own", 5);
    paper_free(p[0]);
    paper_free(p[1]);
}

/* ---- its end before the end ---- */

/* Two clients of the first, then two of the second. */
static void open_four(struct paper *p[4], uint64_t cid[4])
{
    size_t n[2] = {0};

    for (int i = 0; i < 4; i++) {
        struct fake *owner;
        uint64_t id;
        struct paper *one = open_somewhere(&owner, &id);
        size_t which = owner == fake_of(1);
        size_t at = which * 2 + n[which]++;
        assert_true(n[which] <= 2);
        p[at] = one;
        cid[at] = id;
    }
}

static void who_is_inside_when_its_backend_is_lost_is_closed(void **state)
{
    (void)state;
    struct fake *b = fake_of(0), *other = fake_of(1);
    struct paper *p[4];
    uint64_t cid[4];
    begin(2);
    open_four(p, cid);
    /* The last one is inside a message of its own backend. */
    fake_put_data(other, SLUICE_TEXT, SLUICE_FLAG_MORE, cid[3], "1", 1);
    fake_send(other);
    paper_expect(p[3],
                 "\1\1"
                 "1",
                 3);
    piece(b, START, "a");
    for (int i = 0; i < 3; i++)
        paper_expect(p[i], "\2\1a", 3);
    own(other, cid[2], "2");
    WORLD_WAIT(bridge.live == 4 && fake_is_silent(other));
    fake_close(b);
    for (int i = 0; i < 3; i++) {
        paper_expect(p[i], "\x88\2\x03\xf3", 4);
        paper_expect_end(p[i]);
    }
    struct sluice_closed c;
    struct sluice_frame f = fake_expect(other, SLUICE_CLOSED);
    sluice_closed_get(&c, &f);
    assert_int_equal(c.cause, SLUICE_CAUSE_BACKEND_LOST);
    assert_int_equal(c.lost_out, 1);
    fake_put_data(other, SLUICE_CONT, 0, cid[3], "3", 1);
    fake_send(other);
    paper_expect(p[3],
                 "\x80\1"
                 "3",
                 3);
    for (int i = 0; i < 4; i++)
        paper_free(p[i]);
}

static void goes_on_when_the_backend_of_a_member_is_lost(void **state)
{
    (void)state;
    struct fake *b = fake_of(0), *other = fake_of(1);
    uint64_t cid[4];
    struct paper *p[4];
    world.pool.set.loss_mode = LOSS_REASSIGN;
    begin(2);
    open_four(p, cid);
    piece(b, START, "a");
    paper_expect(p[2], "\2\1a", 3);
    /* A whole message waits and is to come; half of one is to go. */
    own(other, cid[2], "1");
    fake_put_data(other, SLUICE_TEXT, SLUICE_FLAG_MORE, cid[2], "2", 1);
    fake_send(other);
    world_turn();
    world_turn();
    fake_close(other);
    struct sluice_open r;
    struct sluice_frame f;
    do
        f = fake_expect(b, SLUICE_RESUME);
    while (f.header.cid != cid[2]);
    assert_int_equal(sluice_open_get(&r, &f), 0);
    struct sluice_tlv t = {.tag = SLUICE_TAG_RESUME_INFO};
    struct sluice_resume_info info;
    t.value = sluice_tlv_find(r.tlvs, SLUICE_TAG_RESUME_INFO);
    assert_int_equal(sluice_tlv_get_resume_info(&t, &info), 0);
    assert_int_equal(info.next_out_seq, 2);
    own(b, cid[2], "3");
    piece(b, END | NOTIFY, "b");
    paper_expect(p[2],
                 "\0\1b\x80\0\x81\1"
                 "1\x81\1"
                 "3",
                 11);
    for (;;) {
        fake_next(b, &f);
        if (f.header.type == SLUICE_DELIVERED)
            break;
    }
    struct sluice_delivered d;
    sluice_delivered_get(&d, &f);
    assert_int_equal(d.queued, 4);
    for (int i = 0; i < 4; i++)
        paper_free(p[i]);
}

static void counts_who_leaves(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct paper *p[3];
    uint64_t cid[3];
    begin(1);
    for (int i = 0; i < 3; i++)
        p[i] = paper_open(b, &cid[i]);
    piece(b, START, "a");
    fake_put_empty(b, SLUICE_TERMINATE, cid[0]);
    put_close(b, cid[1]);
    fake_expect(b, SLUICE_CLOSED);
    piece(b, 0, "b");
    piece(b, END | NOTIFY, "");
    struct sluice_delivered d = expect_delivered(b);
    assert_int_equal(d.matched, 3);
    assert_int_equal(d.queued, 1);
    assert_int_equal(d.skipped, 0);
    assert_int_equal(d.dropped, 2);
    /* A close frame may stand inside too. */
    paper_expect(p[1], "\2\1a\x88\2\x03\xe8", 7);
    paper_expect(p[2], "\2\1a\0\1b\x80\0", 8);
    for (int i = 0; i < 3; i++)
        paper_free(p[i]);
}

/* ---- closing inside ---- */

static void a_close_waits_for_the_messages_before_it(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    begin(1);
    struct paper *p = paper_open(b, &cid);
    piece(b, START, "a");
    put_piece(b, 6, START, STR("x"), NULL);
    own(b, cid, "1");
    put_close(b, cid);
    own(b, cid, "2"); /* too late */
    put_piece(b, 6, END | NOTIFY, STR(""), NULL);
    fake_send(b);
    struct sluice_delivered d = expect_delivered(b);
    assert_int_equal(d.dropped, 1);
    piece(b, END | NOTIFY, "b");
    paper_expect(p,
                 "\2\1a\0\1b\x80\0\x81\1"
                 "1\x88\2\x03\xe8",
                 15);
    assert_int_equal(expect_delivered(b).queued, 1);
    paper_frame(p, 0x88, "\x03\xe8", 2);
    struct sluice_closed c;
    struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
    sluice_closed_get(&c, &f);
    assert_int_equal(c.cause, SLUICE_CAUSE_BACKEND_CLOSE);
    assert_int_equal(c.flags, SLUICE_CLOSED_CLEAN | SLUICE_CLOSED_BY_BACKEND);
    assert_int_equal(c.lost_out, 0);
    paper_free(p);
}

static void a_close_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.close_timeout_ms = 100;
    begin(1);
    struct paper *p = paper_open(b, &cid);
    piece(b, START, "a");
    own(b, cid, "1");
    put_close(b, cid);
    paper_expect(p, "\2\1a\x88\2\x03\xe8", 7);
    struct sluice_closed c;
    struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
    sluice_closed_get(&c, &f);
    assert_int_equal(c.lost_out, 1);
    paper_free(p);
}

/* ---- those who lag behind ---- */

enum { MANY = 100, BIG = 20000 };

/* Pieces until the slow client is full, and more. */
static void pour(struct fake *b, struct paper *quick)
{
    static uint8_t big[BIG];
    for (int i = 0; i < MANY; i++) {
        put_piece(b, ID, 0, str_n(big, sizeof big), NULL);
        fake_send(b);
        paper_want(quick, sizeof big + 4);
        buf_drop(&quick->in, sizeof big + 4);
    }
}

static void who_is_inside_and_too_slow_is_closed(void **state)
{
    (void)state;
    static const enum websocket_overflow modes[] = {
        OVERFLOW_CLOSE, OVERFLOW_DROP_NEW, OVERFLOW_DROP_OLD};
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.send_buffer = 200000;
    begin(1);
    for (size_t i = 0; i < COUNT(modes); i++) {
        world.conf.overflow = modes[i];
        struct paper *slow = paper_open(b, &cid);
        struct paper *quick = paper_open(b, &cid);
        piece(b, START, "a");
        paper_expect(quick, "\2\1a", 3);
        pour(b, quick);
        struct sluice_closed c;
        struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
        sluice_closed_get(&c, &f);
        assert_int_equal(c.cause, SLUICE_CAUSE_SLOW_CLIENT);
        piece(b, END | NOTIFY, "");
        struct sluice_delivered d = expect_delivered(b);
        assert_int_equal(d.queued, 1);
        assert_int_equal(d.dropped, 1);
        paper_expect(quick, "\x80\0", 2);
        paper_free(slow);
        paper_free(quick);
        end_clients(b);
    }
}

static void who_has_not_begun_and_is_too_slow_is_left_out(void **state)
{
    (void)state;
    static const enum websocket_overflow modes[] = {OVERFLOW_DROP_NEW,
                                                    OVERFLOW_DROP_OLD};
    struct fake *b = fake_of(0);
    uint64_t cid, other;
    world.conf.send_buffer = 200000;
    begin(1);
    for (size_t i = 0; i < COUNT(modes); i++) {
        world.conf.overflow = modes[i];
        struct paper *p = paper_open(b, &cid);
        struct paper *quick = paper_open(b, &other);
        fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "1", 1);
        piece(b, START, "a");
        paper_expect(quick, "\2\1a", 3);
        pour(b, quick);
        piece(b, END | NOTIFY, "");
        struct sluice_delivered d = expect_delivered(b);
        assert_int_equal(d.queued, 1);
        assert_int_equal(d.dropped, 1);
        fake_put_data(b, SLUICE_CONT, 0, cid, "2", 1);
        fake_send(b);
        paper_expect(p,
                     "\1\1"
                     "1\x80\1"
                     "2",
                     6);
        own(b, cid, "3");
        paper_expect(p,
                     "\x81\1"
                     "3",
                     3);
        paper_free(p);
        paper_free(quick);
        end_clients(b);
    }
}

static void empty_messages_that_wait_are_bounded_too(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world.conf.send_buffer = 200000;
    begin(1);
    struct paper *p = paper_open(b, &cid);
    piece(b, START, "a");
    for (int i = 0; i < 20000; i++)
        fake_put_data(b, SLUICE_TEXT, 0, cid, "", 0);
    fake_send(b);
    struct sluice_closed c;
    struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
    sluice_closed_get(&c, &f);
    assert_int_equal(c.cause, SLUICE_CAUSE_SLOW_CLIENT);
    assert_in_range(c.lost_out, 1000, 19999);
    paper_free(p);
}

/* ---- versions ---- */

static struct paper *open_75(struct fake *b, uint64_t *cid)
{
    struct paper *p = paper_ask_old("");
    *cid = fake_expect(b, SLUICE_OPEN).header.cid;
    fake_accept_client(b, *cid, NULL);
    fake_expect(b, SLUICE_OPENED);
    WORLD_WAIT(paper_want(p, 4) && memmem(p->in.p, p->in.n, "\r\n\r\n", 4));
    buf_clear(&p->in);
    return p;
}

static void a_draft_gets_text_as_it_comes_and_nothing_else(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid[2];
    begin(1);
    struct paper *old = open_75(b, &cid[0]);
    struct paper *p = paper_open(b, &cid[1]);
    text(b, START, "h\xc3");
    text(b, 0, "\xbc");
    own(b, cid[0], "own");
    text(b, END, "!");
    paper_expect(old, "\0h\xc3\xbc!\xff\0own\xff", 11);
    paper_expect(p, "\1\2h\xc3\0\1\xbc\0\1!\x80\0", 12);
    piece(b, START, "a");
    own(b, cid[0], "now"); /* it is not in that one */
    paper_expect(old, "\0now\xff", 5);
    piece(b, END | NOTIFY, "");
    struct sluice_delivered d = expect_delivered(b);
    assert_int_equal(d.matched, 2);
    assert_int_equal(d.queued, 1);
    assert_int_equal(d.skipped, 1);
    /* Nothing but the end of the connection can close it inside. */
    text(b, START, "cut");
    put_close(b, cid[0]);
    paper_expect(old, "\0cut", 4);
    paper_expect_end(old);
    paper_free(old);
    paper_free(p);
}

/* ---- compression ---- */

/* Takes the frames of one message and inflates it; head: what the first byte
 * must be. */
static struct buf read_packed(struct paper *p, struct ws_inflater *i,
                              unsigned head)
{
    struct buf packed = {0}, out = {0};
    bool fin = false;

    for (bool first = true; !fin; first = false) {
        assert_true(paper_want(p, 2));
        size_t n = p->in.p[1], size = 2;
        if (n == 126) {
            assert_true(paper_want(p, 4));
            n = (size_t)(p->in.p[2] << 8 | p->in.p[3]);
            size = 4;
        }
        assert_true(paper_want(p, size + n));
        if (first)
            assert_int_equal(p->in.p[0] & 0x7f, head);
        else
            assert_int_equal(p->in.p[0] & 0x7f, 0);
        fin = p->in.p[0] & 0x80;
        buf_put(&packed, p->in.p + size, n);
        buf_drop(&p->in, size + n);
    }
    static uint8_t room[65536];
    struct ws_piece got = {.last = false};
    struct span in = {packed.p, packed.n};
    ws_inflater_begin(i, true, false, 1 << 20);
    while (!got.last) {
        assert_int_equal(ws_inflater_next(i, &in, true,
                                          (struct span){room, sizeof room},
                                          &got),
                         1);
        buf_put(&out, got.data.p, got.data.n);
    }
    buf_fini(&packed);
    return out;
}

static void expect_packed(struct paper *p, struct ws_inflater *i, unsigned head,
                          const char *want)
{
    struct buf got = read_packed(p, i, head);
    assert_str(buf_str(&got), want);
    buf_fini(&got);
}

static struct paper *open_packed(struct fake *b, uint64_t *cid,
                                 const char *more)
{
    char fields[200];
    snprintf(fields, sizeof fields,
             "Sec-WebSocket-Extensions: permessage-deflate%s\n", more);
    struct paper *p = paper_ask(fields);
    *cid = fake_expect(b, SLUICE_OPEN).header.cid;
    fake_accept_client(b, *cid, NULL);
    fake_expect(b, SLUICE_OPENED);
    paper_expect_101(p);
    return p;
}

#define WORDS "over and over and over and over and over and over again"

static void is_compressed_for_all_who_agreed_on_the_same(void **state)
{
    (void)state;
    static const char *const offers[] = {"", "", "; server_max_window_bits=9",
                                         "; server_no_context_takeover"};
    struct fake *b = fake_of(0);
    struct paper *p[4], *plain;
    struct ws_inflater *inflater[4];
    uint64_t cid[4], plain_cid;
    world.conf.deflate = deflate_defaults;
    world.conf.deflate.on = true;
    world.conf.deflate.min = 0;
    begin(1);
    for (int i = 0; i < 4; i++) {
        p[i] = open_packed(b, &cid[i], offers[i]);
        inflater[i] = ws_inflater_create(i == 2 ? 9 : 15);
        own(b, cid[i], WORDS);
        expect_packed(p[i], inflater[i], 0x41, WORDS);
    }
    plain = paper_open(b, &plain_cid);
    piece(b, START, WORDS);
    piece(b, 0, "1" WORDS);
    for (int i = 0; i < 4; i++) {
        own(b, cid[i], "own" WORDS);
        /* What is here can be read now: the whole of both. */
        paper_want(p[i], 30);
        assert_int_equal((uint8_t)p[i]->in.p[0], 0x42);
    }
    piece(b, 0, "2" WORDS);
    piece(b, END, "");
    for (int i = 0; i < 4; i++) {
        expect_packed(p[i], inflater[i], 0x42, WORDS "1" WORDS "2" WORDS);
        expect_packed(p[i], inflater[i], 0x41, "own" WORDS);
        own(b, cid[i], WORDS);
        expect_packed(p[i], inflater[i], 0x41, WORDS);
    }
    paper_want(plain, 3 * (2 + sizeof WORDS - 1) + 2 + 2);
    assert_memory_equal(plain->in.p, "\x02\x37over", 6);
    assert_memory_equal(plain->in.p + plain->in.n - 2, "\x80\0", 2);
    /* As they are: who said so, and what begins with nothing. */
    piece(b, START | NOCOMPRESS, "abc");
    piece(b, END, "");
    piece(b, START, "");
    piece(b, END, "d");
    for (int i = 0; i < 4; i++) {
        paper_expect(p[i], "\2\3abc\x80\0\2\0\0\1d\x80\0", 14);
        own(b, cid[i], WORDS);
        expect_packed(p[i], inflater[i], 0x41, WORDS);
        ws_inflater_destroy(inflater[i]);
        paper_free(p[i]);
    }
    paper_free(plain);
}

static void messages_of_groups_can_be_left_uncompressed(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct buf ids = {0};
    world.conf.deflate = deflate_defaults;
    world.conf.deflate.on = true;
    world.conf.deflate.min = 0;
    begin(1);
    struct paper *p = open_packed(b, &cid, "");
    sluice_ids_append(&ids, cid);
    struct sluice_broadcast all = {
        .opcode = WS_TEXT, .nocompress = true, .data = STR_INIT("aaaaaaaa")};
    struct sluice_msend some = {.opcode = WS_TEXT,
                                .nocompress = true,
                                .ids = buf_str(&ids),
                                .data = STR_INIT("aaaaaaaa")};
    sluice_broadcast_put(&b->out, &all);
    sluice_msend_put(&b->out, &some);
    fake_send(b);
    paper_expect(p,
                 "\x81\x08"
                 "aaaaaaaa\x81\x08"
                 "aaaaaaaa",
                 20);
    all.nocompress = false;
    sluice_broadcast_put(&b->out, &all);
    fake_send(b);
    paper_want(p, 2);
    assert_int_equal((uint8_t)p->in.p[0], 0xc1);
    buf_fini(&ids);
    paper_free(p);
}

/* ---- a backend that gets it wrong ---- */

static void what_makes_no_sense_is_told(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    begin(1);
    struct paper *p = paper_open(b, &cid);
    piece(b, 0, "x"); /* never begun: as one that was given up */
    piece(b, END, "x");
    piece(b, END | NOTIFY, "x");
    assert_int_equal(expect_delivered(b).matched, 0);
    piece(b, START, "a");
    piece(b, START, "b");
    expect_error(b, SLUICE_ERROR_BAD_STATE, ID);
    paper_expect(p, "\2\1a", 3);
    put_piece(b, 6, START, STR("c"), NULL);
    put_piece(b, 7, START, STR("d"), NULL);
    put_piece(b, 8, START | END | NOTIFY, STR("e"), NULL); /* streams_max */
    fake_send(b);
    expect_error(b, SLUICE_ERROR_LIMIT, 8);
    assert_int_equal(expect_delivered(b).matched, 0);
    piece(b, END, "");
    paper_expect(p, "\x80\0\2\1c", 5);
    paper_free(p);
}

static void text_that_is_not_utf8_ends_the_stream(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *pieces[3];
        size_t n;
    } rows[] = {
        {"a bad byte in a later piece", {"a", "\xff"}, 2},
        {"half a letter at the end", {"a", "\xc3", ""}, 3},
        {"half a letter and no other half", {"\xc3", "a"}, 2},
    };
    struct fake *b = fake_of(0);
    uint64_t cid, other;
    begin(1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct paper *p = paper_open(b, &cid);
        struct paper *busy = paper_open(b, &other);
        fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, other, "1", 1);
        for (size_t k = 0; k < rows[i].n; k++)
            text(b, (k ? 0 : START) | (k == rows[i].n - 1 ? END | NOTIFY : 0),
                 rows[i].pieces[k]);
        expect_error(b, SLUICE_ERROR_BAD_UTF8, ID);
        struct sluice_closed c;
        struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
        sluice_closed_get(&c, &f);
        if (c.code != 1011 || f.header.cid != cid)
            fail_msg("%s: %u", rows[i].why, c.code);
        assert_int_equal(expect_delivered(b).queued, 0);
        fake_put_data(b, SLUICE_CONT, 0, other, "2", 1);
        own(b, other, "3");
        paper_expect(busy,
                     "\1\1"
                     "1\x80\1"
                     "2\x81\1"
                     "3",
                     9);
        paper_free(p);
        paper_free(busy);
        end_clients(b);
    }
}

static void malformed_frames_end_the_link(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        char body[20];
        size_t n;
    } rows[] = {
        {"short", "\2", 1},
        {"opcode 0", "\0\0\0\0\0\0\0\0\0\0\0\0", 12},
        {"opcode 8", "\x08\0\0\0\0\0\0\0\0\0\0\0", 12},
        {"an app that is not there", "\2\0\1\0\0\0\0\0\0\0\0\0", 12},
        {"exceptions that are not there", "\2\0\0\0\2\0\0\0\0\0\0\0", 12},
    };
    struct fake *b = fake_of(0);
    struct sluice_frame f;
    begin(1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sluice_header h = {
            .type = SLUICE_BSTREAM, .flags = START, .cid = 1};
        sluice_frame_put(&b->out, &h, str_n(rows[i].body, rows[i].n));
        fake_send(b);
        f = fake_expect(b, SLUICE_ERROR);
        struct sluice_error_frame e;
        sluice_error_get(&e, &f);
        if (e.severity != SLUICE_SEVERITY_LINK)
            fail_msg("%s", rows[i].why);
        assert_false(fake_next(b, &f));
        fake_close(b);
        fake_accept(b);
        fake_greet(b);
        fake_expect(b, SLUICE_HELLO);
        fake_ready(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(goes_to_those_who_are_there_at_its_beginning),
        WORLD_TEST(may_be_one_frame),
        WORLD_TEST(shares_large_pieces),
        WORLD_TEST(other_messages_wait_for_its_end),
        WORLD_TEST(waits_for_the_end_of_a_message),
        WORLD_TEST(two_of_them_come_one_after_the_other),
        WORLD_TEST(reaches_the_clients_of_siblings),
        WORLD_TEST(who_is_inside_when_its_backend_is_lost_is_closed),
        WORLD_TEST(goes_on_when_the_backend_of_a_member_is_lost),
        WORLD_TEST(counts_who_leaves),
        WORLD_TEST(a_close_waits_for_the_messages_before_it),
        WORLD_TEST(a_close_does_not_wait_for_ever),
        WORLD_TEST(who_is_inside_and_too_slow_is_closed),
        WORLD_TEST(who_has_not_begun_and_is_too_slow_is_left_out),
        WORLD_TEST(empty_messages_that_wait_are_bounded_too),
        WORLD_TEST(a_draft_gets_text_as_it_comes_and_nothing_else),
        WORLD_TEST(is_compressed_for_all_who_agreed_on_the_same),
        WORLD_TEST(messages_of_groups_can_be_left_uncompressed),
        WORLD_TEST(what_makes_no_sense_is_told),
        WORLD_TEST(text_that_is_not_utf8_ends_the_stream),
        WORLD_TEST(malformed_frames_end_the_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

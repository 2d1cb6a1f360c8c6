/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/un.h>

#include "unit/backend/gateway.h"

/* An application that writes down what it hears. */
struct app {
    psb_t *b;
    struct buf heard;
    psb_client_t *client;
    psb_buf goodbye; /* set_state() in on_detach */
    bool commits;    /* state and progress after each message */
};

static int on_open(psb_client_t *c, const psb_info *i, void *ud)
{
    struct app *a = ud;
    buf_printf(&a->heard, "open%s;", i->resumed ? " resumed" : "");
    a->client = c;
    return PSB_ACCEPT;
}

static void on_opened(psb_client_t *c, void *ud)
{
    struct app *a = ud;
    (void)c;
    buf_printf(&a->heard, "opened;");
}

static void on_resume(psb_client_t *c, const psb_info *i, psb_buf state,
                      uint32_t unacked, void *ud)
{
    struct app *a = ud;
    buf_printf(&a->heard, "resume %.*s %.*s first %u unacked %u%s%s%s;",
               (int)state.n, state.n ? (const char *)state.p : "",
               (int)i->target.n, i->target.p, i->first_seq, unacked,
               i->foreign ? " foreign" : "", i->truncated ? " truncated" : "",
               i->dead ? " dead" : "");
    a->client = c;
}

static void on_detach(psb_client_t *c, void *ud)
{
    struct app *a = ud;
    buf_printf(&a->heard, "detach;");
    if (a->goodbye.n)
        assert_int_equal(psb_set_state(c, a->goodbye, 0), 0);
}

static void on_message(psb_client_t *c, int binary, psb_buf m, uint32_t seq,
                       int replay, void *ud)
{
    struct app *a = ud;
    (void)binary;
    buf_printf(&a->heard, "%u %.*s%s;", seq, (int)m.n, m.p,
               replay ? " replay" : "");
    if (a->commits)
        assert_int_equal(psb_set_state(c, m, seq), 0);
}

static void on_close(psb_client_t *c, int code, psb_buf reason, int cause,
                     void *ud)
{
    struct app *a = ud;
    (void)c;
    (void)reason;
    buf_printf(&a->heard, "close %d %d;", code, cause);
    a->client = NULL;
}

static const psb_handlers handlers = {.on_open = on_open,
                                      .on_opened = on_opened,
                                      .on_resume = on_resume,
                                      .on_detach = on_detach,
                                      .on_message = on_message,
                                      .on_close = on_close};
static const psb_handlers plain = {.on_open = on_open,
                                   .on_opened = on_opened,
                                   .on_message = on_message,
                                   .on_close = on_close};

static void start_with(struct app *a, struct gateway *g, const psb_handlers *h,
                       bool manual)
{
    psb_app app = {.name = "t", .h = h, .ud = a, .manual_ack = manual};

    *a = (struct app){.b = psb_new("test")};
    assert_int_equal(psb_app_add(a->b, &app), 1);
    gateway_connect(g, a->b);
    g->features = SLUICE_FEATURE_RESUME | SLUICE_FEATURE_STATE |
                  SLUICE_FEATURE_MOVE | SLUICE_FEATURE_ALO;
    gateway_greet(g, a->b);
}

static void start(struct app *a, struct gateway *g)
{
    start_with(a, g, &handlers, false);
}

static void finish(struct app *a, struct gateway *g)
{
    psb_free(a->b);
    buf_fini(&a->heard);
    gateway_fini(g);
}

static void assert_app_heard(struct app *a, const char *expected)
{
    assert_str(buf_str(&a->heard), expected);
    buf_clear(&a->heard);
}

static void gateway_resume(struct gateway *g, unsigned slot,
                           struct sluice_resume_info info, const char *state)
{
    struct sluice_open o = {.type = SLUICE_RESUME,
                            .cid = cid_of(slot),
                            .ws_version = 13,
                            .flags = SLUICE_OPEN_ALREADY_OPEN,
                            .app_id = 1,
                            .window_out = 1000,
                            .window_in = 1000};
    size_t at;
    bool ok = sluice_open_begin(&g->out, &o, &at) &&
              sluice_tlv_put(&g->out, SLUICE_TAG_TARGET, STR("/r")) &&
              sluice_tlv_put(&g->out, SLUICE_TAG_SUBPROTOCOL, STR("v1")) &&
              sluice_tlv_put_resume_info(&g->out, &info);
    if (state)
        ok = ok && sluice_tlv_put(&g->out, SLUICE_TAG_STATE, str_c(state));
    assert_true(sluice_frame_end(&g->out, at, ok));
}

static void replay(struct gateway *g, unsigned slot, const char *data)
{
    struct sluice_header h = {
        .type = SLUICE_TEXT, .flags = SLUICE_FLAG_REPLAY, .cid = cid_of(slot)};
    sluice_frame_put(&g->out, &h, str_c(data));
}

static void say(struct app *a, struct gateway *g)
{
    gateway_say(g);
    turn(a->b);
}

/* The next ACK, which has one entry; waits for the late ones. */
static struct sluice_ack assert_acked(struct app *a, struct gateway *g)
{
    struct sluice_frame f;
    struct sluice_ack ack;
    for (int i = 0; i < 100 && !gateway_hear(g, &f); i++) {
        usleep(10000);
        turn(a->b);
    }
    assert_int_equal(f.header.type, SLUICE_ACK);
    struct str rest = sluice_payload(&f);
    assert_true(sluice_ack_next(&rest, &ack));
    assert_int_equal(rest.n, 0);
    return ack;
}

/* ---- tests ---- */

static void says_that_it_takes_orphans(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_hello h;
    struct sluice_tlv t;
    uint64_t ids[2], id;
    size_t n = 0;

    setenv("PENSTOCK_RESUME_OF", "0x1122334455667788,7", 1);
    a = (struct app){.b = psb_new("test")};
    unsetenv("PENSTOCK_RESUME_OF");
    gateway_connect(&g, a.b);
    turn(a.b);
    assert_heard(&g, SLUICE_HELLO, &f);
    assert_int_equal(sluice_hello_get(&h, &f), 0);
    assert_int_equal(h.flags, SLUICE_HELLO_WANTS_RESUME);
    while (sluice_tlv_next(&h.tlvs, &t) == 1)
        if (t.tag == SLUICE_TAG_RESUME_OF && n < 2 &&
            sluice_tlv_get_u64(&t, &id) == 0)
            ids[n++] = id;
    assert_int_equal(n, 2);
    assert_int_equal(ids[0], 0x1122334455667788);
    assert_int_equal(ids[1], 7);
    finish(&a, &g);
}

static void takes_over_a_client(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;

    start(&a, &g);
    gateway_resume(&g, 5,
                   (struct sluice_resume_info){.first_seq = 41,
                                               .next_out_seq = 78,
                                               .unacked = 2,
                                               .flags = SLUICE_RESUME_FOREIGN},
                   "blob");
    replay(&g, 5, "a");
    gateway_data(&g, SLUICE_TEXT, 5, false, "b");
    sluice_resume_end_put(&g.out, 1);
    say(&a, &g);
    assert_app_heard(
        &a, "resume blob /r first 41 unacked 2 foreign;41 a replay;42 b;");
    assert_int_equal(psb_ready_state(a.client), PSB_OPEN);
    assert_int_equal(psb_send(a.client, 0, "x", 1), 0);
    turn(a.b);
    assert_heard(&g, SLUICE_TEXT, &f);
    struct sluice_ack ack = assert_acked(&a, &g);
    assert_int_equal(ack.seq, 42);
    assert_int_equal(ack.bytes, 2);
    finish(&a, &g);
}

static void shows_a_client_as_new_to_who_does_not_know_better(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;

    start_with(&a, &g, &plain, false);
    gateway_resume(
        &g, 5, (struct sluice_resume_info){.first_seq = 3, .next_out_seq = 1},
        NULL);
    gateway_data(&g, SLUICE_TEXT, 5, false, "c");
    say(&a, &g);
    assert_app_heard(&a, "open resumed;opened;3 c;");
    finish(&a, &g);
}

static void a_dead_client_comes_to_its_end(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_closed c = {.cid = cid_of(5), .code = 1000};

    start(&a, &g);
    gateway_resume(&g, 5,
                   (struct sluice_resume_info){.first_seq = 2,
                                               .next_out_seq = 1,
                                               .unacked = 1,
                                               .flags = SLUICE_RESUME_DEAD},
                   NULL);
    replay(&g, 5, "last");
    sluice_closed_put(&g.out, &c);
    say(&a, &g);
    assert_app_heard(
        &a, "resume  /r first 2 unacked 1 dead;2 last replay;close 1000 0;");
    assert_int_equal(assert_acked(&a, &g).seq, 3);
    finish(&a, &g);
}

/* One client in slot 5, open. */
static void start_open(struct app *a, struct gateway *g, bool manual)
{
    struct sluice_frame f;
    start_with(a, g, &handlers, manual);
    gateway_open(g, 5);
    say(a, g);
    assert_heard(g, SLUICE_ACCEPT, &f);
    assert_app_heard(a, "open;");
}

static void commits_state_and_progress_in_one_frame(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_set_state m;

    start_open(&a, &g, false);
    a.commits = true;
    gateway_data(&g, SLUICE_TEXT, 5, false, "a");
    say(&a, &g);
    assert_heard(&g, SLUICE_SET_STATE, &f);
    assert_int_equal(sluice_set_state_get(&m, &f), 0);
    assert_true(m.has_ack);
    assert_int_equal(m.ack_seq, 1);
    assert_str(m.blob, "a");
    assert_int_equal(psb_set_state(a.client, (psb_buf){NULL, 0}, 2), -1);
    assert_int_equal(errno, EINVAL);
    finish(&a, &g);
}

static void manual_acks_hold_the_credit(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;

    start_open(&a, &g, true);
    for (int i = 0; i < 3; i++)
        gateway_data(&g, SLUICE_TEXT, 5, false, "12345");
    say(&a, &g);
    usleep(150000);
    turn(a.b);
    assert_int_equal(gateway_hear(&g, &f), 0);
    assert_int_equal(psb_ack(a.client, 2), 0);
    struct sluice_ack ack = assert_acked(&a, &g);
    assert_int_equal(ack.seq, 2);
    assert_int_equal(ack.bytes, 10);
    assert_int_equal(psb_ack(a.client, 1), 0); /* an old one means nothing */
    assert_int_equal(psb_ack(a.client, 4), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(psb_set_state(a.client, (psb_buf){NULL, 0}, 3), 0);
    turn(a.b);
    assert_heard(&g, SLUICE_SET_STATE, &f);
    ack = assert_acked(&a, &g);
    assert_int_equal(ack.seq, 3);
    assert_int_equal(ack.bytes, 5);
    finish(&a, &g);
}

static void what_is_not_done_at_the_end_may_be_acknowledged_later(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_closed c = {.cid = cid_of(5), .code = 1000};

    start_open(&a, &g, true);
    gateway_data(&g, SLUICE_TEXT, 5, false, "1");
    sluice_closed_put(&g.out, &c);
    say(&a, &g);
    assert_app_heard(&a, "1 1;close 1000 0;");
    assert_int_equal(gateway_hear(&g, &f), 0);
    assert_int_equal(psb_ack_cid(a.b, cid_of(5), 2), 0);
    assert_int_equal(assert_acked(&a, &g).seq, 2);
    assert_int_equal(psb_ack_cid(a.b, sluice_cid_make(5, 1, 4), 2), -1);
    finish(&a, &g);
}

static void an_empty_message_is_acknowledged_too(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;

    start_open(&a, &g, false);
    gateway_data(&g, SLUICE_TEXT, 5, false, "");
    say(&a, &g);
    struct sluice_ack ack = assert_acked(&a, &g);
    assert_int_equal(ack.seq, 1);
    assert_int_equal(ack.bytes, 0);
    finish(&a, &g);
}

static void detach(struct app *a, struct gateway *g)
{
    sluice_empty_put(&g->out, SLUICE_DETACH, 0, cid_of(5));
    say(a, g);
}

static void lets_a_client_go_with_its_last_words(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;

    start_open(&a, &g, false);
    a.goodbye = (psb_buf){(const uint8_t *)"so far", 6};
    gateway_data(&g, SLUICE_TEXT, 5, false, "a");
    detach(&a, &g);
    assert_app_heard(&a, "1 a;detach;close 1012 16;");
    assert_heard(&g, SLUICE_SET_STATE, &f);
    assert_heard(&g, SLUICE_ACK, &f);
    assert_heard(&g, SLUICE_DETACHED, &f);
    assert_int_equal(psb_count(a.b, 0), 0);
    finish(&a, &g);
}

static void finishes_what_it_was_at_before_it_lets_go(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;

    start_open(&a, &g, true);
    gateway_data(&g, SLUICE_TEXT, 5, false, "a");
    say(&a, &g);
    assert_int_equal(psb_fragment(a.client, 1, "be", 2, 0), 0);
    detach(&a, &g);
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_app_heard(&a, "1 a;detach;");
    assert_int_equal(psb_ack(a.client, 1), 0);
    turn(a.b);
    assert_int_equal(gateway_hear(&g, &f), 0);
    assert_int_equal(psb_fragment(a.client, 1, "gun", 3, 1), 0);
    turn(a.b);
    assert_heard(&g, SLUICE_CONT, &f);
    assert_heard(&g, SLUICE_ACK, &f);
    assert_heard(&g, SLUICE_DETACHED, &f);
    assert_app_heard(&a, "close 1012 16;");
    finish(&a, &g);
}

static void what_waits_for_credit_is_sent_before_it_lets_go(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    static char much[1000];

    start_open(&a, &g, false);
    assert_int_equal(psb_send(a.client, 1, much, sizeof much), 1);
    assert_int_equal(psb_send(a.client, 1, much, 10), 1);
    detach(&a, &g);
    assert_heard(&g, SLUICE_BINARY, &f);
    assert_int_equal(gateway_hear(&g, &f), 0);
    gateway_ack(&g, 5, 1000, 1);
    say(&a, &g);
    assert_heard(&g, SLUICE_BINARY, &f);
    assert_heard(&g, SLUICE_DETACHED, &f);
    finish(&a, &g);
}

static void hands_over_when_it_stops(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_goaway away;

    start_open(&a, &g, false);
    psb_stop(a.b, 5000);
    turn(a.b);
    assert_heard(&g, SLUICE_GOAWAY, &f);
    assert_int_equal(sluice_goaway_get(&away, &f), 0);
    assert_int_equal(away.mode, SLUICE_GOAWAY_HANDOVER);
    detach(&a, &g);
    assert_heard(&g, SLUICE_DETACHED, &f);
    assert_heard(&g, SLUICE_BYE, &f);
    assert_true(psb_is_stopped(a.b));
    finish(&a, &g);
}

static void may_say_goaway_without_an_end(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_goaway away;

    start_open(&a, &g, false);
    psb_goaway(a.b, PSB_DRAIN, 100);
    turn(a.b);
    assert_heard(&g, SLUICE_GOAWAY, &f);
    assert_int_equal(sluice_goaway_get(&away, &f), 0);
    assert_int_equal(away.mode, SLUICE_GOAWAY_DRAIN);
    assert_int_equal(away.grace_ms, 100);
    assert_false(psb_is_stopped(a.b));
    finish(&a, &g);
}

static void dials_a_gateway_again_and_again(void **state)
{
    (void)state;
    struct app a = {.b = psb_new("test")};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char long_path[200];

    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(psb_connect(a.b, long_path), -1);
    assert_int_equal(errno, ENAMETOOLONG);

    snprintf(un.sun_path, sizeof un.sun_path, "/tmp/penstock-dial-%d.sock",
             (int)getpid());
    assert_int_equal(psb_connect(a.b, un.sun_path), 0); /* nobody is there */
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(listen(listening, 5), 0);
    for (int times = 0; times < 2; times++) {
        int fd = -1;
        for (int i = 0; i < 1000 && fd == -1; i++) {
            int wait = psb_timeout_ms(a.b);
            assert_in_range(wait, 0, 5000);
            usleep(10000);
            turn(a.b);
            fd = accept(listening, NULL, NULL);
        }
        assert_int_not_equal(fd, -1);
        uint8_t head[SLUICE_HEADER_SIZE];
        turn(a.b);
        assert_int_equal(recv(fd, head, sizeof head, 0), sizeof head);
        assert_int_equal(head[4], SLUICE_HELLO);
        close(fd);
        turn(a.b);
    }
    close(listening);
    unlink(un.sun_path);
    psb_free(a.b);
    buf_fini(&a.heard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(says_that_it_takes_orphans),
        TEST(takes_over_a_client),
        TEST(shows_a_client_as_new_to_who_does_not_know_better),
        TEST(a_dead_client_comes_to_its_end),
        TEST(commits_state_and_progress_in_one_frame),
        TEST(manual_acks_hold_the_credit),
        TEST(what_is_not_done_at_the_end_may_be_acknowledged_later),
        TEST(an_empty_message_is_acknowledged_too),
        TEST(lets_a_client_go_with_its_last_words),
        TEST(finishes_what_it_was_at_before_it_lets_go),
        TEST(what_waits_for_credit_is_sent_before_it_lets_go),
        TEST(hands_over_when_it_stops),
        TEST(may_say_goaway_without_an_end),
        TEST(dials_a_gateway_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

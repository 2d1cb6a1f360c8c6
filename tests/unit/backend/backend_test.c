/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/backend/gateway.h"

/* An application that writes down what it hears, and echoes when told to. */
struct app {
    psb_t *b;
    struct buf heard;
    psb_client_t *client;
    int verdict;
    bool echo;
    bool ask_flushed;
};

static int on_open(psb_client_t *c, const psb_info *i, void *ud)
{
    struct app *a = ud;
    buf_printf(&a->heard, "open %.*s;", (int)i->target.n, i->target.p);
    a->client = c;
    return a->verdict;
}

static void on_opened(psb_client_t *c, void *ud)
{
    struct app *a = ud;
    (void)c;
    buf_printf(&a->heard, "opened;");
}

static void on_message(psb_client_t *c, int binary, psb_buf m, uint32_t seq,
                       int replay, void *ud)
{
    struct app *a = ud;
    (void)replay;
    if (m.n < 100)
        buf_printf(&a->heard, "%s %u %.*s;", binary ? "binary" : "text", seq,
                   (int)m.n, m.p);
    if (a->echo)
        assert_int_not_equal(psb_send(c, binary, m.p, m.n), -1);
}

static void on_writable(psb_client_t *c, void *ud)
{
    struct app *a = ud;
    (void)c;
    buf_printf(&a->heard, "writable;");
}

static void on_flushed(psb_client_t *c, uint32_t seq, void *ud)
{
    struct app *a = ud;
    (void)c;
    buf_printf(&a->heard, "flushed %u;", seq);
}

static void on_error(psb_client_t *c, int code, const char *text, void *ud)
{
    struct app *a = ud;
    (void)c;
    buf_printf(&a->heard, "error %d %s;", code, text);
}

static void on_close(psb_client_t *c, int code, psb_buf reason, int cause,
                     void *ud)
{
    struct app *a = ud;
    (void)c;
    buf_printf(&a->heard, "close %d %.*s %d;", code, (int)reason.n,
               reason.n ? (const char *)reason.p : "", cause);
    a->client = NULL;
}

static void on_fragment(psb_client_t *c, int opcode, psb_buf m, int first,
                        int last, void *ud)
{
    struct app *a = ud;
    (void)c;
    buf_printf(&a->heard, "piece %d %.*s %d%d;", opcode, (int)m.n, m.p, first,
               last);
}

static void on_ping(psb_client_t *c, psb_buf m, void *ud)
{
    struct app *a = ud;
    buf_printf(&a->heard, "ping %.*s;", (int)m.n, m.p);
    psb_pong(c, m.p, m.n);
}

static const psb_handlers handlers = {.on_open = on_open,
                                      .on_opened = on_opened,
                                      .on_message = on_message,
                                      .on_ping = on_ping,
                                      .on_writable = on_writable,
                                      .on_flushed = on_flushed,
                                      .on_error = on_error,
                                      .on_close = on_close};

static void start_featured(struct app *a, struct gateway *g,
                           const psb_handlers *h, uint32_t window,
                           uint64_t features)
{
    static const char *const protocols[] = {"v3", "v1", NULL};
    psb_app app = {.name = "t",
                   .path = "/",
                   .path_kind = PSB_PREFIX,
                   .protocols = protocols,
                   .h = h,
                   .ud = a};

    *a = (struct app){.b = psb_new("test"), .verdict = PSB_ACCEPT};
    assert_int_equal(psb_app_add(a->b, &app), 1);
    gateway_connect(g, a->b);
    if (window)
        g->window = window;
    g->features = features;
    gateway_greet(g, a->b);
}

static void start_with(struct app *a, struct gateway *g, const psb_handlers *h,
                       uint32_t window)
{
    start_featured(a, g, h, window, 0);
}

static void start(struct app *a, struct gateway *g)
{
    start_with(a, g, &handlers, 0);
}

/* One client in slot 5, open. */
static void open_one(struct app *a, struct gateway *g)
{
    struct sluice_frame f;
    gateway_open(g, 5);
    gateway_say(g);
    turn(a->b);
    assert_heard(g, SLUICE_ACCEPT, &f);
    sluice_empty_put(&g->out, SLUICE_OPENED, 0, cid_of(5));
    gateway_say(g);
    turn(a->b);
    assert_str(buf_str(&a->heard), "open /a?x=1;opened;");
    buf_clear(&a->heard);
}

static void start_open(struct app *a, struct gateway *g, uint32_t window)
{
    start_with(a, g, &handlers, window);
    open_one(a, g);
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

/* ---- tests ---- */

static void says_nothing_but_hello_before_it_heard_one(void **state)
{
    (void)state;
    struct app a = {.b = psb_new("quiet")};
    struct gateway g;
    struct sluice_frame f;
    struct sluice_hello h;
    const psb_app app = {.name = "t"};

    psb_app_add(a.b, &app);
    gateway_connect(&g, a.b);
    turn(a.b);
    assert_heard(&g, SLUICE_HELLO, &f);
    assert_int_equal(sluice_hello_get(&h, &f), 0);
    assert_int_equal(h.role, SLUICE_ROLE_BACKEND);
    assert_str(sluice_tlv_find(h.tlvs, SLUICE_TAG_NAME), "quiet");
    assert_int_equal(gateway_hear(&g, &f), 0);
    psb_log(a.b, 4, "to stderr");
    assert_int_equal(psb_broadcast(a.b, 1, 0, "x", 1, 0), 0);
    turn(a.b);
    assert_int_equal(gateway_hear(&g, &f), 0);
    gateway_hello(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_REGISTER, &f);
    assert_heard(&g, SLUICE_READY, &f);
    finish(&a, &g);
}

static void registers_what_an_app_says_of_its_clients(void **state)
{
    (void)state;
    struct app a = {.b = psb_new("test")};
    struct gateway g;
    struct sluice_frame f;
    struct sluice_register r;
    struct sluice_tlv t;
    const psb_app app = {.name = "t",
                         .idle_timeout_ms = 5000,
                         .versions = PSB_VERSION_13 | PSB_VERSION_76,
                         .stream_threshold = 4096};
    uint32_t seen[32] = {0};

    psb_app_add(a.b, &app);
    gateway_connect(&g, a.b);
    gateway_hello(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_HELLO, &f);
    assert_heard(&g, SLUICE_REGISTER, &f);
    assert_int_equal(sluice_register_get(&r, &f), 0);
    while (sluice_tlv_next(&r.tlvs, &t) == 1) {
        uint16_t id;
        uint32_t value;
        if (t.tag == SLUICE_TAG_OPT && sluice_tlv_get_opt(&t, &id, &value) == 0)
            seen[id] = value;
    }
    assert_int_equal(seen[SLUICE_OPT_IDLE_TIMEOUT_MS], 5000);
    assert_int_equal(seen[SLUICE_OPT_VERSIONS], 9);
    assert_int_equal(seen[SLUICE_OPT_STREAM_THRESHOLD], 4096);
    finish(&a, &g);
}

static void accepts_with_the_best_protocol_and_echoes(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_accept accept;

    start(&a, &g);
    a.echo = true;
    gateway_open(&g, 5);
    gateway_data(&g, SLUICE_NOP, 0, false, "");
    g.out.n -= SLUICE_HEADER_SIZE; /* only OPEN */
    gateway_say(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_ACCEPT, &f);
    assert_int_equal(sluice_accept_get(&accept, &f), 0);
    assert_true(accept.cid == cid_of(5));
    assert_str(sluice_tlv_find(accept.tlvs, SLUICE_TAG_SUBPROTOCOL), "v1");
    assert_int_equal(psb_count(a.b, 0), 1);

    gateway_data(&g, SLUICE_TEXT, 5, false, "hi");
    gateway_data(&g, SLUICE_BINARY, 5, false, "there");
    gateway_say(&g);
    turn(a.b);
    assert_app_heard(&a, "open /a?x=1;text 1 hi;binary 2 there;");
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_str(sluice_payload(&f), "hi");
    assert_int_equal(f.header.flags, SLUICE_FLAG_NOTIFY);
    assert_heard(&g, SLUICE_BINARY, &f);
    assert_str(sluice_payload(&f), "there");
    assert_int_equal(gateway_hear(&g, &f), 0); /* the ACK may wait */

    gateway_ack(&g, 5, 7, 2);
    gateway_say(&g);
    turn(a.b);
    assert_app_heard(&a, "flushed 2;");
    finish(&a, &g);
}

static void tells_what_the_handshake_said(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;

    start_open(&a, &g, 0);
    psb_buf b = psb_header(a.client, "x-a");
    assert_str(str_n(b.p, b.n), "1");
    assert_null(psb_header(a.client, "X-B").p);
    b = psb_capture(a.client, "room");
    assert_str(str_n(b.p, b.n), "7");
    b = psb_var(a.client, "tenant");
    assert_str(str_n(b.p, b.n), "t");
    b = psb_offer(a.client, 1);
    assert_str(str_n(b.p, b.n), "v1");
    assert_null(psb_offer(a.client, 2).p);
    psb_buf name, value;
    size_t it = 0, n = 0;
    while (psb_header_next(a.client, &it, &name, &value))
        n++;
    assert_int_equal(n, 2);
    assert_ptr_equal(psb_find(a.b, cid_of(5)), a.client);
    assert_null(psb_find(a.b, cid_of(6)));
    assert_null(psb_find(a.b, sluice_cid_make(5, 2, 3)));
    finish(&a, &g);
    assert_null(a.client);
}

static void returns_credit_at_half_a_window_and_in_time(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_ack ack;
    char half[501];

    start_open(&a, &g, 0);
    memset(half, 'x', 500);
    half[500] = '\0';
    gateway_data(&g, SLUICE_TEXT, 5, false, half);
    gateway_say(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_ACK, &f);
    struct str rest = sluice_payload(&f);
    assert_true(sluice_ack_next(&rest, &ack));
    assert_int_equal(ack.bytes, 500);
    assert_int_equal(ack.seq, 1);

    gateway_data(&g, SLUICE_TEXT, 5, false, "x");
    gateway_say(&g);
    turn(a.b);
    assert_int_equal(gateway_hear(&g, &f), 0);
    int wait = psb_timeout_ms(a.b);
    assert_in_range(wait, 1, 100);
    usleep((unsigned)wait * 1000 + 2000);
    turn(a.b);
    assert_heard(&g, SLUICE_ACK, &f);
    assert_int_equal(psb_timeout_ms(a.b), -1);
    finish(&a, &g);
}

static void stalls_without_credit_and_goes_on_with_it(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;

    start_open(&a, &g, 10);
    assert_int_equal(psb_send(a.client, 0, "12345", 5), 0);
    assert_int_equal(psb_send(a.client, 0, "123456", 6), 1); /* one below 0 */
    assert_int_equal(psb_send(a.client, 0, "kept", 4), 1);
    assert_int_equal(psb_send(a.client, 0, "too", 3), 1);
    assert_int_equal(psb_buffered(a.client), 7);
    assert_int_equal(psb_close(a.client, 4000, "done"), 0);
    assert_int_equal(psb_send(a.client, 0, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    turn(a.b);
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_int_equal(gateway_hear(&g, &f), 0);

    gateway_ack(&g, 5, 1, 0); /* credit 0 is none */
    gateway_say(&g);
    turn(a.b);
    assert_int_equal(gateway_hear(&g, &f), 0);
    gateway_ack(&g, 5, 1, 0);
    gateway_say(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_str(sluice_payload(&f), "kept");
    assert_int_equal(gateway_hear(&g, &f), 0);
    gateway_ack(&g, 5, 9, 2);
    gateway_say(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_heard(&g, SLUICE_CLOSE, &f);
    assert_int_equal(f.header.aux, 4000);
    assert_int_equal(psb_buffered(a.client), 0);
    assert_app_heard(&a, "flushed 2;"); /* not writable: it is closing */
    finish(&a, &g);
}

static void tells_when_there_is_room_again(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;

    start_open(&a, &g, 10);
    assert_int_equal(psb_send(a.client, 0, "1234567890", 10), 1);
    turn(a.b);
    gateway_ack(&g, 5, 10, 1);
    gateway_ack(&g, 5, 0, 1);
    gateway_say(&g);
    turn(a.b);
    assert_app_heard(&a, "flushed 1;writable;");
    finish(&a, &g);
}

static void a_links_credit_is_shared_in_turn(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    psb_client_t *c[2];
    const psb_app app = {.name = "t", .h = &handlers, .ud = &a};

    a = (struct app){.b = psb_new("test"), .verdict = PSB_ACCEPT};
    psb_app_add(a.b, &app);
    gateway_connect(&g, a.b);
    g.link_window = 10;
    gateway_greet(&g, a.b);
    for (unsigned i = 0; i < 2; i++) {
        gateway_open(&g, 5 + i);
        gateway_say(&g);
        turn(a.b);
        assert_heard(&g, SLUICE_ACCEPT, &f);
        c[i] = a.client;
    }
    assert_int_equal(psb_send(c[0], 0, "1234567890", 10), 1);
    assert_int_equal(psb_send(c[1], 0, "second", 6), 1);
    assert_int_equal(psb_send(c[0], 0, "first", 5), 1);
    turn(a.b);
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_int_equal(gateway_hear(&g, &f), 0);
    /* The end of a client returns what it owed. */
    struct sluice_closed closed = {.cid = cid_of(5), .code = 1006, .cause = 3};
    sluice_closed_put(&g.out, &closed);
    gateway_say(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_str(sluice_payload(&f), "second");
    assert_int_equal(psb_count(a.b, 1), 1);
    finish(&a, &g);
}

static void puts_a_message_together(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;

    start_open(&a, &g, 0);
    gateway_data(&g, SLUICE_TEXT, 5, true, "one ");
    gateway_data(&g, SLUICE_CONT, 5, true, "");
    struct sluice_ping ping = {SLUICE_PING, cid_of(5), true, STR("p")};
    sluice_ping_put(&g.out, &ping);
    gateway_data(&g, SLUICE_CONT, 5, false, "two");
    gateway_data(&g, SLUICE_BINARY, 5, false, "");
    /* Byte by byte, as a slow kernel would. */
    for (size_t i = 0; i < g.out.n; i++) {
        assert_int_equal(send(g.fd, g.out.p + i, 1, 0), 1);
        turn(a.b);
    }
    buf_clear(&g.out);
    assert_app_heard(&a, "ping p;text 1 one two;binary 2 ;");
    finish(&a, &g);
}

static void gives_fragments_to_whom_asks(void **state)
{
    (void)state;
    static const psb_handlers h = {.on_open = on_open,
                                   .on_fragment = on_fragment};
    struct app a;
    struct gateway g;
    struct sluice_frame f;

    start_with(&a, &g, &h, 0);
    gateway_open(&g, 5);
    gateway_data(&g, SLUICE_BINARY, 5, true, "a");
    gateway_data(&g, SLUICE_CONT, 5, false, "b");
    gateway_say(&g);
    turn(a.b);
    assert_app_heard(&a, "open /a?x=1;piece 2 a 10;piece 2 b 01;");

    assert_heard(&g, SLUICE_ACCEPT, &f);
    assert_int_equal(psb_fragment(a.client, 1, "x", 1, 0), 0);
    assert_int_equal(psb_send(a.client, 0, "y", 1), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(psb_fragment(a.client, 1, "z", 1, 1), 0);
    assert_int_equal(psb_send(a.client, 0, "y", 1), 0);
    turn(a.b);
    assert_heard(&g, SLUICE_TEXT, &f);
    assert_int_equal(f.header.flags, SLUICE_FLAG_MORE);
    assert_heard(&g, SLUICE_CONT, &f);
    assert_int_equal(f.header.flags, 0);
    assert_heard(&g, SLUICE_TEXT, &f);
    finish(&a, &g);
}

static void writes_frames_as_they_are(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    static const struct {
        unsigned head;
        size_t n;
        int error;
    } bad[] = {{0x88, 0, EINVAL},
               {0x0b, 0, EINVAL},
               {0x09, 0, EINVAL},
               {0x89, 126, EINVAL},
               {0x80, 0, EINVAL},
               {0x181, 0, EINVAL},
               {0x81, SLUICE_MAX_FRAME_MIN + 1, EMSGSIZE}};
    static char big[SLUICE_MAX_FRAME_MIN + 1];

    start_open(&a, &g, 1 << 20);
    assert_int_equal(psb_raw(a.client, 0x81, "x", 1), -1);
    assert_int_equal(errno, ENOTSUP);
    finish(&a, &g);
    start_featured(&a, &g, &handlers, 1 << 20, SLUICE_FEATURE_RAW);
    open_one(&a, &g);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(psb_raw(a.client, bad[i].head, big, bad[i].n), -1);
        assert_int_equal(errno, bad[i].error);
    }
    assert_int_equal(psb_raw(a.client, 0x01, "x", 1), 0);
    assert_int_equal(psb_send(a.client, 0, "y", 1), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(psb_fragment(a.client, 1, "y", 1, 1), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(psb_raw(a.client, 0x89, "p", 1), 0);
    assert_int_equal(psb_raw(a.client, 0x83, "r", 1), -1);
    assert_int_equal(errno, EBUSY);
    assert_int_equal(psb_raw(a.client, 0x80, "z", 1), 0);
    assert_int_equal(psb_raw(a.client, 0xb3, "r", 1), 0);
    assert_int_equal(psb_send(a.client, 0, "y", 1), 0);
    turn(a.b);
    static const unsigned heads[] = {0x01, 0x89, 0x80, 0xb3};
    for (size_t i = 0; i < COUNT(heads); i++) {
        assert_heard(&g, SLUICE_RAW, &f);
        assert_int_equal(f.header.aux, heads[i]);
        assert_int_equal(f.header.flags, 0);
    }
    assert_heard(&g, SLUICE_TEXT, &f);
    finish(&a, &g);
}

static void splits_what_is_larger_than_a_frame(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    static char big[SLUICE_MAX_FRAME_MIN * 2 + 1];

    start_open(&a, &g, 1 << 20);
    struct iovec iov[] = {{big, 1}, {big + 1, sizeof big - 1}};
    assert_int_equal(psb_sendv(a.client, 1, iov, 2), 0);
    turn(a.b);
    assert_heard(&g, SLUICE_BINARY, &f);
    assert_int_equal(f.header.length, SLUICE_MAX_FRAME_MIN);
    assert_heard(&g, SLUICE_CONT, &f);
    assert_true(f.header.flags & SLUICE_FLAG_MORE);
    assert_heard(&g, SLUICE_CONT, &f);
    assert_int_equal(f.header.length, 1);
    assert_false(f.header.flags & SLUICE_FLAG_MORE);
    finish(&a, &g);
}

static void refuses_and_still_hears_the_end(void **state)
{
    (void)state;
    static const char *const headers[] = {"WWW-Authenticate", "Bearer", NULL};
    static const char *const bad[][3] = {{"Upgrade", "x", NULL},
                                         {"Sec-WebSocket-Accept", "x", NULL},
                                         {"A B", "x", NULL},
                                         {"A", "x\r\ny: z", NULL},
                                         {"Content-Length", "0", NULL}};
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_reject r;
    psb_buf body = {(const uint8_t *)"no", 2};

    start(&a, &g);
    a.verdict = PSB_LATER;
    gateway_open(&g, 5);
    gateway_say(&g);
    turn(a.b);
    assert_int_equal(gateway_hear(&g, &f), 0);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(psb_accept(a.client, NULL, bad[i]), -1);
    assert_int_equal(psb_accept(a.client, "v9", NULL), -1);
    assert_int_equal(psb_send(a.client, 0, "x", 1), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(psb_reject(a.client, 200, NULL, body, NULL), -1);
    assert_int_equal(psb_reject(a.client, 401, headers, body, "why"), 0);
    assert_int_equal(psb_accept(a.client, NULL, NULL), -1);
    assert_int_equal(errno, EALREADY);
    turn(a.b);
    assert_heard(&g, SLUICE_REJECT, &f);
    assert_int_equal(sluice_reject_get(&r, &f), 0);
    assert_int_equal(r.status, 401);
    assert_str(sluice_tlv_find(r.tlvs, SLUICE_TAG_BODY), "no");

    struct sluice_closed c = {.cid = cid_of(5), .code = 1006, .cause = 13};
    sluice_closed_put(&g.out, &c);
    a.verdict = 403;
    gateway_open(&g, 6);
    gateway_say(&g);
    turn(a.b);
    assert_app_heard(&a, "open /a?x=1;close 1006  13;open /a?x=1;");
    assert_heard(&g, SLUICE_REJECT, &f);
    assert_int_equal(sluice_reject_get(&r, &f), 0);
    assert_int_equal(r.status, 403);
    finish(&a, &g);
}

static void answers_pings_keepalives_and_errors(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_ping ping = {SLUICE_PING, cid_of(5), true, STR("p")};
    struct sluice_keepalive k = {.opaque = {7}};
    struct sluice_error_frame e = {
        .cid = cid_of(5), .code = 4, .severity = 1, .text = STR("bad")};

    start_open(&a, &g, 0);
    sluice_ping_put(&g.out, &ping);
    sluice_keepalive_put(&g.out, &k);
    sluice_error_put(&g.out, &e);
    gateway_say(&g);
    turn(a.b);
    assert_app_heard(&a, "ping p;error 4 bad;");
    assert_heard(&g, SLUICE_PONG, &f);
    assert_heard(&g, SLUICE_KEEPALIVE, &f);
    assert_int_equal(sluice_keepalive_get(&k, &f), 0);
    assert_true(k.reply);
    assert_int_equal(k.opaque[0], 7);
    finish(&a, &g);
}

static void sends_to_groups_on_every_link(void **state)
{
    (void)state;
    struct app a;
    struct gateway g, other;
    struct sluice_frame f;
    struct sluice_broadcast b;
    struct sluice_msend m;

    start_open(&a, &g, 0);
    gateway_connect(&other, a.b);
    gateway_greet(&other, a.b);
    assert_int_equal(psb_broadcast(a.b, 1, 0, "all", 3, cid_of(5)), 0);
    turn(a.b);
    struct gateway *both[] = {&g, &other};
    for (int i = 0; i < 2; i++) {
        assert_heard(both[i], SLUICE_BROADCAST, &f);
        assert_int_equal(sluice_broadcast_get(&b, &f), 0);
        assert_int_equal(b.app_id, 1);
        assert_str(b.data, "all");
        assert_true(sluice_ids_at(b.except, 0) == cid_of(5));
    }
    psb_cid ids[] = {cid_of(5), cid_of(99)};
    assert_int_equal(psb_msend(a.b, ids, 2, 1, "few", 3), 0);
    turn(a.b);
    assert_heard(&g, SLUICE_MSEND, &f);
    assert_int_equal(sluice_msend_get(&m, &f), 0);
    assert_int_equal(sluice_ids_count(m.ids), 1);
    assert_int_equal(gateway_hear(&other, &f), 0);

    static char big[SLUICE_MAX_FRAME_MIN];
    assert_int_equal(psb_broadcast(a.b, 1, 0, big, sizeof big, 0), -1);
    assert_int_equal(errno, EMSGSIZE);
    gateway_fini(&other);
    finish(&a, &g);
}

static void the_loss_of_a_link_ends_its_clients_only(void **state)
{
    (void)state;
    struct app a;
    struct gateway g, other;
    struct sluice_frame f;

    start_open(&a, &g, 0);
    gateway_connect(&other, a.b);
    gateway_greet(&other, a.b);
    gateway_open(&other, 6);
    gateway_say(&other);
    turn(a.b);
    assert_heard(&other, SLUICE_ACCEPT, &f);
    buf_clear(&a.heard);
    close(g.fd);
    g.fd = -1;
    turn(a.b);
    assert_app_heard(&a, "close 1006  11;");
    assert_int_equal(psb_count(a.b, 0), 1);
    assert_non_null(psb_find(a.b, cid_of(6)));
    gateway_fini(&other);
    finish(&a, &g);
}

static void a_gateway_that_breaks_the_rules_is_told_and_left(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *bytes;
        size_t n;
        int code;
    } bad[] = {
        {"type 0", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, 1},
        {"an unknown type", "\0\0\0\0\x7f\0\0\0\0\0\0\0\0\0\0\0", 16, 2},
        {"a length of 2^32-1", "\xff\xff\xff\xff\x20\0\0\0\5\0\0\1\0\x30\0\0",
         16, 3},
        {"ACCEPT from a gateway",
         "\x08\0\0\0\x11\0\0\0\5\0\0\1\0\x30\0\0\0\0\0\0\0\0\0\0", 24, 1},
        {"OPEN cut short", "\1\0\0\0\x10\0\0\0\6\0\0\1\0\x30\0\0x", 17, 1},
        {"ACK of what was not sent",
         "\x10\0\0\0\x30\0\0\0\0\0\0\0\0\0\0\0"
         "\5\0\0\1\0\x30\0\0\1\0\0\0\0\0\0\0",
         32, 1},
        {"an ACK that is no row", "\1\0\0\0\x30\0\0\0\0\0\0\0\0\0\0\0x", 17, 1},
        {"an answer to no REGISTER", "\0\0\0\0\x71\0\1\0\0\0\0\0\0\0\0\0", 16,
         1},
        {"a feature that was not agreed on",
         "\0\0\0\0\x1b\0\0\0\5\0\0\1\0\x30\0\0", 16, 8},
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct app a;
        struct gateway g;
        struct sluice_frame f;
        struct sluice_error_frame e;
        print_message("%s\n", bad[i].why);
        start_open(&a, &g, 0);
        buf_put(&g.out, bad[i].bytes, bad[i].n);
        gateway_say(&g);
        turn(a.b);
        assert_heard(&g, SLUICE_ERROR, &f);
        assert_int_equal(sluice_error_get(&e, &f), 0);
        assert_int_equal(e.code, bad[i].code);
        assert_int_equal(e.severity, SLUICE_SEVERITY_LINK);
        assert_app_heard(&a, "close 1006  11;");
        char byte;
        assert_int_equal(recv(g.fd, &byte, 1, MSG_DONTWAIT), 0);
        finish(&a, &g);
    }
}

static void a_client_that_breaks_the_rules_ends_alone(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        unsigned type;
        bool more;
        size_t n;
        int code;
    } bad[] = {
        {"CONT without a start", SLUICE_CONT, false, 1, 4},
        {"a ping of 126 bytes", SLUICE_PING, false, 126, 17},
        {"a message over max_message", SLUICE_TEXT, true, 5001, 16},
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct app a;
        struct gateway g;
        struct sluice_frame f;
        struct sluice_error_frame e;
        static char data[6000];
        print_message("%s\n", bad[i].why);
        start_open(&a, &g, 0);
        memset(data, 'x', bad[i].n);
        data[bad[i].n] = '\0';
        gateway_data(&g, bad[i].type, 5, bad[i].more, data);
        gateway_say(&g);
        turn(a.b);
        assert_heard(&g, SLUICE_ERROR, &f);
        assert_int_equal(sluice_error_get(&e, &f), 0);
        assert_int_equal(e.code, bad[i].code);
        assert_int_equal(e.severity, SLUICE_SEVERITY_CLIENT);
        assert_heard(&g, SLUICE_TERMINATE, &f);
        assert_int_equal(psb_ready_state(a.client), PSB_CLOSED);
        gateway_data(&g, SLUICE_PONG, 99, false, ""); /* of no client */
        gateway_say(&g);
        turn(a.b);
        assert_app_heard(&a, "");
        finish(&a, &g);
    }
}

static void data_beyond_the_window_is_an_error(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_error_frame e;
    char data[1001];

    start_open(&a, &g, 0);
    memset(data, 'x', 1000);
    data[1000] = '\0';
    gateway_data(&g, SLUICE_TEXT, 5, false, data);
    gateway_data(&g, SLUICE_TEXT, 5, false, "x");
    gateway_say(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_ERROR, &f);
    assert_int_equal(sluice_error_get(&e, &f), 0);
    assert_int_equal(e.code, SLUICE_ERROR_FLOW_CONTROL);
    finish(&a, &g);
}

static void stops_when_the_last_client_has_gone(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    struct sluice_goaway away;

    start_open(&a, &g, 0);
    psb_stop(a.b, 5000);
    turn(a.b);
    assert_heard(&g, SLUICE_GOAWAY, &f);
    assert_int_equal(sluice_goaway_get(&away, &f), 0);
    assert_int_equal(away.grace_ms, 5000);
    assert_false(psb_is_stopped(a.b));
    gateway_open(&g, 6); /* it raced with the GOAWAY */
    struct sluice_closed c = {
        .cid = cid_of(5), .code = 1000, .reason = STR("bye")};
    sluice_closed_put(&g.out, &c);
    gateway_say(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_REJECT, &f);
    assert_heard(&g, SLUICE_BYE, &f);
    assert_true(psb_is_stopped(a.b));
    assert_app_heard(&a, "close 1000 bye 0;");
    assert_int_equal(psb_run(a.b), 0);
    finish(&a, &g);
}

static void stops_when_the_grace_is_over(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;

    start_open(&a, &g, 0);
    psb_stop(a.b, 20);
    assert_int_equal(psb_run(a.b), 0);
    assert_app_heard(&a, "close 1001  12;");
    finish(&a, &g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(says_nothing_but_hello_before_it_heard_one),
        TEST(registers_what_an_app_says_of_its_clients),
        TEST(accepts_with_the_best_protocol_and_echoes),
        TEST(tells_what_the_handshake_said),
        TEST(returns_credit_at_half_a_window_and_in_time),
        TEST(stalls_without_credit_and_goes_on_with_it),
        TEST(tells_when_there_is_room_again),
        TEST(a_links_credit_is_shared_in_turn),
        TEST(puts_a_message_together),
        TEST(gives_fragments_to_whom_asks),
        TEST(writes_frames_as_they_are),
        TEST(splits_what_is_larger_than_a_frame),
        TEST(refuses_and_still_hears_the_end),
        TEST(answers_pings_keepalives_and_errors),
        TEST(sends_to_groups_on_every_link),
        TEST(the_loss_of_a_link_ends_its_clients_only),
        TEST(a_gateway_that_breaks_the_rules_is_told_and_left),
        TEST(a_client_that_breaks_the_rules_ends_alone),
        TEST(data_beyond_the_window_is_an_error),
        TEST(stops_when_the_last_client_has_gone),
        TEST(stops_when_the_grace_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/backend/gateway.h"

struct app {
    psb_t *b;
    struct buf heard;
};

static void on_log(psb_t *b, psb_client_t *c, int level, psb_buf text, void *ud)
{
    struct app *a = ud;
    assert_ptr_equal(b, a->b);
    buf_printf(&a->heard, "log %d %llu %.*s;", level,
               c ? (unsigned long long)psb_id(c) : 0, (int)text.n, text.p);
}

static const psb_handlers handlers = {.on_log = on_log};

static void begin(struct app *a, struct gateway *g)
{
    psb_app app = {.name = "a", .h = &handlers, .ud = a};

    *a = (struct app){.b = psb_new("test")};
    assert_int_equal(psb_app_add(a->b, &app), 1);
    gateway_connect(g, a->b);
}

static void finish(struct app *a, struct gateway *g)
{
    psb_free(a->b);
    buf_fini(&a->heard);
    gateway_fini(g);
}

static void assert_hears(struct app *a, const char *what)
{
    assert_str(buf_str(&a->heard), what);
    buf_clear(&a->heard);
}

static void put_log(struct gateway *g, uint64_t cid, unsigned level,
                    const char *text)
{
    struct sluice_log line = {
        .cid = cid, .level = (uint16_t)level, .text = str_c(text)};
    sluice_log_put(&g->out, &line);
}

static void asks_for_lines_as_it_debugs(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;
    static const struct {
        int debug;
        unsigned level;
    } steps[] = {{1, 6}, {2, 7}, {9, 7}, {0, 0xffff}, {-1, 0xffff}};

    begin(&a, &g);
    gateway_greet(&g, a.b);
    for (size_t i = 0; i < COUNT(steps); i++) {
        psb_set_debug(a.b, steps[i].debug);
        turn(a.b);
        assert_heard(&g, SLUICE_SETLOG, &f);
        assert_int_equal(f.header.aux, steps[i].level);
    }
    finish(&a, &g);
}

static void asks_every_gateway_that_comes(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_frame f;

    begin(&a, &g);
    psb_set_debug(a.b, 1);
    gateway_hello(&g);
    turn(a.b);
    assert_heard(&g, SLUICE_HELLO, &f);
    assert_heard(&g, SLUICE_REGISTER, &f);
    assert_heard(&g, SLUICE_SETLOG, &f);
    assert_heard(&g, SLUICE_READY, &f);
    finish(&a, &g);
}

static void hands_lines_of_the_gateway_on(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    char text[64];

    begin(&a, &g);
    gateway_greet(&g, a.b);
    gateway_open(&g, 1);
    put_log(&g, 0, 3, "of the link");
    put_log(&g, cid_of(1), 7, "of a client");
    put_log(&g, cid_of(2), 6, "of nobody");
    gateway_say(&g);
    turn(a.b);
    snprintf(text, sizeof text, "log 7 %llu of a client;",
             (unsigned long long)cid_of(1));
    assert_true(str_starts(buf_str(&a.heard), STR("log 3 0 of the link;")));
    buf_drop(&a.heard, strlen("log 3 0 of the link;"));
    assert_true(str_starts(buf_str(&a.heard), str_c(text)));
    buf_drop(&a.heard, strlen(text));
    assert_hears(&a, "log 6 0 of nobody;");
    finish(&a, &g);
}

/* ---- states, and what is not about a client ---- */

static int verdict;

static int on_open(psb_client_t *c, const psb_info *i, void *ud)
{
    struct app *a = ud;
    (void)i;
    buf_printf(&a->heard, "open;");
    assert_int_equal(psb_state(c), PSB_STATE_OPENING);
    return verdict;
}

static void on_opened(psb_client_t *c, void *ud)
{
    struct app *a = ud;
    assert_int_equal(psb_state(c), PSB_STATE_CONNECTED);
    buf_printf(&a->heard, "opened;");
}

static void on_state(psb_client_t *c, int now, int before, void *ud)
{
    struct app *a = ud;
    assert_int_equal(psb_backend(c) == a->b, 1);
    buf_printf(&a->heard, "%d,%d;", now, before);
}

static void on_close(psb_client_t *c, int code, psb_buf reason, int cause,
                     void *ud)
{
    struct app *a = ud;
    (void)code, (void)reason, (void)cause;
    buf_printf(&a->heard, "close %llu;",
               (unsigned long long)psb_bytes_received(c));
}

static void on_conn(psb_t *b, psb_buf addr, uint16_t port, void *ud)
{
    struct app *a = ud;
    (void)b;
    buf_printf(&a->heard, "conn %.*s %u;", (int)addr.n, addr.p, port);
}

static void on_refused(psb_t *b, int code, psb_buf reason, psb_buf addr,
                       psb_buf target, void *ud)
{
    struct app *a = ud;
    (void)b;
    buf_printf(&a->heard, "refused %d %.*s %.*s %.*s;", code, (int)reason.n,
               reason.p, (int)addr.n, addr.p, (int)target.n, target.p);
}

static void on_goaway(psb_t *b, int mode, int grace_ms, void *ud)
{
    struct app *a = ud;
    (void)b;
    buf_printf(&a->heard, "goaway %d %d;", mode, grace_ms);
}

static const psb_handlers watching = {
    .on_open = on_open,
    .on_opened = on_opened,
    .on_state = on_state,
    .on_close = on_close,
    .on_conn = on_conn,
    .on_refused = on_refused,
    .on_goaway = on_goaway,
};

static void begin_watching(struct app *a, struct gateway *g)
{
    psb_app app = {.name = "a", .h = &watching, .ud = a, .nodelay = -1};
    struct sluice_frame f;

    *a = (struct app){.b = psb_new("test")};
    assert_int_equal(psb_app_add(a->b, &app), 1);
    gateway_connect(g, a->b);
    g->features = SLUICE_FEATURE_WIRECOUNT;
    gateway_hello(g);
    turn(a->b);
    assert_heard(g, SLUICE_HELLO, &f);
    assert_heard(g, SLUICE_REGISTER, &f);
    struct sluice_register r;
    assert_int_equal(sluice_register_get(&r, &f), 0);
    struct str rest = r.tlvs;
    struct sluice_tlv t;
    uint32_t mask = 0, nodelay = 9;
    while (sluice_tlv_next(&rest, &t) == 1) {
        uint16_t id;
        uint32_t value;
        if (t.tag != SLUICE_TAG_OPT || sluice_tlv_get_opt(&t, &id, &value) < 0)
            continue;
        if (id == SLUICE_OPT_EVENT_MASK)
            mask = value;
        if (id == SLUICE_OPT_NODELAY)
            nodelay = value;
    }
    assert_int_equal(mask, SLUICE_EVENT_CONN | SLUICE_EVENT_CLIENT_ERROR |
                               SLUICE_EVENT_OPENED | SLUICE_EVENT_WIRE);
    assert_int_equal(nodelay, 0);
    assert_heard(g, SLUICE_READY, &f);
    struct sluice_registered ok = {1, STR("")};
    sluice_registered_put(&g->out, &ok);
}

static void put_closed(struct gateway *g, uint64_t bytes_in)
{
    struct sluice_closed c = {
        .cid = cid_of(5), .code = 1000, .bytes_in = bytes_in};
    sluice_closed_put(&g->out, &c);
}

static void states_come_in_their_order(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;

    begin_watching(&a, &g);
    verdict = PSB_ACCEPT;
    gateway_open(&g, 5);
    gateway_say(&g);
    turn(a.b);
    assert_hears(&a, "1,0;open;3,1;");
    sluice_empty_put(&g.out, SLUICE_OPENED, 0, cid_of(5));
    gateway_say(&g);
    turn(a.b);
    assert_hears(&a, "4,3;opened;");
    put_closed(&g, 0);
    gateway_say(&g);
    turn(a.b);
    assert_hears(&a, "5,4;close 0;");

    verdict = 403;
    gateway_open(&g, 5);
    gateway_say(&g);
    turn(a.b);
    assert_hears(&a, "1,0;open;5,1;");
    put_closed(&g, 0);
    gateway_say(&g);
    turn(a.b);
    assert_hears(&a, "close 0;");

    /* Decided later, and open before anybody looked. */
    verdict = PSB_LATER;
    gateway_open(&g, 5);
    gateway_say(&g);
    turn(a.b);
    psb_client_t *c = psb_find(a.b, cid_of(5));
    psb_accept(c, NULL, NULL);
    assert_int_equal(psb_state(c), PSB_STATE_HANDSHAKING);
    assert_hears(&a, "1,0;open;");
    sluice_empty_put(&g.out, SLUICE_OPENED, 0, cid_of(5));
    gateway_say(&g);
    turn(a.b);
    assert_hears(&a, "3,1;4,3;opened;");
    finish(&a, &g);
}

static void bytes_are_those_of_the_wire(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct sluice_header h = {.type = SLUICE_BINARY, .cid = cid_of(5)};

    begin_watching(&a, &g);
    verdict = PSB_ACCEPT;
    gateway_open(&g, 5);
    sluice_empty_put(&g.out, SLUICE_OPENED, 0, cid_of(5));
    gateway_say(&g);
    turn(a.b);
    h.aux = 6;
    sluice_frame_put(&g.out, &h, STR("0123456789"));
    h.aux = (uint16_t)(int16_t)-4; /* it came compressed */
    sluice_frame_put(&g.out, &h, STR("0123456789"));
    gateway_say(&g);
    turn(a.b);
    assert_int_equal(psb_bytes_received(psb_find(a.b, cid_of(5))), 22);
    buf_clear(&a.heard);
    put_closed(&g, 30);
    gateway_say(&g);
    turn(a.b);
    assert_hears(&a, "5,4;close 30;");
    finish(&a, &g);
}

static void events_of_the_gateway_are_told(void **state)
{
    (void)state;
    struct app a;
    struct gateway g;
    struct buf tlvs = {0};
    uint8_t port[2];

    begin_watching(&a, &g);
    le16_put(port, 8080);
    sluice_tlv_put(&tlvs, SLUICE_TAG_REMOTE_ADDR, STR("192.0.2.1"));
    sluice_tlv_put(&tlvs, SLUICE_TAG_REMOTE_PORT, str_n(port, 2));
    struct sluice_conn m = {.tlvs = buf_str(&tlvs)};
    sluice_conn_put(&g.out, &m);
    buf_clear(&tlvs);
    sluice_tlv_put(&tlvs, SLUICE_TAG_REMOTE_ADDR, STR("192.0.2.1"));
    sluice_tlv_put(&tlvs, SLUICE_TAG_REASON, STR("origin"));
    sluice_tlv_put(&tlvs, SLUICE_TAG_TARGET, STR("/x"));
    struct sluice_client_error e = {.code = 9, .tlvs = buf_str(&tlvs)};
    sluice_client_error_put(&g.out, &e);
    struct sluice_goaway away = {.mode = SLUICE_GOAWAY_DRAIN,
                                 .grace_ms = UINT32_MAX};
    sluice_goaway_put(&g.out, &away);
    buf_fini(&tlvs);
    gateway_say(&g);
    turn(a.b);
    assert_hears(&a, "conn 192.0.2.1 8080;refused 9 origin 192.0.2.1 /x;"
                     "goaway 0 2147483647;");
    finish(&a, &g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_come_in_their_order),
        cmocka_unit_test(bytes_are_those_of_the_wire),
        cmocka_unit_test(events_of_the_gateway_are_told),
        cmocka_unit_test(asks_for_lines_as_it_debugs),
        cmocka_unit_test(asks_every_gateway_that_comes),
        cmocka_unit_test(hands_lines_of_the_gateway_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

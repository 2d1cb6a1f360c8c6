/* SPDX-License-Identifier: BSD-2-Clause */
#include "gateway.h"
#include "sluice/http.h"

/* What the application heard, as text: one line a callback. */
static struct {
    struct buf heard;
    psb_client_t *client; /* the last one */
    bool tunnel;          /* on_http and on_open take one */
} app_saw;

static struct gateway gw;
static psb_t *backend;

static void note_trailers(const psb_client_t *c)
{
    psb_buf name, value;
    size_t it = 0;

    while (psb_trailer_next(c, &it, &name, &value))
        buf_printf(&app_saw.heard, " %.*s=%.*s", (int)name.n,
                   (const char *)name.p, (int)value.n, (const char *)value.p);
}

static void on_http(psb_client_t *c, const psb_info *i, int more, void *ud)
{
    (void)i;
    (void)ud;
    app_saw.client = c;
    buf_printf(&app_saw.heard, "http %d\n", more);
    if (app_saw.tunnel)
        assert_int_equal(psb_accept_tunnel(c), 0);
}

static int on_open(psb_client_t *c, const psb_info *i, void *ud)
{
    (void)i;
    (void)ud;
    app_saw.client = c;
    if (app_saw.tunnel)
        assert_int_equal(psb_accept_tunnel(c), 0);
    return PSB_ACCEPT;
}

static void note_bytes(const char *what, psb_buf bytes, int more)
{
    buf_printf(&app_saw.heard, "%s %.*s %d", what, (int)bytes.n,
               (const char *)bytes.p, more);
}

static void on_http_body(psb_client_t *c, psb_buf bytes, int more, void *ud)
{
    (void)ud;
    note_bytes("body", bytes, more);
    note_trailers(c);
    buf_put_str(&app_saw.heard, STR("\n"));
}

static void on_tunnel(psb_client_t *c, psb_buf bytes, int more, void *ud)
{
    (void)c;
    (void)ud;
    note_bytes("tunnel", bytes, more);
    buf_put_str(&app_saw.heard, STR("\n"));
}

static void on_writable(psb_client_t *c, void *ud)
{
    (void)c;
    (void)ud;
    buf_put_str(&app_saw.heard, STR("writable\n"));
}

static void on_close(psb_client_t *c, int code, psb_buf reason, int cause,
                     void *ud)
{
    (void)c;
    (void)reason;
    (void)ud;
    app_saw.client = NULL;
    buf_printf(&app_saw.heard, "close %d %d\n", code, cause);
}

static int begin(void **state)
{
    static const psb_handlers h = {
        .on_open = on_open,
        .on_http = on_http,
        .on_http_body = on_http_body,
        .on_tunnel = on_tunnel,
        .on_writable = on_writable,
        .on_close = on_close,
    };
    static const psb_app app = {.name = "app", .h = &h};
    (void)state;

    memset(&app_saw, 0, sizeof app_saw);
    backend = psb_new("test");
    assert_int_equal(psb_app_add(backend, &app), 1);
    gateway_connect(&gw, backend);
    gw.features = SLUICE_FEATURE_HTTP | SLUICE_FEATURE_TUNNEL;
    gateway_greet(&gw, backend);
    return 0;
}

static int end(void **state)
{
    (void)state;
    gateway_fini(&gw);
    psb_free(backend);
    buf_fini(&app_saw.heard);
    return 0;
}

static void assert_saw(const char *text)
{
    gateway_say(&gw);
    turn(backend);
    assert_str(buf_str(&app_saw.heard), text);
    buf_clear(&app_saw.heard);
}

static void request(unsigned slot, bool more, const char *upgrade)
{
    struct sluice_open o = {.type = SLUICE_HTTP_REQ,
                            .cid = cid_of(slot),
                            .more = more,
                            .http_version = 11,
                            .app_id = 1,
                            .window_out = 10,
                            .window_in = 1000};
    size_t at;
    bool ok = sluice_open_begin(&gw.out, &o, &at) &&
              sluice_tlv_put(&gw.out, SLUICE_TAG_METHOD, STR("PUT"));
    if (upgrade)
        ok &= sluice_tlv_put_header(&gw.out, STR("Upgrade"), str_c(upgrade));
    assert_true(sluice_frame_end(&gw.out, at, ok));
}

static void expect_body(const char *data, bool more)
{
    struct sluice_frame f;
    assert_heard(&gw, SLUICE_HTTP_BODY, &f);
    assert_str(sluice_payload(&f), data);
    assert_int_equal(f.header.flags, more ? SLUICE_FLAG_MORE : 0);
}

static void expect_accept(void)
{
    struct sluice_frame f;
    struct sluice_accept a;
    assert_heard(&gw, SLUICE_ACCEPT, &f);
    assert_int_equal(sluice_accept_get(&a, &f), 0);
    assert_true(a.tunnel);
}

static void tells_trailers_of_a_request(void **state)
{
    struct buf tlvs = {0};
    (void)state;

    request(1, true, NULL);
    gateway_data(&gw, SLUICE_HTTP_BODY, 1, true, "abc");
    assert_saw("http 1\nbody abc 1\n");
    sluice_tlv_put_header(&tlvs, STR("X-Sum"), STR("1"));
    sluice_tlv_put_header(&tlvs, STR("X-Sum"), STR("2"));
    struct sluice_http_trailers t = {cid_of(1), buf_str(&tlvs)};
    sluice_http_trailers_put(&gw.out, &t);
    buf_fini(&tlvs);
    assert_saw("body  0 X-Sum=1 X-Sum=2\n");
}

/* They wait behind the body that waits for credit. */
static void sends_trailers_of_a_response(void **state)
{
    static const char *const fields[] = {"X-Sum", "1", NULL};
    static const char *const bad[] = {"X-Sum", "1\r\nX: 2", NULL};
    struct sluice_frame f;
    (void)state;

    for (unsigned slot = 1; slot < 3; slot++) {
        bool waits = slot == 2;
        request(slot, false, NULL);
        assert_saw("http 0\n");
        psb_client_t *c = app_saw.client;
        assert_int_equal(psb_http_trailers(c, fields), -1);
        assert_int_equal(errno, ENOTCONN);
        psb_http_respond(c, 200, NULL, "0123456789", 10, 1);
        if (waits)
            assert_int_equal(psb_http_write(c, "more", 4, 1), 1);
        assert_int_equal(psb_http_trailers(c, bad), -1);
        assert_int_equal(errno, EINVAL);
        assert_int_equal(psb_http_trailers(c, fields), waits);
        assert_int_equal(psb_http_write(c, "x", 1, 1), -1);
        turn(backend);
        assert_heard(&gw, SLUICE_HTTP_RES, &f);
        expect_body("0123456789", true);
        if (waits) {
            assert_int_equal(gateway_hear(&gw, &f), 0);
            gateway_ack(&gw, slot, 10, 0);
            assert_saw("");
            expect_body("more", true);
        }
        assert_heard(&gw, SLUICE_HTTP_TRAILERS, &f);
        assert_int_equal(f.payload.n, 12);
        assert_memory_equal(f.payload.p, "\x10\x08\0\0\5\0X-Sum1", 12);
    }
}

/* At any time, and without what waits for credit. */
static void terminates_a_request(void **state)
{
    struct sluice_frame f;
    struct sluice_http_done done = {.cid = cid_of(1)};
    (void)state;

    for (int stage = 0; stage < 3; stage++) {
        request(1, false, NULL);
        assert_saw("http 0\n");
        psb_client_t *c = app_saw.client;
        if (stage > 0) {
            psb_http_respond(c, 200, NULL, "0123456789", 10, 1);
            turn(backend);
            assert_heard(&gw, SLUICE_HTTP_RES, &f);
            expect_body("0123456789", true);
        }
        if (stage > 1)
            assert_int_equal(psb_http_write(c, "more", 4, 0), 1);
        assert_int_equal(psb_terminate(c), 0);
        assert_int_equal(psb_terminate(c), -1);
        assert_int_equal(errno, EPIPE);
        assert_int_equal(psb_http_write(c, "x", 1, 0), -1);
        turn(backend);
        assert_heard(&gw, SLUICE_TERMINATE, &f);
        assert_int_equal(f.header.cid, cid_of(1));
        gateway_ack(&gw, 1, 0, 0);
        assert_saw("");
        assert_int_equal(gateway_hear(&gw, &f), 0);
        sluice_http_done_put(&gw.out, &done);
        gateway_say(&gw);
        turn(backend);
        assert_null(app_saw.client);
        buf_clear(&app_saw.heard);
    }
}

static void takes_a_request_as_a_tunnel(void **state)
{
    struct sluice_frame f;
    struct sluice_closed closed = {
        .cid = cid_of(1), .code = 1005, .cause = SLUICE_CAUSE_CLIENT_CLOSE};
    (void)state;

    app_saw.tunnel = true;
    request(1, false, "lines");
    gateway_say(&gw);
    turn(backend);
    expect_accept();
    psb_client_t *c = app_saw.client;
    assert_int_equal(psb_ready_state(c), PSB_OPEN);
    assert_int_equal(psb_tunnel_write(c, "0123456789", 10, 1), 1);
    assert_int_equal(psb_tunnel_write(c, "more", 4, 1), 1);
    assert_int_equal(psb_buffered(c), 4);
    gateway_data(&gw, SLUICE_HTTP_BODY, 1, true, "in");
    assert_saw("http 0\ntunnel in 1\n");
    expect_body("0123456789", true);
    gateway_ack(&gw, 1, 10, 0);
    assert_saw("writable\n");
    expect_body("more", true);
    assert_int_equal(psb_bytes_received(c), 2);
    assert_int_equal(psb_tunnel_write(c, "", 0, 0), 0);
    assert_int_equal(psb_tunnel_write(c, "x", 1, 1), -1);
    assert_int_equal(errno, EPIPE);
    gateway_data(&gw, SLUICE_HTTP_BODY, 1, false, "");
    sluice_closed_put(&gw.out, &closed);
    assert_saw("tunnel  0\nclose 1005 0\n");
    expect_body("", false);
    assert_int_equal(gateway_hear(&gw, &f), 0);
}

static void takes_a_handshake_as_a_tunnel(void **state)
{
    struct sluice_frame f;
    (void)state;

    app_saw.tunnel = true;
    gateway_open(&gw, 1);
    gateway_data(&gw, SLUICE_HTTP_BODY, 1, true, "in");
    assert_saw("tunnel in 1\n");
    expect_accept();
    psb_client_t *c = app_saw.client;
    /* It is no WebSocket. */
    assert_int_equal(psb_send(c, 0, "x", 1), -1);
    assert_int_equal(psb_ping(c, "x", 1), -1);
    assert_int_equal(psb_raw(c, 0x81, "x", 1), -1);
    assert_int_equal(psb_subscribe(c, "x"), -1);
    assert_int_equal(psb_set_state(c, (psb_buf){NULL, 0}, 0), -1);
    assert_int_equal(psb_accept_tunnel(c), -1);
    assert_int_equal(errno, EALREADY);
    assert_int_equal(psb_tunnel_write(c, "out", 3, 1), 0);
    assert_int_equal(psb_pause(c), 0);
    assert_int_equal(psb_close(c, 1000, NULL), 0);
    turn(backend);
    expect_body("out", true);
    assert_heard(&gw, SLUICE_PAUSE, &f);
    assert_heard(&gw, SLUICE_CLOSE, &f);
    /* Text on it is the gateway's fault, and ends it. */
    gateway_data(&gw, SLUICE_TEXT, 1, false, "x");
    assert_saw("");
    assert_heard(&gw, SLUICE_ERROR, &f);
    assert_heard(&gw, SLUICE_TERMINATE, &f);
}

static void takes_no_tunnel_that_the_gateway_would_refuse(void **state)
{
    struct sluice_frame f;
    (void)state;

    request(1, false, NULL);
    request(2, true, "lines");
    gateway_say(&gw);
    turn(backend);
    for (unsigned slot = 1; slot < 3; slot++) {
        psb_client_t *c = psb_find(backend, cid_of(slot));
        assert_int_equal(psb_accept_tunnel(c), -1);
        assert_int_equal(errno, EINVAL);
        assert_int_equal(psb_tunnel_write(c, "x", 1, 1), -1);
    }
    buf_clear(&app_saw.heard);
    /* It crossed the answer: the client had left. */
    gateway_data(&gw, SLUICE_HTTP_BODY, 2, false, "");
    assert_saw("body  0\n");
    assert_int_equal(psb_accept_tunnel(psb_find(backend, cid_of(2))), 0);
    struct sluice_http_reset r = {.cid = cid_of(2), .code = 5};
    sluice_http_reset_put(&gw.out, &r);
    assert_saw("close 0 17\n");
    expect_accept();
    assert_int_equal(gateway_hear(&gw, &f), 0);
}

static void needs_the_permission(void **state)
{
    struct gateway other;
    (void)state;

    gateway_connect(&other, backend);
    other.features = SLUICE_FEATURE_HTTP;
    gateway_greet(&other, backend);
    gateway_open(&other, 1);
    gateway_say(&other);
    turn(backend);
    assert_int_equal(psb_accept_tunnel(app_saw.client), -1);
    gateway_fini(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_trailers_of_a_request, begin,
                                        end),
        cmocka_unit_test_setup_teardown(sends_trailers_of_a_response, begin,
                                        end),
        cmocka_unit_test_setup_teardown(terminates_a_request, begin, end),
        cmocka_unit_test_setup_teardown(takes_a_request_as_a_tunnel, begin,
                                        end),
        cmocka_unit_test_setup_teardown(takes_a_handshake_as_a_tunnel, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            takes_no_tunnel_that_the_gateway_would_refuse, begin, end),
        cmocka_unit_test_setup_teardown(needs_the_permission, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

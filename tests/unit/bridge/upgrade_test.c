/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/upgrade.h"

#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

static void declines_what_is_no_handshake(void **state)
{
    (void)state;
    world_start(1);
    struct paper *p = paper_ask("");
    fake_expect(fake_of(0), SLUICE_OPEN);
    paper_free(p);

    struct http_field plain[] = {{STR_INIT("Host"), STR_INIT("example.com")}};
    p = paper_ask("Origin: null\n"); /* a paper that was refused */
    assert_int_equal(p->verdict, 403);
    p->r.head.fields = plain;
    p->r.head.fields_n = 1;
    assert_int_equal(bridge_upgrade(&p->r), VERDICT_DECLINED);
    world.conf.pool = NULL;
    paper_free(p);
    p = paper_ask("");
    assert_int_equal(p->verdict, VERDICT_DECLINED);
    paper_free(p);
    world.conf.pool = &world.pool;
}

static void refuses_before_the_backend_is_asked(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        int verdict;
    } cases[] = {
        {"Sec-WebSocket-Version: 12\n", 426},
        {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", 400},
        {"Sec-WebSocket-Protocol: a, a\n", 400},
        {"Sec-WebSocket-Protocol: a b\n", 400},
        {"Origin: http://example.org\n", 403},
        {"Origin: https://example.com\n", 403},
        {"Origin: http://example.com\nOrigin: http://example.com\n", 403},
    };
    world_start(1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct paper *p = paper_ask(cases[i].fields);
        if (p->verdict != cases[i].verdict)
            fail_msg("%s: %d", cases[i].fields, p->verdict);
        if (p->verdict == 426)
            assert_non_null(
                strstr((char *)p->fields.p, "Sec-WebSocket-Version=13, 8, 7;"));
        paper_free(p);
    }
    assert_true(fake_is_silent(fake_of(0)));
    assert_int_equal(bridge_live(), 0);
}

#define FORWARDED(proto, host)                                                 \
    "X-Forwarded-Proto: " proto "\nX-Forwarded-Host: " host "\n"

static void a_trusted_proxy_says_what_is_the_same_origin(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool trusted;
        int verdict;
    } cases[] = {
        {FORWARDED("https",
                   "public.example") "Origin: https://public.example\n",
         true, VERDICT_PENDING},
        {FORWARDED("https",
                   "public.example") "Origin: https://public.example\n",
         false, 403},
        {FORWARDED("https", "public.example") "Origin: http://example.com\n",
         true, 403},
        {FORWARDED("https", "public.example") "Origin: http://example.com\n",
         false, VERDICT_PENDING},
        {FORWARDED(
             "https",
             "public.example:8443") "Origin: https://public.example:8443\n",
         true, VERDICT_PENDING},
        {FORWARDED(
             "http, https",
             "evil.example, public.example") "Origin: https://public.example\n",
         true, VERDICT_PENDING},
        {FORWARDED(
             "http, https",
             "evil.example, public.example") "Origin: https://evil.example\n",
         true, 403},
        {"X-Forwarded-Proto: https\nOrigin: https://example.com\n", true,
         VERDICT_PENDING},
        {"X-Forwarded-Host: a b\nOrigin: http://example.com\n", true,
         VERDICT_PENDING},
        {"Origin: http://example.com\n", true, VERDICT_PENDING},
    };
    world_start(1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        world.trusts_peer = cases[i].trusted;
        struct paper *p = paper_ask(cases[i].fields);
        if (p->verdict != cases[i].verdict)
            fail_msg("%s: %d", cases[i].fields, p->verdict);
        paper_free(p);
    }
}

static void only_reports_origins_when_told(void **state)
{
    (void)state;
    world.conf.origin_report = 1;
    world_start(1);
    struct paper *p = paper_ask("Origin: http://example.org\n");
    assert_int_equal(p->verdict, VERDICT_PENDING);
    fake_expect(fake_of(0), SLUICE_OPEN);
    paper_free(p);
}

static void answers_503_without_a_backend_and_when_full(void **state)
{
    (void)state;
    world.pool.set.max_clients = 1;
    world_start(1);
    struct paper *p = paper_ask("");
    struct paper *q = paper_ask("");
    assert_int_equal(p->verdict, VERDICT_PENDING);
    assert_int_equal(q->verdict, 503);
    assert_non_null(strstr((char *)q->fields.p, "Retry-After=5;"));
    paper_free(q);
    paper_free(p);
    fake_close(fake_of(0));
    WORLD_WAIT(pool_find(STR("test"))->balance.peers[0].unready);
    p = paper_ask("");
    assert_int_equal(p->verdict, 503);
    assert_int_equal(p->fields.n, 0);
    paper_free(p);
}

/* max_clients overflow=evict_oldest */
static void the_oldest_session_makes_room(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t first, second, third;
    world.pool.set.max_clients = 2;
    world.pool.set.evict_oldest = true;
    world_start(1);
    struct paper *p = paper_open(b, &first);
    struct paper *q = paper_open(b, &second);
    struct paper *r = paper_ask("");
    struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
    struct sluice_closed c;
    assert_int_equal(sluice_closed_get(&c, &f), 0);
    assert_int_equal(c.cid, first);
    assert_int_equal(c.code, 1013);
    assert_int_equal(c.cause, SLUICE_CAUSE_LIMIT);
    paper_expect(p, "\x88\2\3\xf5", 4);
    third = fake_expect(b, SLUICE_OPEN).header.cid;
    fake_accept_client(b, third, NULL);
    paper_expect_101(r);
    fake_expect(b, SLUICE_OPENED);
    /* The next one takes the place of the second. */
    struct paper *s = paper_ask("");
    f = fake_expect(b, SLUICE_CLOSED);
    assert_int_equal(f.header.cid, second);
    paper_free(p);
    paper_free(q);
    paper_free(r);
    paper_free(s);
}

/* One whose backend is lost before it answered has its place already. */
static void being_offered_again_takes_no_further_room(void **state)
{
    (void)state;
    world.pool.set.max_clients = 1;
    world.pool.set.evict_oldest = true;
    world_start(2);
    struct paper *p = paper_ask("");
    struct session *s = CONTAINER(bridge.sessions.next, struct session, all);
    bool on_first = strcmp(s->link->backend->path, fake_of(0)->path) == 0;
    struct fake *b = fake_of(!on_first), *other = fake_of(on_first);
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    fake_close(b);
    assert_int_equal(fake_expect(other, SLUICE_OPEN).header.cid, cid);
    fake_accept_client(other, cid, NULL);
    paper_expect_101(p);
    paper_free(p);
}

static void tells_the_backend_all_about_the_request(void **state)
{
    (void)state;
    struct sluice_open o;
    struct sluice_tlv t;
    char seen[2000] = "";
    world_start(1);
    struct paper *p = paper_ask("Origin: http://example.com\n"
                                "Sec-WebSocket-Protocol: a, b\n"
                                "X-More: 1\n");
    struct sluice_frame f = fake_expect(fake_of(0), SLUICE_OPEN);
    assert_int_equal(sluice_open_get(&o, &f), 0);
    assert_int_equal(o.ws_version, 13);
    assert_int_equal(o.http_version, 11);
    assert_int_equal(o.remote_port, 51234);
    assert_int_equal(o.local_port, 8080);
    assert_int_equal(o.window_out, 65536);
    assert_int_equal(o.max_message, 1 << 20);
    assert_int_equal(o.flags, SLUICE_OPEN_BINARY_OK);
    while (sluice_tlv_next(&o.tlvs, &t) == 1) {
        struct str name, value = t.value;
        if (t.tag == SLUICE_TAG_HEADER)
            sluice_tlv_get_header(&t, &name, &value);
        if (t.tag == SLUICE_TAG_REQUEST_ID)
            assert_int_equal(value.n, 16);
        else
            snprintf(seen + strlen(seen), sizeof seen - strlen(seen),
                     "%02x=%.*s ", t.tag, STR_ARG(value));
    }
    assert_string_equal(seen,
                        "11=GET 12=/ws?x=1 13=/ws 15=203.0.113.9 16=192.0.2.1 "
                        "1b=http://example.com 1d=/ws 10=example.com "
                        "10=websocket 10=Upgrade 10=dGhlIHNhbXBsZSBub25jZQ== "
                        "10=http://example.com 10=a, b 10=1 10=13 19=a 19=b ");
    paper_free(p);
}

static void passes_the_choice_and_the_fields_of_the_backend_on(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    world_start(1);
    struct paper *p = paper_ask("Sec-WebSocket-Protocol: a, b\n");
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    struct buf tlvs = {0};
    sluice_tlv_put(&tlvs, SLUICE_TAG_SUBPROTOCOL, STR("b"));
    sluice_tlv_put_header(&tlvs, STR("Set-Cookie"), STR("c=1"));
    struct sluice_accept a = {.cid = cid, .tlvs = buf_str(&tlvs)};
    sluice_accept_put(&b->out, &a);
    buf_fini(&tlvs);
    fake_send(b);
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: "
                               "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                               "Sec-WebSocket-Protocol: b\r\n"
                               "Set-Cookie: c=1\r\n\r\n";
    paper_expect(p, head, sizeof head - 1);
    fake_expect(b, SLUICE_OPENED);
    assert_int_equal(p->ended, 101);
    paper_free(p);
}

/* The header name, its value, the subprotocol: what an ACCEPT may not say. */
static void refuses_an_accept_that_could_break_the_answer(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *protocol;
    } bad[] = {
        {"X", "a\r\nY: b", NULL},
        {"X\n", "a", NULL},
        {"X", "a\001", NULL},
        {"", "a", NULL},
        {"Connection", "close", NULL},
        {"upgrade", "h2c", NULL},
        {"Sec-WebSocket-Extensions", "x", NULL},
        {"websocket-location", "ws://x/", NULL},
        {"Content-Length", "5", NULL},
        {"Transfer-Encoding", "chunked", NULL},
        {NULL, NULL, "c"},
        {NULL, NULL, "A"},
    };
    struct fake *b = fake_of(0);
    world_start(1);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct paper *p = paper_ask("Sec-WebSocket-Protocol: a, b\n");
        uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
        struct buf tlvs = {0};
        if (bad[i].name)
            sluice_tlv_put_header(&tlvs, str_c(bad[i].name),
                                  str_c(bad[i].value));
        if (bad[i].protocol)
            sluice_tlv_put(&tlvs, SLUICE_TAG_SUBPROTOCOL,
                           str_c(bad[i].protocol));
        struct sluice_accept a = {.cid = cid, .tlvs = buf_str(&tlvs)};
        sluice_accept_put(&b->out, &a);
        buf_fini(&tlvs);
        fake_send(b);
        struct sluice_error_frame e;
        struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
        sluice_error_get(&e, &f);
        assert_int_equal(e.code, SLUICE_ERROR_HANDSHAKE);
        fake_expect(b, SLUICE_CLOSED);
        assert_int_equal(p->finished, 502);
        paper_free(p);
    }
}

static void offers_only_what_the_location_names_best_first(void **state)
{
    (void)state;
    struct str ours[] = {STR_INIT("v2"), STR_INIT("v1")};
    void *items[] = {&ours[0], &ours[1]};
    struct sluice_open o;
    struct sluice_tlv t;
    char seen[100] = "";
    world.conf.protocols = (struct conf_list){.items = items, .n = 2};
    world_start(1);
    struct paper *p = paper_ask("Sec-WebSocket-Protocol: v1, x, v2\n");
    struct sluice_frame f = fake_expect(fake_of(0), SLUICE_OPEN);
    sluice_open_get(&o, &f);
    while (sluice_tlv_next(&o.tlvs, &t) == 1)
        if (t.tag == SLUICE_TAG_SUBPROTOCOL)
            snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s ",
                     STR_ARG(t.value));
    assert_string_equal(seen, "v2 v1 ");
    paper_free(p);
}

static void a_rejection_becomes_a_response(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_closed c;
    world_start(1);
    struct paper *p = paper_ask("");
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    struct buf tlvs = {0};
    sluice_tlv_put_header(&tlvs, STR("Content-Type"), STR("text/plain"));
    sluice_tlv_put_header(&tlvs, STR("WWW-Authenticate"), STR("Basic"));
    sluice_tlv_put_header(&tlvs, STR("Content-Length"), STR("99"));
    sluice_tlv_put(&tlvs, SLUICE_TAG_BODY, STR("go away"));
    struct sluice_reject j = {
        .cid = cid, .status = 401, .tlvs = buf_str(&tlvs)};
    sluice_reject_put(&b->out, &j);
    buf_fini(&tlvs);
    fake_send(b);
    struct sluice_frame f = fake_expect(b, SLUICE_CLOSED);
    assert_int_equal(sluice_closed_get(&c, &f), 0);
    assert_int_equal(c.cause, SLUICE_CAUSE_REJECTED);
    assert_int_equal(p->status, 401);
    assert_int_equal(p->finished, VERDICT_DONE);
    assert_str(buf_str(&p->body), "go away");
    assert_str(buf_str(&p->fields), "WWW-Authenticate=Basic;type=text/plain;");
    paper_free(p);
    assert_int_equal(bridge_live(), 0);
}

static void collects_the_body_of_a_rejection(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    world_start(1);
    struct paper *p = paper_ask("");
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    struct sluice_reject j = {.cid = cid, .status = 403, .more = true};
    sluice_reject_put(&b->out, &j);
    fake_put_data(b, SLUICE_HTTP_BODY, SLUICE_FLAG_MORE, cid, "go ", 3);
    fake_put_data(b, SLUICE_HTTP_BODY, 0, cid, "away", 4);
    fake_send(b);
    fake_expect(b, SLUICE_CLOSED);
    assert_int_equal(p->status, 403);
    assert_str(buf_str(&p->body), "go away");
    paper_free(p);
}

static void a_long_rejection_is_sent_as_it_comes(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    static char big[60000];
    world_start(1);
    struct paper *p = paper_ask("");
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    struct sluice_reject j = {.cid = cid, .status = 403, .more = true};
    sluice_reject_put(&b->out, &j);
    for (int i = 0; i < 5; i++) {
        p->full = i == 2;
        fake_put_data(b, SLUICE_HTTP_BODY, SLUICE_FLAG_MORE, cid, big,
                      sizeof big);
        fake_send(b);
        if (p->full) {
            WORLD_WAIT(p->r.blocked);
            assert_true(fake_is_silent(b));
            p->r.handler->on_drain(&p->r);
        }
        fake_expect(b, SLUICE_ACK);
    }
    assert_int_equal(p->body.n, 5 * sizeof big);
    fake_put_data(b, SLUICE_HTTP_BODY, 0, cid, "end", 3);
    fake_send(b);
    fake_expect(b, SLUICE_CLOSED);
    assert_int_equal(p->body.n, 5 * sizeof big + 3);
    assert_int_equal(p->finished, VERDICT_DONE);
    paper_free(p);
}

static void a_rejection_cannot_grow_for_ever(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    static char big[60000];
    world_start(1);
    struct paper *p = paper_ask("");
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    struct sluice_reject j = {.cid = cid, .status = 403, .more = true};
    p->full = true; /* the client does not read */
    sluice_reject_put(&b->out, &j);
    for (int i = 0; i < 3; i++)
        fake_put_data(b, SLUICE_HTTP_BODY, SLUICE_FLAG_MORE, cid, big,
                      sizeof big);
    fake_send(b);
    fake_expect(b, SLUICE_ERROR);
    fake_expect(b, SLUICE_CLOSED);
    assert_int_equal(p->finished, 502);
    paper_free(p);
}

static void gives_504_when_the_backend_does_not_answer(void **state)
{
    (void)state;
    struct sluice_closed c;
    world.pool.set.accept_timeout_ms = 50;
    world_start(1);
    struct paper *p = paper_ask("");
    fake_expect(fake_of(0), SLUICE_OPEN);
    struct sluice_frame f = fake_expect(fake_of(0), SLUICE_CLOSED);
    sluice_closed_get(&c, &f);
    assert_int_equal(c.cause, SLUICE_CAUSE_ACCEPT_TIMEOUT);
    assert_int_equal(p->finished, 504);
    paper_free(p);
}

static void tells_the_backend_that_a_client_left_early(void **state)
{
    (void)state;
    struct sluice_closed c;
    world_start(1);
    struct paper *p = paper_ask("");
    fake_expect(fake_of(0), SLUICE_OPEN);
    p->r.handler->on_abort(&p->r);
    struct sluice_frame f = fake_expect(fake_of(0), SLUICE_CLOSED);
    sluice_closed_get(&c, &f);
    assert_int_equal(c.cause, SLUICE_CAUSE_LEFT_EARLY);
    assert_int_equal(c.code, 1006);
    assert_int_equal(p->finished, -100);
    paper_free(p);
}

static void offers_a_client_to_another_backend_once(void **state)
{
    (void)state;
    world_start(2);
    struct paper *p = paper_ask("");
    struct fake *first = fake_of(0), *second = fake_of(1);
    WORLD_WAIT(bridge.live == 1);
    if (fake_is_silent(first)) {
        first = fake_of(1);
        second = fake_of(0);
    }
    fake_close(first);
    fake_expect(second, SLUICE_OPEN);
    assert_int_equal(p->finished, -100);
    fake_close(second);
    WORLD_WAIT(p->finished == 502);
    paper_free(p);
}

static void answers_at_once_when_told_to(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_open o;
    world.conf.accept_auto = 1;
    world_start(1);
    struct paper *p = paper_ask("");
    paper_expect_101(p);
    struct sluice_frame f = fake_expect(b, SLUICE_OPEN);
    sluice_open_get(&o, &f);
    assert_true(o.flags & SLUICE_OPEN_ALREADY_OPEN);
    /* Messages wait for the backend's word. */
    paper_frame(p, 0x81, "hi", 2);
    assert_true(fake_is_silent(b));
    fake_accept_client(b, o.cid, NULL);
    fake_expect(b, SLUICE_OPENED);
    fake_expect(b, SLUICE_TEXT);
    paper_free(p);
}

static void a_late_rejection_closes_with_1008(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    world.conf.accept_auto = 1;
    world_start(1);
    struct paper *p = paper_ask("");
    paper_expect_101(p);
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    struct sluice_reject j = {.cid = cid, .status = 403};
    sluice_reject_put(&b->out, &j);
    fake_send(b);
    paper_expect(p, "\x88\x02\x03\xf0", 4);
    paper_expect_end(p);
    paper_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(declines_what_is_no_handshake),
        WORLD_TEST(refuses_before_the_backend_is_asked),
        WORLD_TEST(a_trusted_proxy_says_what_is_the_same_origin),
        WORLD_TEST(only_reports_origins_when_told),
        WORLD_TEST(answers_503_without_a_backend_and_when_full),
        WORLD_TEST(the_oldest_session_makes_room),
        WORLD_TEST(being_offered_again_takes_no_further_room),
        WORLD_TEST(tells_the_backend_all_about_the_request),
        WORLD_TEST(passes_the_choice_and_the_fields_of_the_backend_on),
        WORLD_TEST(refuses_an_accept_that_could_break_the_answer),
        WORLD_TEST(offers_only_what_the_location_names_best_first),
        WORLD_TEST(a_rejection_becomes_a_response),
        WORLD_TEST(collects_the_body_of_a_rejection),
        WORLD_TEST(a_long_rejection_is_sent_as_it_comes),
        WORLD_TEST(a_rejection_cannot_grow_for_ever),
        WORLD_TEST(gives_504_when_the_backend_does_not_answer),
        WORLD_TEST(tells_the_backend_that_a_client_left_early),
        WORLD_TEST(offers_a_client_to_another_backend_once),
        WORLD_TEST(answers_at_once_when_told_to),
        WORLD_TEST(a_late_rejection_closes_with_1008),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

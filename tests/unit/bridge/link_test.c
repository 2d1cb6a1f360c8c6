/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/link.h"

#include "base/json.h"
#include "base/random.h"
#include "sluice/ack.h"
#include "sluice/app.h"
#include "sluice/hello.h"
#include "sluice/link.h"
#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

static void greets_with_what_the_pool_says(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_hello h;

    world.pool.servers_n = 1;
    fake_listen(b);
    world_adopt();
    fake_accept(b);
    struct sluice_frame f = fake_expect(b, SLUICE_HELLO);
    assert_int_equal(sluice_hello_get(&h, &f), 0);
    assert_int_equal(h.role, SLUICE_ROLE_GATEWAY);
    assert_int_equal(h.process, 3);
    assert_int_equal(h.epoch, 99);
    assert_int_equal(h.window, 65536);
    assert_int_equal(h.link_window, 1 << 20);
    assert_int_equal(h.max_frame, 65536);
    assert_str(sluice_tlv_find(h.tlvs, SLUICE_TAG_POOL), "test");
}

static void gives_no_clients_to_a_backend_that_is_not_ready(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);

    world.pool.servers_n = 1;
    fake_listen(b);
    world_adopt();
    fake_accept(b);
    fake_greet(b);
    fake_expect(b, SLUICE_HELLO);
    struct paper *p = paper_ask("");
    assert_int_equal(p->verdict, 503);
    paper_free(p);
    fake_ready(b);
    p = paper_ask("");
    assert_int_equal(p->verdict, VERDICT_PENDING);
    fake_expect(b, SLUICE_OPEN);
    paper_free(p);
}

static void dials_again_after_a_loss(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    world_start(1);
    for (int i = 0; i < 3; i++) {
        fake_close(b);
        fake_accept(b);
        fake_greet(b);
        fake_expect(b, SLUICE_HELLO);
        fake_ready(b);
    }
}

static void waits_for_a_socket_that_is_not_there_yet(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    world.pool.servers_n = 1;
    world_adopt();
    for (int i = 0; i < 20; i++)
        world_turn();
    fake_listen(b);
    fake_accept(b);
    fake_greet(b);
    fake_expect(b, SLUICE_HELLO);
    fake_ready(b);
}

/* Each is sent after HELLO and READY; the link must end with this code. */
static void ends_a_link_that_breaks_the_rules(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        struct sluice_header h;
        unsigned code;
    } bad[] = {
        {"type 0", {0, 0, 0, 0, 0}, SLUICE_ERROR_PROTOCOL},
        {"a second HELLO", {48, SLUICE_HELLO, 0, 0, 0}, SLUICE_ERROR_PROTOCOL},
        {"unknown type", {0, 0x7f, 0, 0, 0}, SLUICE_ERROR_UNKNOWN_TYPE},
        {"wrong direction", {0, SLUICE_OPENED, 0, 0, 5}, SLUICE_ERROR_PROTOCOL},
        {"max_frame + 1",
         {65537, SLUICE_TEXT, 0, 0, 5},
         SLUICE_ERROR_FRAME_TOO_BIG},
        {"length 2^32-1",
         {UINT32_MAX, SLUICE_TEXT, 0, 0, 5},
         SLUICE_ERROR_FRAME_TOO_BIG},
        {"cid of 2^53",
         {0, SLUICE_TEXT, 0, 0, UINT64_C(1) << 53},
         SLUICE_ERROR_PROTOCOL},
        {"no cid", {0, SLUICE_TEXT, 0, 0, 0}, SLUICE_ERROR_PROTOCOL},
        {"fixed part cut", {0, SLUICE_ACCEPT, 0, 0, 5}, SLUICE_ERROR_PROTOCOL},
        {"a feature that is not in effect",
         {0, SLUICE_SUBSCRIBE, 0, 0, 5},
         SLUICE_ERROR_UNSUPPORTED},
    };
    struct fake *b = fake_of(0);
    world_start(1);
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint8_t head[SLUICE_HEADER_SIZE + 64] = {0};
        struct sluice_error_frame e;
        struct sluice_frame f;
        sluice_header_put(head, &bad[i].h);
        fake_send_raw(b, head, sizeof head);
        f = fake_expect(b, SLUICE_ERROR);
        assert_int_equal(sluice_error_get(&e, &f), 0);
        if (e.code != bad[i].code || e.severity != SLUICE_SEVERITY_LINK)
            fail_msg("%s: %s", bad[i].why, sluice_error_name(e.code));
        assert_false(fake_next(b, &f));
        fake_close(b);
        fake_accept(b);
        fake_greet(b);
        fake_expect(b, SLUICE_HELLO);
        fake_ready(b);
    }
}

static void survives_random_bytes(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint8_t noise[3000];
    world_start(1);
    for (int i = 0; i < 10; i++) {
        struct sluice_frame f;
        random_bytes(noise, sizeof noise);
        noise[0] = 0; /* not a frame that is waited for */
        noise[1] |= 1;
        noise[3] = 1;
        fake_send_raw(b, noise, sizeof noise);
        while (fake_next(b, &f))
            ;
        fake_close(b);
        fake_accept(b);
        fake_greet(b);
        fake_expect(b, SLUICE_HELLO);
        fake_ready(b);
    }
}

static void refuses_a_first_frame_that_is_no_hello(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_frame f;
    world.pool.servers_n = 1;
    fake_listen(b);
    world_adopt();
    fake_accept(b);
    fake_put_empty(b, SLUICE_READY, 0);
    fake_send(b);
    fake_expect(b, SLUICE_HELLO);
    fake_expect(b, SLUICE_ERROR);
    assert_false(fake_next(b, &f));
}

static void refuses_another_gateway(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_frame f;
    world.pool.servers_n = 1;
    world.hello.role = SLUICE_ROLE_GATEWAY;
    fake_listen(b);
    world_adopt();
    fake_accept(b);
    fake_greet(b);
    fake_expect(b, SLUICE_HELLO);
    fake_expect(b, SLUICE_ERROR);
    assert_false(fake_next(b, &f));
}

static void gives_up_a_backend_that_does_not_greet(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_frame f;
    world.pool.set.connect_timeout_ms = 100;
    world.pool.servers_n = 1;
    fake_listen(b);
    world_adopt();
    fake_accept(b);
    fake_expect(b, SLUICE_HELLO);
    fake_expect(b, SLUICE_ERROR);
    assert_false(fake_next(b, &f));
}

static void gives_up_a_backend_that_fell_silent(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_frame f;
    world.pool.set.keepalive_ms = 60;
    world.pool.set.keepalive_timeout_ms = 200;
    world_start(1);
    /* Half a header is not a sign of life. */
    fake_send_raw(b, "\0\0\0\0\3", 5);
    fake_expect(b, SLUICE_ERROR);
    assert_false(fake_next(b, &f));
}

static void answers_a_keepalive_with_its_bytes(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_keepalive k = {.opaque = "abcdefg"};
    world_start(1);
    sluice_keepalive_put(&b->out, &k);
    fake_send(b);
    /* fake_next() skips keepalives: look at the bytes. */
    uint8_t got[SLUICE_HEADER_SIZE + 8];
    ssize_t n = -1;
    WORLD_WAIT((n = recv(b->fd, got, sizeof got, 0)) > 0);
    assert_int_equal(n, sizeof got);
    assert_int_equal(got[4], SLUICE_KEEPALIVE);
    assert_int_equal(got[5], SLUICE_FLAG_REPLY);
    assert_memory_equal(got + 16, "abcdefg", 8);
}

static void says_what_it_does_not_support_and_goes_on(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_error_frame e;
    world_start(1);
    fake_put_empty(b, SLUICE_STATS, 0);
    fake_send(b);
    struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
    assert_int_equal(sluice_error_get(&e, &f), 0);
    assert_int_equal(e.code, SLUICE_ERROR_UNSUPPORTED);
    assert_int_equal(e.severity, SLUICE_SEVERITY_INFO);
    uint64_t cid;
    paper_free(paper_open(b, &cid));
}

static void ignores_frames_for_clients_that_are_gone(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    fake_put_data(b, SLUICE_TEXT, 0, cid + 1, "no", 2);
    fake_put_data(b, SLUICE_TEXT, 0, UINT64_C(0x1fffffffffffff), "no", 2);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "yes", 3);
    fake_send(b);
    paper_expect(p, "\x81\x03yes", 5);
    paper_free(p);
}

static void refuses_an_ack_for_more_than_was_sent(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_frame f;
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    paper_frame(p, 0x81, "hi", 2);
    fake_expect(b, SLUICE_TEXT);
    struct sluice_header h = {.type = SLUICE_ACK};
    size_t begin = sluice_frame_begin(&b->out, &h);
    struct sluice_ack a = {.cid = cid, .bytes = 3, .seq = 1};
    sluice_ack_put_entry(&b->out, &a);
    sluice_frame_end(&b->out, begin, true);
    fake_send(b);
    fake_expect(b, SLUICE_ERROR);
    assert_false(fake_next(b, &f));
    paper_free(p);
}

static uint16_t register_app(struct fake *b, const char *name,
                             enum sluice_pattern_kind kind, const char *path)
{
    struct buf tlvs = {0};
    struct sluice_registered r;
    sluice_tlv_put(&tlvs, SLUICE_TAG_NAME, str_c(name));
    if (path)
        sluice_tlv_put_pattern(&tlvs, SLUICE_TAG_PATH_PATTERN, kind,
                               str_c(path));
    struct sluice_register reg = {.tlvs = buf_str(&tlvs)};
    sluice_register_put(&b->out, &reg);
    fake_send(b);
    buf_fini(&tlvs);
    struct sluice_frame f = fake_expect(b, SLUICE_REGISTERED);
    assert_int_equal(sluice_registered_get(&r, &f), 0);
    return r.app_id;
}

static void finds_the_first_app_that_matches(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    unsigned status;
    world_start(1);
    uint16_t one = register_app(b, "one", SLUICE_PATTERN_EXACT, "/one");
    uint16_t pre = register_app(b, "pre", SLUICE_PATTERN_PREFIX, "/o");
    uint16_t reg = register_app(b, "reg", SLUICE_PATTERN_REGEX, "^/r\\d+$");
    assert_int_equal(one, 1);
    assert_int_equal(pre, 2);
    assert_int_equal(reg, 3);
    struct link *l = CONTAINER(pool_find(STR("test"))->backends.next,
                               struct backend, in_pool)
                         ->link;
    static const struct {
        const char *path, *name;
        unsigned app, status;
    } cases[] = {
        {"/one", NULL, 1, 0},    {"/ones", NULL, 2, 0}, {"/r12", NULL, 3, 0},
        {"/rx", NULL, 0, 404},   {"/one", "pre", 2, 0}, {"/one", "reg", 0, 404},
        {"/one", "nix", 0, 404},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct app_ask ask = {.name = str_c(cases[i].name),
                              .host = STR("h"),
                              .path = str_c(cases[i].path),
                              .origin = STR("")};
        struct app *a = link_find_app(l, &ask, &status);
        if (link_app_id(l, a) != cases[i].app || status != cases[i].status)
            fail_msg("%s: app %u, status %u", cases[i].path, link_app_id(l, a),
                     status);
    }
    struct paper *p = paper_ask(""); /* its path is /ws */
    assert_int_equal(p->verdict, 404);
    paper_free(p);
}

/* An app that passes is told CLOSED, and the next one is asked. */
static void the_next_app_gets_who_is_passed_on(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct sluice_open o;
    struct sluice_closed closed;
    world_start(1);
    register_app(b, "any", SLUICE_PATTERN_PREFIX, "/");
    register_app(b, "not", SLUICE_PATTERN_EXACT, "/other");
    register_app(b, "ws", SLUICE_PATTERN_PREFIX, "/ws");
    struct paper *p = paper_ask("");
    uint64_t before = 0;
    for (unsigned id = 1; id <= 3; id += 2) {
        struct sluice_frame f = fake_expect(b, SLUICE_OPEN);
        assert_int_equal(sluice_open_get(&o, &f), 0);
        assert_int_equal(o.app_id, id);
        assert_true(o.cid != before);
        before = o.cid;
        struct sluice_reject j = {.cid = o.cid, .flags = SLUICE_REJECT_PASS};
        sluice_reject_put(&b->out, &j);
        fake_send(b);
        f = fake_expect(b, SLUICE_CLOSED);
        assert_int_equal(sluice_closed_get(&closed, &f), 0);
        assert_int_equal(closed.cid, o.cid);
        assert_int_equal(closed.cause, SLUICE_CAUSE_REJECTED);
    }
    WORLD_WAIT(p->finished == 403);
    paper_free(p);
    /* Nobody is counted any more. */
    assert_int_equal(pool_find(STR("test"))->balance.peers[0].state->active, 0);
}

static void an_app_may_take_some_versions_only(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct buf tlvs = {0};
    world_start(1);
    sluice_tlv_put(&tlvs, SLUICE_TAG_NAME, STR("new"));
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_VERSIONS, 3); /* 13 and 8 */
    struct sluice_register reg = {.tlvs = buf_str(&tlvs)};
    sluice_register_put(&b->out, &reg);
    fake_send(b);
    buf_fini(&tlvs);
    fake_expect(b, SLUICE_REGISTERED);
    static const struct {
        const char *version;
        int verdict;
    } cases[] = {{"Sec-WebSocket-Version: 13\n", VERDICT_PENDING},
                 {"Sec-WebSocket-Version: 8\n", VERDICT_PENDING},
                 {"Sec-WebSocket-Version: 7\n", 400}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct paper *p = paper_ask(cases[i].version);
        assert_int_equal(p->verdict, cases[i].verdict);
        paper_free(p);
    }
}

static void refuses_apps_it_cannot_keep(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    char name[16];
    world_start(1);
    assert_int_equal(register_app(b, "a", SLUICE_PATTERN_REGEX, "("), 0);
    assert_int_equal(register_app(b, "", SLUICE_PATTERN_ANY, NULL), 0);
    assert_int_equal(register_app(b, "b", SLUICE_PATTERN_ANY, NULL), 3);
    assert_int_equal(register_app(b, "b", SLUICE_PATTERN_ANY, NULL), 0);
    for (int i = 4; i < LINK_APPS_MAX; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(register_app(b, name, SLUICE_PATTERN_ANY, NULL),
                         i + 1);
    }
    assert_int_equal(register_app(b, "last", SLUICE_PATTERN_ANY, NULL), 0);
}

static void a_goaway_stops_new_clients_and_keeps_old_ones(void **state)
{
    (void)state;
    uint64_t cid;
    struct fake *b = fake_of(0);
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    struct sluice_goaway g = {.mode = SLUICE_GOAWAY_DRAIN};
    sluice_goaway_put(&b->out, &g);
    fake_put_data(b, SLUICE_TEXT, 0, cid, "on", 2);
    fake_send(b);
    paper_expect(p, "\x81\x02on", 4);
    struct paper *q = paper_ask("");
    assert_int_equal(q->verdict, 503);
    paper_free(q);
    paper_free(p);
}

static void a_reload_drains_what_it_no_longer_names(void **state)
{
    (void)state;
    struct sluice_frame f;
    uint64_t cid;
    world_start(1);
    struct paper *p = paper_open(fake_of(0), &cid);
    /* Another server takes the place of the first. */
    fake_listen(fake_of(1));
    struct pool_server first = world.servers[0];
    world.servers[0] = world.servers[1];
    world_adopt();
    fake_expect(fake_of(0), SLUICE_GOAWAY);
    fake_accept(fake_of(1));
    fake_greet(fake_of(1));
    fake_expect(fake_of(1), SLUICE_HELLO);
    sluice_empty_put(&fake_of(1)->out, SLUICE_READY, 0, 0);
    fake_send(fake_of(1));
    struct pool *pool = pool_find(STR("test"));
    WORLD_WAIT(!pool->balance.peers[0].unready);
    /* The session goes on where it is, new ones go elsewhere. */
    fake_put_data(fake_of(0), SLUICE_TEXT, 0, cid, "on", 2);
    fake_send(fake_of(0));
    paper_expect(p, "\x81\x02on", 4);
    struct paper *q = paper_ask("");
    fake_expect(fake_of(1), SLUICE_OPEN);
    paper_free(q);
    fake_put_empty(fake_of(0), SLUICE_TERMINATE, cid);
    fake_send(fake_of(0));
    fake_expect(fake_of(0), SLUICE_CLOSED);
    fake_expect(fake_of(0), SLUICE_BYE);
    assert_false(fake_next(fake_of(0), &f));
    world.servers[0] = first;
    paper_free(p);
}

static struct str ask_stats(struct fake *b, unsigned scope, uint64_t cid,
                            struct buf *keep)
{
    struct sluice_stats q = {.cid = cid, .scope = (uint16_t)scope};
    sluice_stats_req_put(&b->out, &q);
    fake_send(b);
    struct sluice_frame f = fake_expect(b, SLUICE_STATS);
    assert_int_equal(sluice_stats_get(&q, &f), 0);
    assert_int_equal(q.scope, scope);
    assert_int_equal(q.cid, cid);
    if (!json_check(q.json))
        fail_msg("no JSON: %.*s", (int)q.json.n, q.json.p);
    buf_clear(keep);
    buf_put_str(keep, q.json);
    return buf_str(keep);
}

static uint64_t member(struct str object, const char *name)
{
    struct str value;
    uint64_t n = 0;
    if (!json_member(object, str_c(name), &value) ||
        !str_to_u64(value, UINT64_MAX, &n))
        fail_msg("no \"%s\" in %.*s", name, (int)object.n, object.p);
    return n;
}

static void tells_what_was_done_so_far(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct buf keep = {0};
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    paper_frame(p, 0x81, "hello", 5);
    fake_expect(b, SLUICE_TEXT);
    fake_put_data(b, SLUICE_TEXT, SLUICE_FLAG_MORE, cid, "abc", 3);
    fake_put_data(b, SLUICE_CONT, 0, cid, "d", 1);
    fake_send(b);
    paper_expect(p, "\1\3abc\x80\1d", 8);

    struct str json = ask_stats(b, SLUICE_STATS_CLIENT, cid, &keep);
    assert_int_equal(member(json, "id"), cid);
    assert_int_equal(member(json, "messages_in"), 1);
    assert_int_equal(member(json, "messages_out"), 1);
    assert_int_equal(member(json, "bytes_in"), 11);
    assert_int_equal(member(json, "bytes_out"), 8);
    assert_int_equal(member(json, "outstanding_in"), 5);

    json = ask_stats(b, SLUICE_STATS_LINK, 0, &keep);
    assert_int_equal(member(json, "sessions"), 1);
    assert_int_equal(member(json, "bytes_in"), 5);
    assert_int_equal(member(json, "bytes_out"), 4);
    assert_int_equal(member(json, "messages_out"), 1);

    /* The pool remembers what went over a link that has ended. */
    paper_free(p);
    fake_expect(b, SLUICE_CLOSED);
    fake_close(b);
    fake_accept(b);
    fake_expect(b, SLUICE_HELLO);
    fake_greet(b);
    fake_ready(b);
    json = ask_stats(b, SLUICE_STATS_PROCESS, 0, &keep);
    struct str pool;
    assert_true(json_member(json, STR("pool"), &pool));
    assert_int_equal(member(pool, "sessions_total"), 1);
    assert_int_equal(member(pool, "clients"), 0);
    assert_int_equal(member(pool, "messages_in"), 1);
    assert_int_equal(member(pool, "bytes_in"), 5);
    buf_fini(&keep);
}

static void tells_nothing_of_others(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        unsigned scope;
        uint64_t cid;
        enum sluice_error code;
    } cases[] = {
        {"no such client", SLUICE_STATS_CLIENT, 77,
         SLUICE_ERROR_NO_SUCH_CLIENT},
        {"nobody", SLUICE_STATS_CLIENT, 0, SLUICE_ERROR_NO_SUCH_CLIENT},
    };
    struct fake *b = fake_of(0);
    world_start(1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sluice_error_frame e;
        struct sluice_stats q = {.cid = cases[i].cid,
                                 .scope = (uint16_t)cases[i].scope};
        sluice_stats_req_put(&b->out, &q);
        fake_send(b);
        struct sluice_frame f = fake_expect(b, SLUICE_ERROR);
        assert_int_equal(sluice_error_get(&e, &f), 0);
        if (e.code != cases[i].code || e.severity != SLUICE_SEVERITY_INFO)
            fail_msg("%s: %s", cases[i].why, sluice_error_name(e.code));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(greets_with_what_the_pool_says),
        WORLD_TEST(gives_no_clients_to_a_backend_that_is_not_ready),
        WORLD_TEST(dials_again_after_a_loss),
        WORLD_TEST(waits_for_a_socket_that_is_not_there_yet),
        WORLD_TEST(ends_a_link_that_breaks_the_rules),
        WORLD_TEST(survives_random_bytes),
        WORLD_TEST(refuses_a_first_frame_that_is_no_hello),
        WORLD_TEST(refuses_another_gateway),
        WORLD_TEST(gives_up_a_backend_that_does_not_greet),
        WORLD_TEST(gives_up_a_backend_that_fell_silent),
        WORLD_TEST(answers_a_keepalive_with_its_bytes),
        WORLD_TEST(says_what_it_does_not_support_and_goes_on),
        WORLD_TEST(ignores_frames_for_clients_that_are_gone),
        WORLD_TEST(refuses_an_ack_for_more_than_was_sent),
        WORLD_TEST(finds_the_first_app_that_matches),
        WORLD_TEST(the_next_app_gets_who_is_passed_on),
        WORLD_TEST(an_app_may_take_some_versions_only),
        WORLD_TEST(refuses_apps_it_cannot_keep),
        WORLD_TEST(a_goaway_stops_new_clients_and_keeps_old_ones),
        WORLD_TEST(a_reload_drains_what_it_no_longer_names),
        WORLD_TEST(tells_what_was_done_so_far),
        WORLD_TEST(tells_nothing_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

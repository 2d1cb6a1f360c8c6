/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/app.h"
#include "world.h"

#define WORLD_TEST(name)                                                       \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

/* EV_STATE */
static void tells_states_to_who_asks(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    uint64_t cid;
    struct buf tlvs = {0};
    world_start(1);
    struct paper *p = paper_open(b, &cid);
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_EVENT_MASK, SLUICE_EVENT_STATE);
    struct sluice_set_opts o = {.cid = cid, .tlvs = buf_str(&tlvs)};
    sluice_set_opts_put(&b->out, &o);
    buf_fini(&tlvs);
    struct sluice_close c = {.cid = cid, .code = 1000};
    sluice_close_put(&b->out, &c);
    fake_send(b);
    struct sluice_state m;
    paper_expect(p, "\x88\2\x03\xe8", 4);
    paper_frame(p, 0x88, "\x03\xe8", 2);
    struct sluice_frame f = fake_expect(b, SLUICE_STATE);
    assert_int_equal(sluice_state_get(&m, &f), 0);
    assert_int_equal(m.cid, cid);
    assert_int_equal(m.before, 4);
    assert_int_equal(m.now, 5);
    fake_expect(b, SLUICE_CLOSED);
    paper_free(p);
}

/* The mask of an app holds from OPEN on. */
static void tells_states_from_the_beginning(void **state)
{
    (void)state;
    struct fake *b = fake_of(0);
    struct buf tlvs = {0};
    world_start(1);
    sluice_tlv_put(&tlvs, SLUICE_TAG_NAME, STR("app"));
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_EVENT_MASK,
                       SLUICE_EVENT_STATE | SLUICE_EVENT_CLIENT_ERROR);
    struct sluice_register reg = {.tlvs = buf_str(&tlvs)};
    sluice_register_put(&b->out, &reg);
    buf_fini(&tlvs);
    fake_send(b);
    fake_expect(b, SLUICE_REGISTERED);
    struct paper *p = paper_ask("");
    uint64_t cid = fake_expect(b, SLUICE_OPEN).header.cid;
    struct sluice_frame f = fake_expect(b, SLUICE_STATE);
    assert_int_equal(f.header.aux, 1 << 8 | 0);
    fake_accept_client(b, cid, NULL);
    f = fake_expect(b, SLUICE_STATE);
    assert_int_equal(f.header.aux, 3 << 8 | 1);
    f = fake_expect(b, SLUICE_STATE);
    assert_int_equal(f.header.aux, 4 << 8 | 3);
    paper_expect_101(p);
    paper_free(p);
    f = fake_expect(b, SLUICE_STATE);
    assert_int_equal(f.header.aux, 5 << 8 | 4);
    fake_expect(b, SLUICE_CLOSED);

    /* One that never becomes a client. */
    struct sluice_client_error e;
    p = paper_ask("Origin: http://example.org\n");
    assert_int_equal(p->verdict, 403);
    f = fake_expect(b, SLUICE_CLIENT_ERROR);
    assert_int_equal(sluice_client_error_get(&e, &f), 0);
    assert_int_equal(e.code, SLUICE_ERROR_DENIED);
    assert_str(sluice_tlv_find(e.tlvs, SLUICE_TAG_REMOTE_ADDR), "203.0.113.9");
    assert_str(sluice_tlv_find(e.tlvs, SLUICE_TAG_TARGET), "/ws?x=1");
    paper_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(tells_states_to_who_asks),
        WORLD_TEST(tells_states_from_the_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

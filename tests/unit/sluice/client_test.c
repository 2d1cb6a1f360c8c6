/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/client.h"

#include "unit/sluice/golden.h"

static void writes_the_vectors(void **state)
{
    (void)state;
    struct buf out = {0}, tlvs = {0};

    struct sluice_set_state set = {GOLDEN_CID, true, 43, STR("blob")};
    sluice_set_state_put(&out, &set);
    assert_golden(&out, "set-state");

    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_NODELAY, 1);
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_IDLE_TIMEOUT_MS, 60000);
    struct sluice_set_opts opts = {GOLDEN_CID, buf_str(&tlvs)};
    sluice_set_opts_put(&out, &opts);
    assert_golden(&out, "set-opts");
    buf_fini(&tlvs);

    struct sluice_state s = {GOLDEN_CID, 3, 2};
    sluice_state_put(&out, &s);
    assert_golden(&out, "state");

    struct sluice_ping ping = {SLUICE_PING, GOLDEN_CID, true, STR("p")};
    sluice_ping_put(&out, &ping);
    assert_golden(&out, "ping");
    ping = (struct sluice_ping){SLUICE_PONG, GOLDEN_CID, false, STR("")};
    sluice_ping_put(&out, &ping);
    assert_golden(&out, "pong");

    struct sluice_raw raw = {GOLDEN_CID, 0x82, STR("\xff")};
    sluice_raw_put(&out, &raw);
    assert_golden(&out, "raw");
}

static void refuses_a_ping_longer_than_125_bytes(void **state)
{
    (void)state;
    uint8_t bytes[126] = {0};
    struct sluice_frame f = {.payload = {bytes, 125}};
    struct sluice_ping p;
    assert_int_equal(sluice_ping_get(&p, &f), 0);
    f.payload.n = 126;
    assert_int_equal(sluice_ping_get(&p, &f), -SLUICE_ERROR_WS_PROTOCOL);
}

static void refuses_a_raw_head_of_more_than_a_byte(void **state)
{
    (void)state;
    struct sluice_frame f = {.header = {.aux = 256}};
    struct sluice_raw r;
    assert_int_equal(sluice_raw_get(&r, &f), -SLUICE_ERROR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_the_vectors),
        TEST(refuses_a_ping_longer_than_125_bytes),
        TEST(refuses_a_raw_head_of_more_than_a_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

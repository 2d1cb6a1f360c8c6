/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/link.h"

#include "unit/sluice/golden.h"

static void writes_the_vectors(void **state)
{
    (void)state;
    struct buf out = {0};

    struct sluice_keepalive k = {.opaque = {1, 2, 3, 4, 5, 6, 7, 8}};
    sluice_keepalive_put(&out, &k);
    assert_golden(&out, "keepalive");
    k.reply = true;
    sluice_keepalive_put(&out, &k);
    assert_golden(&out, "keepalive-reply");

    struct sluice_goaway g = {SLUICE_GOAWAY_HANDOVER, 30000, STR("deploy")};
    sluice_goaway_put(&out, &g);
    assert_golden(&out, "goaway");

    struct sluice_error_frame e = {.cid = GOLDEN_CID,
                                   .code = SLUICE_ERROR_FLOW_CONTROL,
                                   .offending_type = SLUICE_TEXT,
                                   .severity = SLUICE_SEVERITY_CLIENT,
                                   .ws_close_code = 1011,
                                   .text = STR("no credit")};
    sluice_error_put(&out, &e);
    assert_golden(&out, "error");

    struct sluice_log l = {.level = 4, .text = STR("slow")};
    sluice_log_put(&out, &l);
    assert_golden(&out, "log");

    struct sluice_stats s = {.cid = GOLDEN_CID, .scope = SLUICE_STATS_CLIENT};
    sluice_stats_req_put(&out, &s);
    assert_golden(&out, "stats-req");
    s = (struct sluice_stats){.json = STR("{}")};
    sluice_stats_put(&out, &s);
    assert_golden(&out, "stats");
}

static void refuses_numbers_without_a_meaning(void **state)
{
    (void)state;
    uint8_t bytes[8] = {0, 3};
    struct sluice_frame f = {.payload = {bytes, 8}};
    struct sluice_error_frame e;
    struct sluice_goaway g;
    struct sluice_log l;
    struct sluice_stats s;

    assert_int_equal(sluice_error_get(&e, &f), -SLUICE_ERROR_PROTOCOL);
    bytes[1] = 2;
    assert_int_equal(sluice_error_get(&e, &f), 0);
    f.header.aux = 3;
    assert_int_equal(sluice_goaway_get(&g, &f), -SLUICE_ERROR_PROTOCOL);
    f.header.aux = 4;
    assert_int_equal(sluice_stats_get(&s, &f), -SLUICE_ERROR_PROTOCOL);
    f.header.aux = 8;
    assert_int_equal(sluice_log_get(&l, &f), -SLUICE_ERROR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_the_vectors),
        TEST(refuses_numbers_without_a_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

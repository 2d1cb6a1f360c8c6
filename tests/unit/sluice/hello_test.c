/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/hello.h"

#include "unit/sluice/golden.h"

static struct sluice_hello hello_of_the_vector(struct buf *tlvs)
{
    sluice_tlv_put(tlvs, SLUICE_TAG_NAME, STR("gw-3"));
    sluice_tlv_put(tlvs, SLUICE_TAG_AGENT, STR("penstock/0.1"));
    return (struct sluice_hello){
        .version_min = 1,
        .version_max = 1,
        .role = SLUICE_ROLE_GATEWAY,
        .process = 3,
        .max_frame = SLUICE_MAX_FRAME_DEFAULT,
        .window = 262144,
        .link_window = 64 << 20,
        .keepalive_ms = 10000,
        .features = SLUICE_FEATURE_RESUME | SLUICE_FEATURE_ALO |
                    SLUICE_FEATURE_FRAGMENTS | SLUICE_FEATURE_HTTP |
                    SLUICE_FEATURE_CHANNELS | SLUICE_FEATURE_STATE,
        .epoch = UINT64_C(0x1122334455667788),
        .tlvs = buf_str(tlvs),
    };
}

static void writes_the_vector(void **state)
{
    (void)state;
    struct buf out = {0}, tlvs = {0};
    struct sluice_hello h = hello_of_the_vector(&tlvs);
    sluice_hello_put(&out, &h);
    assert_golden(&out, "hello");
    buf_fini(&tlvs);
}

static void refuses_what_nobody_may_say(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        size_t at;
        uint8_t bytes[4];
        size_t n;
        int expected;
    } rows[] = {
        {"nothing changed", 0, {'S'}, 1, 0},
        {"no magic", 7, {0}, 1, -SLUICE_ERROR_PROTOCOL},
        {"only version 2", 8, {2, 0, 2, 0}, 4, -SLUICE_ERROR_VERSION},
        {"only version 0", 8, {0, 0, 0, 0}, 4, -SLUICE_ERROR_VERSION},
        {"versions 1 to 9", 8, {1, 0, 9, 0}, 4, 0},
        {"versions 2 to 1", 8, {2, 0, 1, 0}, 4, -SLUICE_ERROR_PROTOCOL},
        {"role 0", 12, {0}, 1, -SLUICE_ERROR_PROTOCOL},
        {"role 5", 12, {5}, 1, -SLUICE_ERROR_PROTOCOL},
        {"process 512 of a gateway", 14, {0, 2}, 2, -SLUICE_ERROR_PROTOCOL},
        {"max_frame 16383", 16, {0xff, 0x3f, 0, 0}, 4, -SLUICE_ERROR_PROTOCOL},
        {"max_frame 16384", 16, {0, 0x40, 0, 0}, 4, 0},
        {"max_frame 16 MiB", 16, {0, 0, 0, 1}, 4, 0},
        {"max_frame over", 16, {1, 0, 0, 1}, 4, -SLUICE_ERROR_PROTOCOL},
        {"a TLV that runs out", 50, {0xff}, 1, -SLUICE_ERROR_PROTOCOL},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out = {0}, tlvs = {0};
        struct sluice_hello h = hello_of_the_vector(&tlvs);
        sluice_hello_put(&out, &h);
        memcpy(out.p + SLUICE_HEADER_SIZE + rows[i].at, rows[i].bytes,
               rows[i].n);
        struct sluice_frame f = {.payload = {out.p + SLUICE_HEADER_SIZE,
                                             out.n - SLUICE_HEADER_SIZE}};
        int got = sluice_hello_get(&h, &f);
        if (got != rows[i].expected)
            fail_msg("%s: returned %d", rows[i].why, got);
        buf_fini(&out);
        buf_fini(&tlvs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_the_vector),
        TEST(refuses_what_nobody_may_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

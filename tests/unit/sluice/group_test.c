/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/group.h"

#include "unit/sluice/golden.h"

static void writes_channel_lists(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_header h = {.type = SLUICE_SUBSCRIBE, .cid = GOLDEN_CID};
    size_t at = sluice_frame_begin(&out, &h);
    bool ok = sluice_channel_put(&out, STR("room:7")) &&
              sluice_channel_put(&out, STR("all"));
    sluice_frame_end(&out, at, ok);
    assert_golden(&out, "subscribe");
    sluice_empty_put(&out, SLUICE_UNSUBSCRIBE, 0, GOLDEN_CID);
    assert_golden(&out, "unsubscribe-all");
}

static void a_channel_name_has_1_to_255_bytes(void **state)
{
    (void)state;
    uint8_t bytes[258] = {0};
    struct sluice_frame f = {.payload = {bytes, 257}};
    le16_put(bytes, 255);
    assert_int_equal(sluice_channels_check(&f), 0);
    le16_put(bytes, 256);
    assert_int_equal(sluice_channels_check(&f), -SLUICE_ERROR_PROTOCOL);
    f.payload.n = 258;
    assert_int_equal(sluice_channels_check(&f), -SLUICE_ERROR_LIMIT);
    f.payload.n = 2;
    le16_put(bytes, 0);
    assert_int_equal(sluice_channels_check(&f), -SLUICE_ERROR_LIMIT);
    f.payload.n = 1;
    assert_int_equal(sluice_channels_check(&f), -SLUICE_ERROR_PROTOCOL);
}

static void writes_publish(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_publish p = {.except = GOLDEN_CID,
                               .notify = true,
                               .token = 9,
                               .opcode = 1,
                               .channel = STR("room:7"),
                               .data = STR("x")};
    sluice_publish_put(&out, &p);
    assert_golden(&out, "publish");
}

static void writes_broadcast(void **state)
{
    (void)state;
    struct buf out = {0}, ids = {0};
    sluice_ids_append(&ids, GOLDEN_CID);
    struct sluice_broadcast b = {.opcode = 1,
                                 .opts = 1,
                                 .app_id = 1,
                                 .except = buf_str(&ids),
                                 .data = STR("yo")};
    sluice_broadcast_put(&out, &b);
    assert_golden(&out, "broadcast");

    b.data = STR("y");
    size_t at;
    bool ok = sluice_broadcast_begin(&out, &b, &at) && buf_put(&out, "o", 1);
    assert_true(sluice_frame_end(&out, at, ok));
    assert_golden(&out, "broadcast");
    buf_fini(&ids);

    b = (struct sluice_broadcast){.notify = true,
                                  .token = 7,
                                  .opcode = 2,
                                  .opts = SLUICE_BROADCAST_OWN_ONLY,
                                  .app_id = 3,
                                  .data = STR("\0")};
    sluice_broadcast_put(&out, &b);
    assert_golden(&out, "broadcast-own");
}

static void writes_msend_and_bstream(void **state)
{
    (void)state;
    struct buf out = {0}, ids = {0};
    sluice_ids_append(&ids, GOLDEN_CID);
    sluice_ids_append(&ids, GOLDEN_CID + 1);
    struct sluice_msend m = {.notify = true,
                             .token = 8,
                             .opcode = 2,
                             .ids = buf_str(&ids),
                             .data = STR("z")};
    sluice_msend_put(&out, &m);
    assert_golden(&out, "msend");
    assert_true(sluice_ids_have(buf_str(&ids), GOLDEN_CID + 1));
    assert_false(sluice_ids_have(buf_str(&ids), GOLDEN_CID + 2));
    buf_fini(&ids);

    struct sluice_bstream b = {
        .stream = 77,
        .start = true,
        .first = {.opcode = 1, .app_id = 1, .data = STR("a")}};
    sluice_bstream_put(&out, &b);
    assert_golden(&out, "bstream-start");
    b = (struct sluice_bstream){.stream = 77, .end = true, .data = STR("b")};
    sluice_bstream_put(&out, &b);
    assert_golden(&out, "bstream-end");
}

static void writes_the_reports(void **state)
{
    (void)state;
    struct buf out = {0}, ids = {0};
    struct sluice_delivered d = {9, 5000, 4996, 4, 0};
    sluice_delivered_put(&out, &d);
    assert_golden(&out, "delivered");
    struct sluice_presence_req q = {5, true, STR("room:7")};
    sluice_presence_req_put(&out, &q);
    assert_golden(&out, "presence-req");
    sluice_ids_append(&ids, GOLDEN_CID);
    struct sluice_presence p = {5, true, 1, buf_str(&ids)};
    sluice_presence_put(&out, &p);
    assert_golden(&out, "presence");
    buf_fini(&ids);
}

static void refuses_more_ids_than_there_are_bytes(void **state)
{
    (void)state;
    uint8_t bytes[20] = {1};
    struct sluice_frame f = {.payload = {bytes, sizeof bytes}};
    struct sluice_broadcast b;
    struct sluice_msend m;
    struct sluice_presence p;

    le16_put(bytes + 4, 1);
    assert_int_equal(sluice_broadcast_get(&b, &f), 0);
    assert_int_equal(b.data.n, 0);
    le16_put(bytes + 4, 2);
    assert_int_equal(sluice_broadcast_get(&b, &f), -SLUICE_ERROR_PROTOCOL);
    le32_put(bytes + 4, 1);
    assert_int_equal(sluice_msend_get(&m, &f), 0);
    assert_int_equal(m.data.n, 4);
    le32_put(bytes + 4, 2);
    assert_int_equal(sluice_msend_get(&m, &f), -SLUICE_ERROR_PROTOCOL);
    le32_put(bytes + 4, UINT32_MAX);
    assert_int_equal(sluice_msend_get(&m, &f), -SLUICE_ERROR_PROTOCOL);
    le32_put(bytes, 3);
    f.header.flags = SLUICE_FLAG_LIST;
    assert_int_equal(sluice_presence_get(&p, &f), -SLUICE_ERROR_PROTOCOL);
    f.header.flags = 0;
    assert_int_equal(sluice_presence_get(&p, &f), 0);
}

static void refuses_an_opcode_that_is_no_message(void **state)
{
    (void)state;
    uint8_t bytes[12] = {0};
    struct sluice_frame f = {.payload = {bytes, sizeof bytes}};
    struct sluice_broadcast b;
    struct sluice_publish p;
    struct sluice_msend m;

    for (unsigned opcode = 0; opcode < 256; opcode++) {
        bytes[0] = (uint8_t)opcode;
        int expected = opcode == 1 || opcode == 2 ? 0 : -SLUICE_ERROR_PROTOCOL;
        assert_int_equal(sluice_broadcast_get(&b, &f), expected);
        assert_int_equal(sluice_publish_get(&p, &f), expected);
        assert_int_equal(sluice_msend_get(&m, &f), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_channel_lists),
        TEST(a_channel_name_has_1_to_255_bytes),
        TEST(writes_publish),
        TEST(writes_broadcast),
        TEST(writes_msend_and_bstream),
        TEST(writes_the_reports),
        TEST(refuses_more_ids_than_there_are_bytes),
        TEST(refuses_an_opcode_that_is_no_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

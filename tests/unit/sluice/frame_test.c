/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/frame.h"

#include "unit/sluice/golden.h"

static void a_client_id_is_slot_generation_and_process(void **state)
{
    (void)state;
    uint64_t cid = sluice_cid_make(5, 1, 3);
    assert_true(cid == GOLDEN_CID);
    cid = sluice_cid_make(SLUICE_SLOT_MAX, SLUICE_GENERATION_MAX,
                          SLUICE_PROCESS_MAX);
    assert_true(cid == (UINT64_C(1) << 53) - 1);
    assert_int_equal(sluice_cid_slot(cid), SLUICE_SLOT_MAX);
    assert_int_equal(sluice_cid_generation(cid), SLUICE_GENERATION_MAX);
    assert_int_equal(sluice_cid_process(cid), SLUICE_PROCESS_MAX);
    assert_true(sluice_cid_is_legal(cid));
    assert_false(sluice_cid_is_legal(cid + 1));
}

static void writes_the_frames_that_are_only_a_header(void **state)
{
    (void)state;
    struct buf out = {0};

    sluice_empty_put(&out, SLUICE_OPENED, 0, GOLDEN_CID);
    assert_golden(&out, "opened");
    sluice_empty_put(&out, SLUICE_READY, 0, 0);
    assert_golden(&out, "ready");
    sluice_empty_put(&out, SLUICE_SETLOG, 7, 0);
    assert_golden(&out, "setlog");
    sluice_empty_put(&out, SLUICE_UNREGISTER, 1, 0);
    assert_golden(&out, "unregister");
}

static void writes_data_frames_in_one_piece_and_in_two(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_header h = {
        .type = SLUICE_TEXT, .aux = 6, .cid = GOLDEN_CID, .length = 99};

    sluice_frame_put(&out, &h, STR("hi"));
    assert_golden(&out, "text-from-client");

    uint8_t header[SLUICE_HEADER_SIZE];
    sluice_data_header(header, SLUICE_TEXT, SLUICE_FLAG_NOTIFY, 0, GOLDEN_CID,
                       2);
    buf_put(&out, header, sizeof header);
    buf_put(&out, "hi", 2);
    assert_golden(&out, "text-from-backend");

    sluice_data_header(header, SLUICE_BINARY, SLUICE_FLAG_MORE, 0, GOLDEN_CID,
                       3);
    buf_put(&out, header, sizeof header);
    buf_put(&out, "\0\1\2", 3);
    assert_golden(&out, "binary-first-fragment");
}

static void a_failed_frame_is_taken_back(void **state)
{
    (void)state;
    struct sluice_header h = {.type = SLUICE_NOP};
    struct buf out;

    buf_init(&out, 20);
    buf_put(&out, "1234", 4);
    size_t begin = sluice_frame_begin(&out, &h);
    assert_false(sluice_frame_end(&out, begin, buf_put(&out, "x", 1)));
    assert_int_equal(out.n, 4);

    /* Not even the header has room; the smaller piece would. */
    out.max = 12;
    begin = sluice_frame_begin(&out, &h);
    assert_false(sluice_frame_end(&out, begin, buf_put(&out, "12345678", 8)));
    assert_int_equal(out.n, 4);
    buf_fini(&out);
}

static void types_have_names(void **state)
{
    (void)state;
    assert_string_equal(sluice_type_name(0x10), "OPEN");
    assert_string_equal(sluice_type_name(0x74), "UNCLAIM");
    assert_string_equal(sluice_type_name(0), "unknown");
    assert_string_equal(sluice_type_name(0x80), "unknown");
}

static void five_types_spend_credit(void **state)
{
    (void)state;
    size_t n = 0;
    for (unsigned type = 0; type < 256; type++)
        n += sluice_type_is_data(type);
    assert_int_equal(n, 5);
    assert_true(sluice_type_is_data(SLUICE_RAW));
    assert_true(sluice_type_is_data(SLUICE_CONT));
    assert_false(sluice_type_is_data(SLUICE_PING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_id_is_slot_generation_and_process),
        TEST(writes_the_frames_that_are_only_a_header),
        TEST(writes_data_frames_in_one_piece_and_in_two),
        TEST(a_failed_frame_is_taken_back),
        TEST(types_have_names),
        TEST(five_types_spend_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

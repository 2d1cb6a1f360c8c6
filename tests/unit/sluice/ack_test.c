/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/ack.h"

#include "unit/sluice/golden.h"

static void writes_and_reads_entries(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_header h = {.type = SLUICE_ACK};
    struct sluice_ack one = {GOLDEN_CID, 2, 1};

    size_t begin = sluice_frame_begin(&out, &h);
    sluice_frame_end(&out, begin, sluice_ack_put_entry(&out, &one));
    assert_golden(&out, "ack");

    begin = sluice_frame_begin(&out, &h);
    sluice_ack_put_entry(&out, &(struct sluice_ack){GOLDEN_CID, 139264, 9});
    sluice_ack_put_entry(&out,
                         &(struct sluice_ack){GOLDEN_CID + 1, 0, UINT32_MAX});
    sluice_frame_end(&out, begin, true);
    struct str rest = str_slice(buf_str(&out), SLUICE_HEADER_SIZE, out.n);
    struct sluice_ack a;
    assert_true(sluice_ack_next(&rest, &a));
    assert_int_equal(a.bytes, 139264);
    assert_true(sluice_ack_next(&rest, &a));
    assert_true(a.cid == GOLDEN_CID + 1);
    assert_true(a.seq == UINT32_MAX);
    assert_false(sluice_ack_next(&rest, &a));
    assert_golden(&out, "ack-two");
}

static int check_of(uint64_t cid, size_t n)
{
    uint8_t bytes[32] = {0};
    le64_put(bytes, cid);
    struct sluice_frame f = {.payload = {bytes, n}};
    return sluice_ack_check(&f);
}

static void refuses_what_is_no_row_of_entries(void **state)
{
    (void)state;
    assert_int_equal(check_of(1, 0), 0);
    assert_int_equal(check_of(1, 16), 0);
    assert_int_equal(check_of(1, 15), -SLUICE_ERROR_PROTOCOL);
    assert_int_equal(check_of(1, 17), -SLUICE_ERROR_PROTOCOL);
    assert_int_equal(check_of(1, 32), -SLUICE_ERROR_PROTOCOL); /* the 2nd: 0 */
    assert_int_equal(check_of(0, 16), -SLUICE_ERROR_PROTOCOL);
    assert_int_equal(check_of(UINT64_C(1) << 53, 16), -SLUICE_ERROR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_and_reads_entries),
        TEST(refuses_what_is_no_row_of_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

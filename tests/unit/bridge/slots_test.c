/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge/slots.h"

#include "sluice/frame.h"
#include "support/test.h"

static struct link_client *const some = (struct link_client *)0x10;
static struct link_client *const other = (struct link_client *)0x20;

static void gives_ids_of_its_process(void **state)
{
    (void)state;
    struct slots t;
    slots_init(&t, 3);
    uint64_t cid = slots_take(&t, some);
    assert_int_equal(sluice_cid_process(cid), 3);
    assert_int_equal(sluice_cid_generation(cid), 1);
    assert_true(sluice_cid_is_legal(cid));
    assert_ptr_equal(slots_find(&t, cid), some);
    slots_fini(&t);
}

static void does_not_find_an_id_of_before_after_or_elsewhere(void **state)
{
    (void)state;
    struct slots t;
    slots_init(&t, 3);
    uint64_t cid = slots_take(&t, some);
    assert_null(slots_find(&t, cid + 1));
    assert_null(slots_find(&t, cid ^ UINT64_C(1) << 44));
    assert_null(slots_find(&t, cid ^ UINT64_C(1) << 60));
    assert_null(slots_find(&t, 0));
    slots_give(&t, cid);
    assert_null(slots_find(&t, cid));
    uint64_t again = slots_take(&t, other);
    assert_int_equal(sluice_cid_slot(again), sluice_cid_slot(cid));
    assert_int_not_equal(again, cid);
    assert_null(slots_find(&t, cid));
    assert_ptr_equal(slots_find(&t, again), other);
    slots_fini(&t);
}

static void reuses_the_slot_that_was_free_longest(void **state)
{
    (void)state;
    struct slots t;
    uint64_t ids[3];
    slots_init(&t, 0);
    for (int i = 0; i < 3; i++)
        ids[i] = slots_take(&t, some);
    slots_give(&t, ids[1]);
    slots_give(&t, ids[0]);
    assert_int_equal(sluice_cid_slot(slots_take(&t, some)), 1);
    assert_int_equal(sluice_cid_slot(slots_take(&t, some)), 0);
    assert_int_equal(sluice_cid_slot(slots_take(&t, some)), 3);
    assert_int_equal(t.used, 4);
    slots_fini(&t);
}

static void counts_uses_around_without_an_id_of_zero(void **state)
{
    (void)state;
    struct slots t;
    slots_init(&t, 0);
    uint64_t cid = slots_take(&t, some);
    for (uint32_t i = 1; i < SLUICE_GENERATION_MAX; i++) {
        slots_give(&t, cid);
        cid = slots_take(&t, some);
    }
    assert_int_equal(sluice_cid_generation(cid), SLUICE_GENERATION_MAX);
    slots_give(&t, cid);
    cid = slots_take(&t, some);
    assert_int_equal(sluice_cid_generation(cid), 1);
    assert_int_not_equal(cid, 0);
    slots_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_ids_of_its_process),
        TEST(does_not_find_an_id_of_before_after_or_elsewhere),
        TEST(reuses_the_slot_that_was_free_longest),
        TEST(counts_uses_around_without_an_id_of_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

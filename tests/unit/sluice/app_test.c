/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/app.h"

#include "unit/sluice/golden.h"

static void writes_register_and_its_answers(void **state)
{
    (void)state;
    struct buf out = {0}, t = {0};
    bool ok =
        sluice_tlv_put(&t, SLUICE_TAG_NAME, STR("chat")) &&
        sluice_tlv_put_pattern(&t, SLUICE_TAG_HOST_PATTERN, SLUICE_PATTERN_ANY,
                               STR("")) &&
        sluice_tlv_put_pattern(&t, SLUICE_TAG_PATH_PATTERN,
                               SLUICE_PATTERN_PREFIX, STR("/chat/")) &&
        sluice_tlv_put_pattern(&t, SLUICE_TAG_ORIGIN_PATTERN,
                               SLUICE_PATTERN_REGEX, STR("^https:")) &&
        sluice_tlv_put(&t, SLUICE_TAG_SUBPROTOCOL, STR("chat")) &&
        sluice_tlv_put_opt(&t, SLUICE_OPT_EVENT_MASK, SLUICE_EVENT_OPENED) &&
        sluice_tlv_put_u32(&t, SLUICE_TAG_MAX_CLIENTS, 1000);
    assert_true(ok);
    struct sluice_register r = {4, buf_str(&t)};
    sluice_register_put(&out, &r);
    assert_golden(&out, "register");
    buf_fini(&t);

    struct sluice_registered a = {1, STR("")};
    sluice_registered_put(&out, &a);
    assert_golden(&out, "registered");
    a = (struct sluice_registered){0, STR("too many apps")};
    sluice_registered_put(&out, &a);
    assert_golden(&out, "registered-refused");
}

static void writes_claims(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_claim c = {SLUICE_CLAIM, STR("sid7")};
    sluice_claim_put(&out, &c);
    assert_golden(&out, "claim");
    c.type = SLUICE_UNCLAIM;
    sluice_claim_put(&out, &c);
    assert_golden(&out, "unclaim");
}

static void a_claim_needs_its_key(void **state)
{
    (void)state;
    uint8_t bytes[] = {SLUICE_TAG_NAME, 0, 0, 0};
    struct sluice_frame f = {.payload = {bytes, 4}};
    struct sluice_claim c;
    assert_int_equal(sluice_claim_get(&c, &f), -SLUICE_ERROR_PROTOCOL);
    bytes[0] = SLUICE_TAG_KEY;
    assert_int_equal(sluice_claim_get(&c, &f), 0);
}

static void writes_what_the_gateway_tells(void **state)
{
    (void)state;
    struct buf out = {0}, t = {0};
    sluice_tlv_put(&t, SLUICE_TAG_REMOTE_ADDR, STR("::1"));
    sluice_tlv_put_u16(&t, SLUICE_TAG_REMOTE_PORT, 9);
    sluice_tlv_put(&t, SLUICE_TAG_LOCAL_ADDR, STR("::1"));
    struct sluice_conn c = {2, buf_str(&t)};
    sluice_conn_put(&out, &c);
    assert_golden(&out, "conn");

    buf_clear(&t);
    sluice_tlv_put(&t, SLUICE_TAG_REASON, STR("bad key"));
    sluice_tlv_put(&t, SLUICE_TAG_REMOTE_ADDR, STR("::1"));
    sluice_tlv_put(&t, SLUICE_TAG_TARGET, STR("/"));
    struct sluice_client_error e = {SLUICE_ERROR_HANDSHAKE, buf_str(&t)};
    sluice_client_error_put(&out, &e);
    assert_golden(&out, "client-error");
    buf_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_register_and_its_answers),
        TEST(writes_claims),
        TEST(a_claim_needs_its_key),
        TEST(writes_what_the_gateway_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

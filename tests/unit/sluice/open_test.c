/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/open.h"

#include "unit/sluice/golden.h"

static struct sluice_open open_of_the_vectors(enum sluice_type type)
{
    return (struct sluice_open){.type = type,
                                .cid = GOLDEN_CID,
                                .ws_version = 13,
                                .http_version = 11,
                                .app_id = 1,
                                .route_id = 2,
                                .window_out = 262144,
                                .window_in = 65536,
                                .max_message = 1048576,
                                .remote_port = 51234,
                                .local_port = 8080};
}

static void writes_open(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_open o = open_of_the_vectors(SLUICE_OPEN);
    o.flags = SLUICE_OPEN_BINARY_OK;
    o.t_us = UINT64_C(1760000000000000);

    size_t at;
    bool ok =
        sluice_open_begin(&out, &o, &at) &&
        sluice_tlv_put(&out, SLUICE_TAG_METHOD, STR("GET")) &&
        sluice_tlv_put(&out, SLUICE_TAG_TARGET, STR("/chat/7?x=1")) &&
        sluice_tlv_put(&out, SLUICE_TAG_REMOTE_ADDR, STR("203.0.113.9")) &&
        sluice_tlv_put_named(&out, SLUICE_TAG_CAPTURE, STR("room"), STR("7")) &&
        sluice_tlv_put(&out, SLUICE_TAG_SUBPROTOCOL, STR("chat")) &&
        sluice_tlv_put_header(&out, STR("Host"), STR("ex.com"));
    assert_true(sluice_frame_end(&out, at, ok));
    assert_golden(&out, "open");
}

static void writes_resume(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_open o = open_of_the_vectors(SLUICE_RESUME);
    struct sluice_resume_info info = {41, 78, 3, SLUICE_RESUME_FOREIGN};
    static const char id[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                8, 9, 10, 11, 12, 13, 14, 15};
    o.flags = SLUICE_OPEN_TLS | SLUICE_OPEN_ALREADY_OPEN;
    o.t_us = UINT64_C(1763683200000000);

    size_t at;
    bool ok = sluice_open_begin(&out, &o, &at);
    size_t tls = sluice_tlv_begin(&out, SLUICE_TAG_TLS);
    ok = ok && sluice_tlv_put_u16(&out, SLUICE_TLS_VERSION, 0x304) &&
         sluice_tlv_put_u16(&out, SLUICE_TLS_CIPHER, 0x1301) &&
         sluice_tlv_put(&out, SLUICE_TLS_SNI, STR("ex.com"));
    ok = sluice_tlv_end(&out, tls, ok) &&
         sluice_tlv_put_resume_info(&out, &info) &&
         sluice_tlv_put_named(&out, SLUICE_TAG_VAR, STR("tenant"), STR("a")) &&
         sluice_tlv_put(&out, SLUICE_TAG_REQUEST_ID, str_n(id, 16)) &&
         sluice_tlv_put_u16(&out, SLUICE_TAG_REMOTE_PORT, 51234);
    assert_true(sluice_frame_end(&out, at, ok));
    assert_golden(&out, "resume");
    sluice_resume_end_put(&out, 1);
    assert_golden(&out, "resume-end");
}

static void writes_http_req(void **state)
{
    (void)state;
    struct buf out = {0}, tlvs = {0};
    struct sluice_open o = open_of_the_vectors(SLUICE_HTTP_REQ);
    sluice_tlv_put(&tlvs, SLUICE_TAG_METHOD, STR("POST"));
    sluice_tlv_put(&tlvs, SLUICE_TAG_TARGET, STR("/"));
    o.ws_version = 0;
    o.more = true;
    o.t_us = UINT64_C(1763683200000000);
    o.tlvs = buf_str(&tlvs);
    sluice_open_put(&out, &o);
    assert_golden(&out, "http-req");
    buf_fini(&tlvs);
}

static void a_begin_without_room_ends_in_nothing(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 40); /* the header fits, and a small TLV after it */
    struct sluice_open o = open_of_the_vectors(SLUICE_OPEN);
    size_t at;
    bool ok = sluice_open_begin(&out, &o, &at) &&
              sluice_tlv_put(&out, SLUICE_TAG_METHOD, STR("GET"));
    assert_false(sluice_frame_end(&out, at, ok));
    assert_int_equal(out.n, 0);
    buf_fini(&out);
}

static void writes_accept(void **state)
{
    (void)state;
    struct buf out = {0}, tlvs = {0};
    sluice_tlv_put(&tlvs, SLUICE_TAG_SUBPROTOCOL, STR("chat"));
    struct sluice_accept a = {.cid = GOLDEN_CID, .tlvs = buf_str(&tlvs)};
    sluice_accept_put(&out, &a);
    assert_golden(&out, "accept");

    buf_clear(&tlvs);
    sluice_tlv_put_opt(&tlvs, SLUICE_OPT_EVENT_MASK, 0x11);
    sluice_tlv_put(&tlvs, SLUICE_TAG_STATE, STR("\0\xff"));
    sluice_tlv_put(&tlvs, SLUICE_TAG_CHANNEL, STR("room:7"));
    a = (struct sluice_accept){
        .cid = GOLDEN_CID, .tunnel = true, .tlvs = buf_str(&tlvs)};
    sluice_accept_put(&out, &a);
    assert_golden(&out, "accept-tunnel");
    buf_fini(&tlvs);
}

static void writes_reject(void **state)
{
    (void)state;
    struct buf out = {0}, tlvs = {0};
    sluice_tlv_put_header(&tlvs, STR("WWW-Authenticate"), STR("Bearer"));
    sluice_tlv_put(&tlvs, SLUICE_TAG_BODY, STR("token, please"));
    sluice_tlv_put(&tlvs, SLUICE_TAG_REASON, STR("no token"));
    struct sluice_reject r = {
        .cid = GOLDEN_CID, .status = 401, .tlvs = buf_str(&tlvs)};
    sluice_reject_put(&out, &r);
    assert_golden(&out, "reject");

    r = (struct sluice_reject){
        .cid = GOLDEN_CID, .more = true, .flags = SLUICE_REJECT_PASS};
    sluice_reject_put(&out, &r);
    assert_golden(&out, "reject-pass");
    buf_fini(&tlvs);
}

static void a_rejection_has_the_status_of_one(void **state)
{
    (void)state;
    static const struct {
        uint16_t status, flags;
        int expected;
    } rows[] = {
        {299, 0, -SLUICE_ERROR_HANDSHAKE}, {300, 0, 0}, {599, 0, 0},
        {600, 0, -SLUICE_ERROR_HANDSHAKE}, {0, 1, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t bytes[4];
        le16_put(bytes, rows[i].status);
        le16_put(bytes + 2, rows[i].flags);
        struct sluice_frame f = {.payload = {bytes, 4}};
        struct sluice_reject r;
        assert_int_equal(sluice_reject_get(&r, &f), rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_open),
        TEST(writes_resume),
        TEST(writes_http_req),
        TEST(a_begin_without_room_ends_in_nothing),
        TEST(writes_accept),
        TEST(writes_reject),
        TEST(a_rejection_has_the_status_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/http.h"

#include "unit/sluice/golden.h"

static void writes_the_vectors(void **state)
{
    (void)state;
    struct buf out = {0}, tlvs = {0};

    sluice_tlv_put_header(&tlvs, STR("Content-Type"), STR("text/plain"));
    struct sluice_http_res r = {SLUICE_HTTP_RES, GOLDEN_CID, true, 200,
                                buf_str(&tlvs)};
    sluice_http_res_put(&out, &r);
    assert_golden(&out, "http-res");

    buf_clear(&tlvs);
    sluice_tlv_put_header(&tlvs, STR("Link"), STR("<a>"));
    r = (struct sluice_http_res){SLUICE_HTTP_INFO, GOLDEN_CID, false, 103,
                                 buf_str(&tlvs)};
    sluice_http_res_put(&out, &r);
    assert_golden(&out, "http-info");

    struct sluice_http_reset reset = {GOLDEN_CID, SLUICE_ERROR_TIMEOUT,
                                      STR("late")};
    sluice_http_reset_put(&out, &reset);
    assert_golden(&out, "http-reset");

    buf_clear(&tlvs);
    sluice_tlv_put_header(&tlvs, STR("Digest"), STR("0"));
    struct sluice_http_trailers t = {GOLDEN_CID, buf_str(&tlvs)};
    sluice_http_trailers_put(&out, &t);
    assert_golden(&out, "http-trailers");
    buf_fini(&tlvs);

    struct sluice_http_done d = {GOLDEN_CID, UINT64_C(1) << 32, true};
    sluice_http_done_put(&out, &d);
    assert_golden(&out, "http-done");
}

static void a_status_suits_its_frame(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        uint16_t status;
        bool good;
    } rows[] = {
        {SLUICE_HTTP_RES, 199, false}, {SLUICE_HTTP_RES, 200, true},
        {SLUICE_HTTP_RES, 599, true},  {SLUICE_HTTP_RES, 600, false},
        {SLUICE_HTTP_INFO, 100, true}, {SLUICE_HTTP_INFO, 101, false},
        {SLUICE_HTTP_INFO, 103, true}, {SLUICE_HTTP_INFO, 200, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t bytes[4] = {0};
        le16_put(bytes, rows[i].status);
        struct sluice_frame f = {.header = {.type = rows[i].type},
                                 .payload = {bytes, 4}};
        struct sluice_http_res r;
        assert_int_equal(sluice_http_res_get(&r, &f),
                         rows[i].good ? 0 : -SLUICE_ERROR_HANDSHAKE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(writes_the_vectors),
        TEST(a_status_suits_its_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

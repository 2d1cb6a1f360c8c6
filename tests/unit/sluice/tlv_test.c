/* SPDX-License-Identifier: BSD-2-Clause */
#include "sluice/tlv.h"

#include "unit/sluice/golden.h"

static void refuses_what_runs_past_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *bytes;
        size_t n;
    } bad[] = {
        {"half a word", "\1\1\0", 3},
        {"a value of which a byte is missing", "\1\2\0\0x", 5},
        {"the largest length", "\1\xff\xff\xffx", 5},
        {"a second one cut", "\1\0\0\0\1", 5},
        {"a HEADER without room for its length", "\x10\1\0\0x", 5},
        {"a HEADER whose name is longer than it", "\x10\3\0\0\2\0x", 7},
        {"a CAPTURE without a length", "\x18\0\0\0", 4},
        {"a VAR whose name is longer than it", "\x25\2\0\0\2x", 6},
        {"a PID of 3 bytes", "\5\3\0\0\1\2\3", 7},
        {"a RESUME_OF of 4 bytes", "\6\4\0\0\1\2\3\4", 8},
        {"a REMOTE_PORT of 4 bytes", "\x2d\4\0\0\1\2\3\4", 8},
        {"a REQUEST_ID of 4 bytes", "\x1e\4\0\0\1\2\3\4", 8},
        {"RESUME_INFO of 4 bytes", "\x24\4\0\0\1\2\3\4", 8},
        {"an OPT of 1 byte", "\x23\1\0\0\1", 5},
        {"a NODELAY of 2 bytes", "\x23\4\0\0\1\0\1\0", 8},
        {"an IDLE_TIMEOUT_MS of 1 byte", "\x23\3\0\0\2\0\1", 7},
        {"a pattern without a kind", "\x27\0\0\0", 4},
        {"a pattern of kind 6", "\x27\1\0\0\6", 5},
        {"TLS with a value cut", "\x17\4\0\0\3\1\0\0", 8},
        {"TLS with a version of 1 byte", "\x17\5\0\0\1\1\0\0\3", 9},
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        char *copy = xmalloc(bad[i].n);
        memcpy(copy, bad[i].bytes, bad[i].n);
        int got = sluice_tlv_check(str_n(copy, bad[i].n));
        if (got != -SLUICE_ERROR_PROTOCOL)
            fail_msg("%s: returned %d", bad[i].why, got);
        free(copy);
    }
}

static void passes_over_what_it_does_not_know(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *bytes;
        size_t n;
    } good[] = {
        {"nothing", "", 0},
        {"an unknown tag", "\xff\1\0\0x", 5},
        {"an unknown option", "\x23\3\0\0\x63\0\1", 7},
        {"an empty header value", "\x10\3\0\0\1\0x", 7},
        {"an empty capture name", "\x18\1\0\0\0", 5},
        {"TLS without anything", "\x17\0\0\0", 4},
    };

    for (size_t i = 0; i < COUNT(good); i++)
        if (sluice_tlv_check(str_n(good[i].bytes, good[i].n)) != 0)
            fail_msg("%s was refused", good[i].why);
}

static void what_is_put_is_got(void **state)
{
    (void)state;
    struct buf out = {0};
    struct sluice_resume_info info = {1, 2, 3, SLUICE_RESUME_DEAD}, info_got;
    struct sluice_tlv t;
    struct str name, value;
    enum sluice_pattern_kind kind;
    uint64_t u64;
    uint32_t u32;
    uint16_t u16;

    assert_true(sluice_tlv_put_u64(&out, SLUICE_TAG_RESUME_OF, 1ull << 63));
    assert_true(sluice_tlv_put_u32(&out, SLUICE_TAG_PID, 1u << 31));
    assert_true(sluice_tlv_put_u16(&out, SLUICE_TAG_REMOTE_PORT, 65535));
    assert_true(sluice_tlv_put_header(&out, STR("Host"), STR("ex.com")));
    assert_true(sluice_tlv_put_named(&out, SLUICE_TAG_VAR, STR("a"), STR("")));
    assert_true(sluice_tlv_put_opt(&out, SLUICE_OPT_NODELAY, 255));
    assert_true(sluice_tlv_put_opt(&out, SLUICE_OPT_VERSIONS, 1u << 31));
    assert_true(sluice_tlv_put_pattern(&out, SLUICE_TAG_PATH_PATTERN,
                                       SLUICE_PATTERN_PREFIX, STR("/")));
    assert_true(sluice_tlv_put_resume_info(&out, &info));

    struct str rest = buf_str(&out);
    assert_int_equal(sluice_tlv_check(rest), 0);
    sluice_tlv_next(&rest, &t);
    assert_int_equal(sluice_tlv_get_u64(&t, &u64), 0);
    assert_true(u64 == 1ull << 63);
    sluice_tlv_next(&rest, &t);
    assert_int_equal(sluice_tlv_get_u32(&t, &u32), 0);
    assert_true(u32 == 1u << 31);
    sluice_tlv_next(&rest, &t);
    assert_int_equal(sluice_tlv_get_u16(&t, &u16), 0);
    assert_int_equal(u16, 65535);
    sluice_tlv_next(&rest, &t);
    assert_int_equal(sluice_tlv_get_header(&t, &name, &value), 0);
    assert_str(name, "Host");
    assert_str(value, "ex.com");
    sluice_tlv_next(&rest, &t);
    assert_int_equal(sluice_tlv_get_named(&t, &name, &value), 0);
    assert_str(name, "a");
    assert_str(value, "");
    sluice_tlv_next(&rest, &t);
    assert_int_equal(sluice_tlv_get_opt(&t, &u16, &u32), 0);
    assert_int_equal(u16, SLUICE_OPT_NODELAY);
    assert_int_equal(u32, 255);
    sluice_tlv_next(&rest, &t);
    assert_int_equal(sluice_tlv_get_opt(&t, &u16, &u32), 0);
    assert_true(u32 == 1u << 31);
    sluice_tlv_next(&rest, &t);
    assert_int_equal(sluice_tlv_get_pattern(&t, &kind, &value), 0);
    assert_int_equal(kind, SLUICE_PATTERN_PREFIX);
    assert_str(value, "/");
    sluice_tlv_next(&rest, &t);
    assert_int_equal(sluice_tlv_get_resume_info(&t, &info_got), 0);
    assert_memory_equal(&info, &info_got, sizeof info);
    assert_int_equal(sluice_tlv_next(&rest, &t), 0);
    buf_fini(&out);
}

static void finds_the_first_of_a_tag(void **state)
{
    (void)state;
    struct buf out = {0};
    sluice_tlv_put(&out, SLUICE_TAG_SUBPROTOCOL, STR("a"));
    sluice_tlv_put(&out, SLUICE_TAG_SUBPROTOCOL, STR("b"));
    sluice_tlv_put(&out, SLUICE_TAG_APP, STR(""));
    assert_str(sluice_tlv_find(buf_str(&out), SLUICE_TAG_SUBPROTOCOL), "a");
    assert_non_null(sluice_tlv_find(buf_str(&out), SLUICE_TAG_APP).p);
    assert_null(sluice_tlv_find(buf_str(&out), SLUICE_TAG_ROUTE).p);
    buf_fini(&out);
}

static void does_not_write_what_has_no_room_on_the_wire(void **state)
{
    (void)state;
    struct buf out = {0};
    char *big = xcalloc(1, SLUICE_TLV_MAX + 1);

    assert_false(sluice_tlv_put(&out, 1, str_n(big, SLUICE_TLV_MAX + 1)));
    assert_false(sluice_tlv_put_header(&out, str_n(big, 65536), STR("")));
    assert_false(
        sluice_tlv_put_header(&out, STR("a"), str_n(big, SLUICE_TLV_MAX - 2)));
    assert_false(
        sluice_tlv_put_named(&out, SLUICE_TAG_VAR, str_n(big, 256), STR("")));
    assert_false(sluice_tlv_put_pattern(&out, SLUICE_TAG_PATH_PATTERN,
                                        SLUICE_PATTERN_EXACT,
                                        str_n(big, SLUICE_TLV_MAX)));
    assert_false(sluice_tlv_put_opt(&out, SLUICE_OPT_NODELAY, 256));
    assert_false(sluice_tlv_put_opt(&out, 99, 1));
    assert_int_equal(out.n, 0);
    assert_true(sluice_tlv_put(&out, 1, str_n(big, SLUICE_TLV_MAX)));
    assert_int_equal(sluice_tlv_check(buf_str(&out)), 0);
    buf_fini(&out);
    free(big);
}

static void values_nest(void **state)
{
    (void)state;
    struct buf out = {0};
    size_t begin = sluice_tlv_begin(&out, SLUICE_TAG_TLS);
    bool ok = sluice_tlv_put_u16(&out, SLUICE_TLS_VERSION, 0x304) &&
              sluice_tlv_put(&out, SLUICE_TLS_SNI, STR("ex.com"));
    assert_true(sluice_tlv_end(&out, begin, ok));
    assert_int_equal(sluice_tlv_check(buf_str(&out)), 0);
    struct str inner = sluice_tlv_find(buf_str(&out), SLUICE_TAG_TLS);
    assert_int_equal(inner.n, 16);
    assert_str(sluice_tlv_find(inner, (enum sluice_tag)SLUICE_TLS_SNI),
               "ex.com");

    begin = sluice_tlv_begin(&out, SLUICE_TAG_TLS);
    assert_false(sluice_tlv_end(&out, begin, false));
    assert_int_equal(out.n, 20);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_what_runs_past_its_end),
        TEST(passes_over_what_it_does_not_know),
        TEST(what_is_put_is_got),
        TEST(finds_the_first_of_a_tag),
        TEST(does_not_write_what_has_no_room_on_the_wire),
        TEST(values_nest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

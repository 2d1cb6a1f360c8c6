/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/proxy_protocol.h"

#include "support/test.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\x01\x02\x03\x04\x05\x06\x07\x08\x03\xe8\x00\x50"
#define V6                                                                     \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                               \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"                               \
    "\x03\xe8\x01\xbb"
#define ROW(why, bytes, size, from, to)                                        \
    {                                                                          \
        why, bytes, sizeof(bytes) - 1, size, from, to                          \
    }

static const struct {
    const char *why;
    const char *bytes;
    size_t n;
    int size;         /* of the header, or -1 */
    const char *from; /* NULL: not known */
    const char *to;
} rows[] = {
    ROW("v1, IPv4", "PROXY TCP4 1.2.3.4 5.6.7.8 1000 80\r\nGET", 36,
        "1.2.3.4:1000", "5.6.7.8:80"),
    ROW("v1, IPv6", "PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", 36,
        "[2001:db8::1]:65535", "[::1]:0"),
    ROW("v1, unknown", "PROXY UNKNOWN\r\nGET", 15, NULL, NULL),
    ROW("v1, unknown with more", "PROXY UNKNOWN a b c d\r\n", 23, NULL, NULL),
    ROW("v1, no family", "PROXY \r\n", -1, NULL, NULL),
    ROW("v1, another family", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", -1, NULL,
        NULL),
    ROW("v1, families mixed", "PROXY TCP4 1.2.3.4 ::1 1 2\r\n", -1, NULL, NULL),
    ROW("v1, IPv6 said to be IPv4", "PROXY TCP4 ::1 ::1 1 2\r\n", -1, NULL,
        NULL),
    ROW("v1, a large port", "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", -1, NULL,
        NULL),
    ROW("v1, a port that is none", "PROXY TCP4 1.2.3.4 5.6.7.8 1 x\r\n", -1,
        NULL, NULL),
    ROW("v1, no port", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", -1, NULL, NULL),
    ROW("v1, more", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", -1, NULL, NULL),
    ROW("v1, two spaces", "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", -1, NULL,
        NULL),
    ROW("v1, LF alone", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", -1, NULL, NULL),
    ROW("v1, too long",
        "PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
        -1, NULL, NULL),
    ROW("another protocol", "GET / HTTP/1.1\r\n", -1, NULL, NULL),
    ROW("lower case", "proxy UNKNOWN\r\n", -1, NULL, NULL),
    ROW("v2, IPv4", SIGNATURE "\x21\x11\0\x0c" V4 "GET", 28, "1.2.3.4:1000",
        "5.6.7.8:80"),
    ROW("v2, IPv6", SIGNATURE "\x21\x21\0\x24" V6, 52, "[2001:db8::1]:1000",
        "[2001:db8::2]:443"),
    ROW("v2, local", SIGNATURE "\x20\x11\0\x0c" V4, 28, NULL, NULL),
    ROW("v2, unspecified", SIGNATURE "\x21\0\0\x02xx", 18, NULL, NULL),
    ROW("v2, addresses cut", SIGNATURE "\x21\x11\0\x08" V4, -1, NULL, NULL),
    ROW("v2, datagrams", SIGNATURE "\x21\x12\0\x0c" V4, -1, NULL, NULL),
    ROW("v2, another command", SIGNATURE "\x22\x11\0\x0c" V4, -1, NULL, NULL),
    ROW("version 3", SIGNATURE "\x31\x11\0\x0c" V4, -1, NULL, NULL),
    ROW("v2, too long", SIGNATURE "\x21\x11\x10\x00" V4, -1, NULL, NULL),
};

static void reads_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct proxy_protocol got;
        char text[ADDRESS_TEXT_MAX];
        const uint8_t *p = (const uint8_t *)rows[i].bytes;
        int size = proxy_protocol_read(&got, p, rows[i].n);
        if (size != rows[i].size)
            fail_msg("%s: returned %d", rows[i].why, size);
        assert_int_equal(got.known && size > 0, rows[i].from != NULL);
        if (!rows[i].from)
            continue;
        assert_str(address_text(&got.source, text), rows[i].from);
        assert_str(address_text(&got.server, text), rows[i].to);
    }
}

/* Split anywhere, no part is taken for the whole, and none of a good header
 * for a bad one. */
static void waits_for_all_of_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t end = rows[i].size > 0 ? (size_t)rows[i].size : rows[i].n;
        for (size_t n = 0; n < end; n++) {
            struct proxy_protocol got;
            uint8_t *copy = malloc(n + 1);
            memcpy(copy, rows[i].bytes, n);
            int size = proxy_protocol_read(&got, copy, n);
            free(copy);
            if (size > 0 || (size < 0 && rows[i].size > 0))
                fail_msg("%s: %zu bytes: %d", rows[i].why, n, size);
        }
    }
}

static void finds_fields(void **state)
{
    (void)state;
    static const char tlvs[] = "\x02\0\x03"
                               "org"
                               "\x20\0\x0d"
                               "\x01\0\0\0\x07"
                               "\x21\0\x05TLSv1"
                               "\xea\0\0"
                               "\x05\x00\x09"
                               "cut";
    struct str all = str_n(tlvs, sizeof tlvs - 1), value, inner;
    uint32_t verify;

    assert_true(proxy_protocol_find(all, PROXY_TLV_AUTHORITY, &value));
    assert_str(value, "org");
    assert_true(proxy_protocol_find(all, 0xea, &value));
    assert_int_equal(value.n, 0);
    assert_false(proxy_protocol_find(all, PROXY_TLV_UNIQUE_ID, &value));
    assert_false(proxy_protocol_find(all, PROXY_TLV_ALPN, &value));
    assert_true(proxy_protocol_find(all, PROXY_TLV_SSL, &value));
    assert_true(proxy_protocol_ssl(value, &verify, &inner));
    assert_int_equal(verify, 7);
    assert_true(proxy_protocol_find(inner, PROXY_TLV_SSL_VERSION, &value));
    assert_str(value, "TLSv1");
    assert_false(proxy_protocol_ssl(STR("abcd"), &verify, &inner));
}

static void reads_what_it_writes(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"1.2.3.4", "5.6.7.8"},
        {"2001:db8:1111:2222:3333:4444:5555:6666",
         "2001:db8:1111:2222:3333:4444:5555:7777"},
        {"1.2.3.4", "::1"},
    };
    for (size_t i = 0; i < COUNT(pairs); i++)
        for (unsigned version = 1; version <= 2; version++) {
            struct address from, to;
            struct proxy_protocol got;
            char out[PROXY_PROTOCOL_OUT_MAX];
            assert_int_equal(address_from_ip(&from, str_c(pairs[i][0]), 65535),
                             0);
            assert_int_equal(address_from_ip(&to, str_c(pairs[i][1]), 65535),
                             0);
            size_t n = proxy_protocol_write(out, version, &from, &to);
            assert_int_equal(proxy_protocol_read(&got, (const uint8_t *)out, n),
                             n);
            assert_int_equal(got.known, i < 2);
            if (got.known) {
                assert_true(address_eq(&got.source, &from));
                assert_true(address_eq(&got.server, &to));
            }
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_headers),
        TEST(waits_for_all_of_it),
        TEST(finds_fields),
        TEST(reads_what_it_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

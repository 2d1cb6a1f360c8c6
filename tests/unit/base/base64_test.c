/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/base64.h"

#include "support/test.h"

static void decodes_and_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *why, *in;
        enum base64_alphabet alphabet;
        const char *out; /* NULL: refused */
    } rows[] = {
        {"nothing", "", BASE64, ""},
        {"RFC 4648 section 10", "Zg==", BASE64, "f"},
        {"RFC 4648 section 10", "Zm8=", BASE64, "fo"},
        {"RFC 4648 section 10", "Zm9v", BASE64, "foo"},
        {"RFC 4648 section 10", "Zm9vYg==", BASE64, "foob"},
        {"RFC 4648 section 10", "Zm9vYmE=", BASE64, "fooba"},
        {"RFC 4648 section 10", "Zm9vYmFy", BASE64, "foobar"},
        {"no padding", "Zm9vYg", BASE64, "foob"},
        {"one character over", "Zm9vY", BASE64, NULL},
        {"a space", "Zm 9v", BASE64, NULL},
        {"padding within", "Zg==Zg==", BASE64, NULL},
        {"the other alphabet", "a-_a", BASE64, NULL},
        {"the other alphabet", "a+/a", BASE64_URL, NULL},
        {"digits 62 and 63", "P-_P", BASE64_URL, "\x3f\xef\xcf"},
        {"digits 62 and 63", "P+/P", BASE64, "\x3f\xef\xcf"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[32];
        size_t n;
        struct str in = str_c(rows[i].in);
        assert_true(BASE64_DECODED_MAX(in.n) <= sizeof out);
        bool ok = base64_decode(in, rows[i].alphabet, out, &n);
        if (ok != (rows[i].out != NULL))
            fail_msg("%s: %s", rows[i].why, rows[i].in);
        if (ok)
            assert_str(str_n(out, n), rows[i].out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(decodes_and_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

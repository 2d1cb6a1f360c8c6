/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/encodings.h"

#include "support/test.h"

static void reads_what_a_client_accepts(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        bool accepted;
    } rows[] = {
        {"gzip", true},
        {"GZip", true},
        {"deflate, gzip, br", true},
        {"gzip;q=0.5", true},
        {"gzip ; q=1.000", true},
        {"gzip;q=0", false},
        {"gzip;q=0.000", false},
        {"gzip; Q=0.0", false},
        {"gzip;q=0.001", true},
        {"br;q=1, gzip;q=0", false},
        {"", false},
        {"*", false},
        {"identity", false},
        {"x-gzip", false},
        {"gzipped", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (encoding_is_accepted(str_c(rows[i].field), STR("gzip")) !=
            rows[i].accepted)
            fail_msg("\"%s\"", rows[i].field);
}

static void knows_old_msie(void **state)
{
    (void)state;
    static const struct {
        const char *agent;
        bool old;
    } rows[] = {
        {"Mozilla/4.0 (compatible; MSIE 4.01)", true},
        {"Mozilla/4.0 (compatible; MSIE 5.5; Windows 98)", true},
        {"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", true},
        {"Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)", false},
        {"Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)", false},
        {"Mozilla/4.0 (compatible; MSIE 6.0; Windows) Opera 8.0", false},
        {"MSIE 6", false},
        {"MSIE ", false},
        {"", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (encoding_is_old_msie(str_c(rows[i].agent)) != rows[i].old)
            fail_msg("\"%s\"", rows[i].agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_what_a_client_accepts),
        TEST(knows_old_msie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

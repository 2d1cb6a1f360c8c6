/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/types.h"

#include "support/test.h"

static void cuts_the_extension(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *extension;
    } cases[] = {
        {"/a.html", "html"},
        {"/a.b.HTML", "HTML"},
        {"/a", ""},
        {"/a.b/c", ""},
        {"/.htaccess", ""},
        {"/d/.x", ""},
        {"/a.", ""},
        {"/", ""},
        {"", ""},
        {"/..gz", "gz"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct str got = types_extension(str_c(cases[i].uri));
        if (!str_eq(got, str_c(cases[i].extension)))
            fail_msg("%s: %.*s", cases[i].uri, STR_ARG(got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(cuts_the_extension)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

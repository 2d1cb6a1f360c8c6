/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/conf/modules.h"

static void shows_every_row_in_full(void **state)
{
    (void)state;
    struct buf out = {0};
    conf_print_reference(test_modules, &out);
    buf_put_u8(&out, 0);
    const char *text = (char *)out.p;
    static const char *const parts[] = {
        "kinds\n=====\n\nflag on | off;\n    default:  on\n    context:  main",
        "backend, if in server, if in location, limit_except\n    A flag.\n\n",
        "number NUMBER;\n    default:  5\n    range:    2 to 9\n",
        "size SIZE;\n    default:  8k\n    range:    125 to 1g\n",
        "ms TIME;\n    default:  60s\n    range:    at least 1s\n",
        "sec TIME;\n    default:  1h\n    range:    0 to 1d\n",
        "str TEXT;\n    default:  \"\"\n",
        "path PATH;\n",
        "choice off | on | always;\n",
        "bits error | timeout | never ...;\n",
        " long enough to need a\n    second line in the reference.\n",
        "item TEXT | off;\n",
        "ignored [VALUE ...];\n",
        "    Accepted and ignored, with a warning.\n    Tunes nothing.\n",
        "main_only VALUE [VALUE [VALUE]];\n    context:  main\n",
        "fail_at_end;\n",
        "format VALUE VALUE ...;\n",
        "data [VALUE] { ... }\n",
        "http { ... }\n",
        "location VALUE [VALUE] { ... }\n",
    };
    for (size_t i = 0; i < COUNT(parts); i++)
        if (!strstr(text, parts[i]))
            fail_msg("missing:\n%s\nin:\n%s", parts[i], text);
    assert_null(strstr(text, "empty"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shows_every_row_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "support/test.h"

void assert_str(struct str got, const char *expected)
{
    if (!str_eq(got, str_c(expected)))
        fail_msg("got \"%.*s\", expected \"%s\"", STR_ARG(got), expected);
}

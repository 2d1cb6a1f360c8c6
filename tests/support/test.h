/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/support/test.h - cmocka, with the headers it wants before it.
 */
#ifndef PENSTOCK_TESTS_TEST_H
#define PENSTOCK_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/str.h"

/* Shown in full when they differ. */
void assert_str(struct str got, const char *expected);

/* Run the tests of one file: TESTS(name, name, ...) inside main(). */
#define TEST(name) cmocka_unit_test(name)

#endif

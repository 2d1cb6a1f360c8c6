/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/static.h"

#include "support/test.h"

static void writes_the_etag_as_nginx_does(void **state)
{
    (void)state;
    char out[STATIC_ETAG_MAX];
    assert_str(static_etag(0x5f5e0ff, 612, out), "\"5f5e0ff-264\"");
    assert_str(static_etag(0, 0, out), "\"0-0\"");
    assert_str(static_etag(-1, UINT64_MAX, out),
               "\"ffffffffffffffff-ffffffffffffffff\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(writes_the_etag_as_nginx_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/conf/modules.h"

static void expect_items(const struct conf_scope *scope, const char *expected)
{
    const struct kinds *k = conf_get(scope, &kinds_module);
    struct buf out = {0};
    for (size_t i = 0; i < k->list.n; i++)
        buf_printf(&out, "%s ", (const char *)k->list.items[i]);
    assert_str(buf_str(&out), expected);
    buf_fini(&out);
}

static void a_list_is_inherited_whole_or_replaced_whole(void **state)
{
    (void)state;
    struct applied a;
    expect_good(&a, "item 1; item 2; item 3; item 4; item 5; http {"
                    "  server { } server a { item x; item y; }"
                    "  server b { item off; } server c { item off; item z; }"
                    "  server d { item z; item off; } }");
    const struct conf_scope *s = a.conf.main->children->children;
    expect_items(a.conf.main, "1 2 3 4 5 ");
    expect_items(s, "1 2 3 4 5 ");
    expect_items(s = s->next, "x y ");
    expect_items(s = s->next, "");
    expect_items(s = s->next, "z ");
    expect_items(s->next, "");
    applied_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_is_inherited_whole_or_replaced_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

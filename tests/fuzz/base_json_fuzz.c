/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Every part of a good value is good itself. */
static void walk(struct str value, struct arena *arena)
{
    struct str rest = value, item, text;

    check(json_check(value));
    if (json_string(value, arena, &text))
        check(text.n <= value.n && json_type_of(value) == JSON_STRING);
    while (json_next(&rest, &item))
        walk(item, arena);
    if (json_member(value, STR("a"), &item))
        walk(item, arena);
    if (json_member(value, STR(""), &item))
        walk(item, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct str text = str_n(p, n);
    if (!json_check(text))
        return 0;
    struct arena *arena = arena_create(4096);
    walk(text, arena);
    arena_destroy(arena);
    return 0;
}

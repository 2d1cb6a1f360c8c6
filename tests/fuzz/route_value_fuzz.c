/* SPDX-License-Identifier: BSD-2-Clause */
/* A text compiles or is refused with a sentence; its value, its log form and
 * its parts agree. */
#include <stdlib.h>

#include "base/check.h"
#include "route/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool get_rest(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    (void)e;
    *out = v->rest;
    return v->rest.n % 3 != 0;
}

static const struct variable rows[] = {
    {.name = "http_", .get = get_rest},
    {.name = "host", .get = get_rest},
    {.name = "kept_", .get = get_rest, .flags = VARIABLE_CACHED},
    {0},
};
static const struct variable *const tables[] = {rows, NULL};

static void evaluate(struct variables *vs, const struct value *v,
                     struct arena *arena)
{
    struct str *slots = arena_calloc(arena, vs->slots * sizeof *slots);
    struct evaluation e = {.arena = arena, .slots = slots};
    struct buf out = {0};

    e.captures.subject = STR("ab");
    e.captures.n = 2;
    e.captures.at[3] = 2;
    struct str s = value_eval(v, &e);
    value_append(v, &e, STR(""), NULL, &out);
    check(str_eq(s, buf_str(&out)));
    if (value_is_constant(v))
        check(str_eq(s, value_text(v)));
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct conf_word word = {STR("x"), false};
    struct conf_node node = {
        .words = &word, .words_n = 1, .file = "x", .line = 1};
    struct arena *arena = arena_create(1024);
    struct err err = {""};
    struct variables vs;
    struct conf conf = {
        .arena = arena, .err = &err, .node = &node, .variables = &vs};
    char *copy = malloc(n + 1);

    if (n)
        memcpy(copy, data, n);
    variables_init(&vs, arena, tables);
    struct value *v = value_compile(&conf, &vs, str_n(copy, n));
    free(copy); /* the value keeps its own */
    if (v && values_resolve(&conf, &vs) == 0)
        evaluate(&vs, v, arena);
    else
        check(err.text[0]);
    arena_destroy(arena);
    return 0;
}

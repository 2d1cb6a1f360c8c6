/* SPDX-License-Identifier: BSD-2-Clause */
#include "../../../src/serve/filter/charset_map.h"

#include "support/feed.h"
#include "support/test.h"

struct play {
    const struct charset_map *map;
    bool back;
    uint8_t cut[CHARSET_CHARACTER_MAX];
    size_t cut_n, n;
    char out[256];
    const char *why, *expected;
};

static void begin(void *arg)
{
    struct play *p = arg;
    p->cut_n = p->n = 0;
}

static int feed(void *arg, struct span *in)
{
    struct play *p = arg;
    struct str s = str_n(in->p, in->n);

    while (s.n) /* into as little room as is allowed */
        p->n += charset_recode(p->map, p->back, &s, p->cut, &p->cut_n,
                               (uint8_t *)p->out + p->n, 16);
    span_advance(in, in->n);
    return 0;
}

static void end(void *arg, const char *how)
{
    struct play *p = arg;
    if (!str_eq(str_n(p->out, p->n), str_c(p->expected)))
        fail_msg("%s, %s: got %.*s, expected %s", p->why, how, (int)p->n,
                 p->out, p->expected);
}

static struct charset_map *make(struct arena *arena, const char *to)
{
    struct charset_map *m = arena_calloc(arena, sizeof *m);
    m->from = STR("x");
    m->to = str_c(to);
    charset_map_init(m, arena);
    return m;
}

static void recodes_in_both_directions(void **state)
{
    (void)state;
    struct arena *arena = arena_create(4096);
    struct charset_map *utf8 = make(arena, "utf-8");
    struct charset_map *bytes = make(arena, "y");
    assert_true(charset_map_add(utf8, arena, STR("C0"), STR("D18E")));
    assert_true(charset_map_add(utf8, arena, STR("c1"), STR("e282ac")));
    assert_true(charset_map_add(utf8, arena, STR("c2"), STR("F09F9880")));
    assert_true(charset_map_add(bytes, arena, STR("80"), STR("88")));
    const struct {
        const char *why;
        const struct charset_map *map;
        bool back;
        const char *input, *expected;
    } rows[] = {
        {"ascii", utf8, false, "plain", "plain"},
        {"to utf-8", utf8, false, "a\xc0\xc1\xc2z",
         "a\xd1\x8e\xe2\x82\xac\xf0\x9f\x98\x80z"},
        {"unknown to utf-8", utf8, false, "a\xffz", "a?z"},
        {"from utf-8", utf8, true, "a\xd1\x8e\xe2\x82\xac\xf0\x9f\x98\x80z",
         "a\xc0\xc1\xc2z"},
        {"unknown from utf-8", utf8, true, "\xe6\x97\xa5\xf4\x8f\xbf\xbf",
         "&#26085;&#1114111;"},
        {"a byte that begins nothing", utf8, true, "a\xff\x80z", "a??z"},
        {"a character that breaks off", utf8, true, "a\xd1z", "a?z"},
        {"a surrogate", utf8, true, "\xed\xa0\x80", "&#55296;"},
        {"an overlong slash", utf8, true, "\xc0\xaf", "??"},
        {"bytes", bytes, false, "a\x80\x81", "a\x88?"},
        {"bytes back", bytes, true, "a\x88\x80", "a\x80?"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct play p = {.map = rows[i].map,
                         .back = rows[i].back,
                         .why = rows[i].why,
                         .expected = rows[i].expected};
        struct feed f = {&p, begin, feed, end};
        feed_every_split(&f, rows[i].input, strlen(rows[i].input));
    }
    arena_destroy(arena);
}

static void refuses_lines_that_are_none(void **state)
{
    (void)state;
    struct arena *arena = arena_create(4096);
    static const struct {
        const char *why, *to, *a, *b;
    } rows[] = {
        {"no hexadecimal", "y", "8g", "80"},
        {"two bytes for one", "y", "8080", "80"},
        {"two bytes in the other", "y", "80", "8080"},
        {"nothing", "y", "", "80"},
        {"no character", "utf-8", "80", "D1"},
        {"more than one character", "utf-8", "80", "4142"},
        {"too many bytes", "utf-8", "80", "F09F988080"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (charset_map_add(make(arena, rows[i].to), arena, str_c(rows[i].a),
                            str_c(rows[i].b)))
            fail_msg("%s was taken", rows[i].why);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(recodes_in_both_directions),
        TEST(refuses_lines_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

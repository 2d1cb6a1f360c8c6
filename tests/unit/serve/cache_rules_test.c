/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/cache.h"
#include "serve/proxy.h"
#include "support/test.h"

enum { NOW = 1000 };

static struct cache_freshness read(struct arena *arena,
                                   const char *const *lines, unsigned ignored)
{
    struct http_field fields[8];
    struct http_head h = {.status = 200, .fields = fields};
    struct cache_freshness f;

    for (; lines[h.fields_n]; h.fields_n++) {
        struct str value = str_c(lines[h.fields_n]);
        fields[h.fields_n].name = str_cut(&value, ':');
        fields[h.fields_n].value = str_trim(value);
    }
    cache_rules_read(&h, ignored, NOW, arena, &f);
    return f;
}

static void says_how_long_a_response_is_good(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *lines[4];
        unsigned ignored;
        bool storable;
        int64_t valid_s;
    } cases[] = {
        {"nothing is said", {NULL}, 0, true, 0},
        {"max-age", {"Cache-Control: max-age=60"}, 0, true, NOW + 60},
        {"quoted", {"Cache-Control: max-age=\"60\""}, 0, true, NOW + 60},
        {"zero", {"Cache-Control: max-age=0"}, 0, false, 0},
        {"negative", {"Cache-Control: max-age=-1"}, 0, true, 0},
        {"too large", {"Cache-Control: max-age=99999999999"}, 0, true, 0},
        {"s-maxage goes first",
         {"Cache-Control: max-age=5, s-maxage=60"},
         0,
         true,
         NOW + 60},
        {"s-maxage forbids",
         {"Cache-Control: s-maxage=0, max-age=5"},
         0,
         false,
         NOW},
        {"several lines",
         {"Cache-Control: public", "Cache-Control: no-store"},
         0,
         false,
         0},
        {"a field that is private",
         {"Cache-Control: private=\"Set-Cookie\", max-age=5"},
         0,
         false,
         NOW + 5},
        {"no-storehouse is no rule",
         {"Cache-Control: no-storehouse"},
         0,
         true,
         0},
        {"Expires", {"Expires: Thu, 01 Jan 1970 00:20:00 GMT"}, 0, true, 1200},
        {"Expires now",
         {"Expires: Thu, 01 Jan 1970 00:16:40 GMT"},
         0,
         false,
         0},
        {"Expires: 0", {"Expires: 0"}, 0, false, 0},
        {"Cache-Control before Expires",
         {"Expires: 0", "Cache-Control: max-age=5"},
         0,
         true,
         NOW + 5},
        {"X-Accel-Expires before all",
         {"Cache-Control: no-store", "X-Accel-Expires: 7"},
         0,
         true,
         NOW + 7},
        {"X-Accel-Expires: 0", {"X-Accel-Expires: 0"}, 0, false, 0},
        {"X-Accel-Expires with a time",
         {"X-Accel-Expires: @5000000000"},
         0,
         true,
         5000000000},
        {"X-Accel-Expires: nonsense", {"X-Accel-Expires: soon"}, 0, true, 0},
        {"a cookie", {"Set-Cookie: a=b"}, 0, false, 0},
        {"a cookie that is ignored",
         {"Set-Cookie: a=b"},
         IGNORE_SET_COOKIE,
         true,
         0},
        {"Vary: *", {"Vary: Accept, *"}, 0, false, 0},
        {"Cache-Control that is ignored",
         {"Cache-Control: no-store"},
         IGNORE_CACHE_CONTROL,
         true,
         0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arena *arena = arena_create(4096);
        struct cache_freshness f =
            read(arena, cases[i].lines, cases[i].ignored);
        bool same = f.storable == cases[i].storable &&
                    (!f.storable || f.valid_s == cases[i].valid_s);
        arena_destroy(arena);
        if (!same)
            fail_msg("%s: %d %lld", cases[i].why, f.storable,
                     (long long)f.valid_s);
    }
}

static void says_how_long_it_may_be_stale(void **state)
{
    (void)state;
    static const char *const lines[] = {"Cache-Control: max-age=1, "
                                        "stale-while-revalidate=2, "
                                        "stale-if-error=3",
                                        NULL};
    struct arena *arena = arena_create(4096);
    struct cache_freshness f = read(arena, lines, 0);
    assert_int_equal(f.updating_s, 2);
    assert_int_equal(f.error_s, 3);
    arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_how_long_a_response_is_good),
        cmocka_unit_test(says_how_long_it_may_be_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

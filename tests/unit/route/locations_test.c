/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/locations.h"

#include "support/test.h"

static struct arena *arena;
static struct variables vs;
static struct err err;

static int setup(void **state)
{
    (void)state;
    arena = arena_create(4096);
    variables_init(&vs, arena, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

struct row {
    enum location_kind kind;
    const char *text;
    struct locations *nested;
    const char *answer; /* NULL: the text */
};

static struct locations *made_of(const struct row *rows, size_t n)
{
    struct locations *ls = locations_create(arena);
    for (size_t i = 0; i < n; i++) {
        const char *answer = rows[i].answer ? rows[i].answer : rows[i].text;
        if (locations_add(ls, &vs, rows[i].kind, str_c(rows[i].text),
                          (void *)(uintptr_t)answer, rows[i].nested, &err))
            fail_msg("%s", err.text);
    }
    return ls;
}

static struct locations *example(void)
{
    const struct row in[] = {
        {LOCATION_REGEX, "\\.deep$", NULL, "in:deep"},
        {LOCATION_EXACT, "/in/exact", NULL, "in:exact"},
        {LOCATION_PREFIX_ONLY, "/in/stop", NULL, "in:stop"},
        {LOCATION_REGEX, "/stop/x", NULL, "in:stopx"},
    };
    const struct row top[] = {
        {LOCATION_PREFIX, "/in/", made_of(in, COUNT(in)), NULL},
    };
    const struct row still[] = {
        {LOCATION_REGEX, "z$", NULL, "static:z"},
        {LOCATION_PREFIX, "/static/deep", NULL, "static:deep"},
    };
    const struct row user[] = {
        {LOCATION_REGEX, "/edit$", NULL, "user:edit"},
    };
    const struct row rows[] = {
        {LOCATION_PREFIX, "/", made_of(top, COUNT(top)), NULL},
        {LOCATION_EXACT, "/", NULL, "=/"},
        {LOCATION_PREFIX, "/images", NULL, NULL},
        {LOCATION_PREFIX, "/images/", NULL, NULL},
        {LOCATION_PREFIX_ONLY, "/static/", made_of(still, COUNT(still)), NULL},
        {LOCATION_PREFIX, "/static/img", NULL, NULL},
        {LOCATION_EXACT, "/exact", NULL, "=/exact"},
        {LOCATION_EXACT, "/exact/more", NULL, "=/exact/more"},
        {LOCATION_PREFIX, "/exa", NULL, NULL},
        {LOCATION_REGEX, "\\.php$", NULL, "~php"},
        {LOCATION_REGEX_NOCASE, "\\.(gif|jpg)$", NULL, "~*img"},
        {LOCATION_REGEX, "^/user/(?<id>\\d+)", made_of(user, COUNT(user)),
         "~user"},
        {LOCATION_REGEX, "^/images/secret", NULL, "~secret"},
        {LOCATION_PREFIX, "/app/", NULL, "app"},
        {LOCATION_EXACT, "/app2/", NULL, "app2"},
        {LOCATION_REGEX, "^/app", NULL, "~app"},
        {LOCATION_PREFIX, "/both", NULL, NULL},
        {LOCATION_PREFIX, "/both/", NULL, NULL},
        {LOCATION_PREFIX, "/sp ace", NULL, NULL},
        {LOCATION_PREFIX, "/a", NULL, NULL},
        {LOCATION_PREFIX, "/ab", NULL, NULL},
        {LOCATION_PREFIX, "/abc", NULL, NULL},
        {LOCATION_PREFIX, "/abd", NULL, NULL},
    };
    return made_of(rows, COUNT(rows));
}

/* The expectations are the answers of nginx 1.22 to the same locations. */
static void chooses_as_nginx_does(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *answer, *redirect;
    } cases[] = {
        {"/", "=/", NULL},
        {"/x", "/", NULL},
        {"/images", "/images", NULL},
        {"/images/", "/images/", NULL},
        {"/imagesx", "/images", NULL},
        {"/images/x.gif", "~*img", NULL},
        {"/images/x.GIF", "~*img", NULL},
        {"/images/secret", "~secret", NULL},
        {"/static", "/", "/static/"},
        {"/static/", "/static/", NULL},
        {"/static/x.php", "/static/", NULL},
        {"/static/img", "/static/img", NULL},
        {"/static/img/a.gif", "~*img", NULL},
        {"/static/deep", "static:deep", NULL},
        {"/static/deep/z", "static:z", NULL},
        {"/static/deep/y.php", "static:deep", NULL},
        {"/static/dee", "/static/", NULL},
        {"/exact", "=/exact", NULL},
        {"/exact/", "/exa", NULL},
        {"/exact/more", "=/exact/more", NULL},
        {"/exact/mor", "/exa", NULL},
        {"/exac", "/exa", NULL},
        {"/exa/x.php", "~php", NULL},
        {"/in/", "/in/", NULL},
        {"/in", "/", "/in/"},
        {"/in/x", "/in/", NULL},
        {"/in/x.deep", "in:deep", NULL},
        {"/in/exact", "in:exact", NULL},
        {"/in/exact/", "/in/", NULL},
        {"/in/exactx.php", "~php", NULL},
        {"/in/stop", "in:stop", NULL},
        {"/in/stop/x", "in:stop", NULL},
        {"/in/stop.php", "~php", NULL},
        {"/in/y.php", "~php", NULL},
        {"/user/42", "~user", NULL},
        {"/user/42/edit", "user:edit", NULL},
        {"/user/42/x", "~user", NULL},
        {"/user/x", "/", NULL},
        {"/app", "~app", "app"},
        {"/app/", "~app", NULL},
        {"/app/x", "~app", NULL},
        {"/app2", "~app", "app2"},
        {"/app2/", "app2", NULL},
        {"/app2/x", "~app", NULL},
        {"/both", "/both", NULL},
        {"/both/x", "/both/", NULL},
        {"/sp ace/q", "/sp ace", NULL},
        {"/sp", "/", NULL},
        {"/a", "/a", NULL},
        {"/ab", "/ab", NULL},
        {"/abcd", "/abc", NULL},
        {"/abe", "/ab", NULL},
        {"/abx.php", "~php", NULL},
        {"/x.PHP", "/", NULL},
        {"/IMAGES/", "/", NULL},
        {"//", "/", NULL},
        {"", NULL, "=/"}, /* never a URI, but nothing to fall over */
        {"*", NULL, NULL},
    };
    struct locations *ls = example();
    struct str slots[4] = {0};
    struct evaluation e = {.arena = arena, .slots = slots};
    for (size_t i = 0; i < COUNT(cases); i++) {
        void *redirect = slots;
        const char *got =
            locations_find(ls, str_c(cases[i].uri), &e, &redirect);
        if (strcmp(got ? got : "-", cases[i].answer ? cases[i].answer : "-") !=
            0)
            fail_msg("%s: %s", cases[i].uri, got ? got : "nothing");
        if (strcmp(redirect ? redirect : "-",
                   cases[i].redirect ? cases[i].redirect : "-") != 0)
            fail_msg("%s redirects to %s", cases[i].uri, (char *)redirect);
        assert_ptr_equal(locations_find(ls, str_c(cases[i].uri), NULL, NULL),
                         got);
    }
}

static void captures_reach_their_variables(void **state)
{
    (void)state;
    struct locations *ls = example();
    struct str slots[4] = {0}, value;
    struct evaluation e = {.arena = arena, .slots = slots};
    struct variable *id = variables_find(&vs, STR("id"));
    assert_non_null(id);
    locations_find(ls, STR("/user/42/x"), &e, NULL);
    assert_true(variable_eval(id, &e, &value));
    assert_str(value, "42");
    assert_str(captures_get(&e.captures, 1), "42");
}

static void a_name_is_taken_once(void **state)
{
    (void)state;
    static const struct row taken[] = {
        {LOCATION_PREFIX, "/x", NULL, NULL},
        {LOCATION_PREFIX_ONLY, "/x", NULL, NULL},
        {LOCATION_EXACT, "/", NULL, NULL},
        {LOCATION_NAMED, "@a", NULL, NULL},
    };
    const struct row rows[] = {
        {LOCATION_PREFIX_ONLY, "/x", NULL, NULL},
        {LOCATION_EXACT, "/x", NULL, NULL}, /* is another */
        {LOCATION_EXACT, "/", NULL, NULL},
        {LOCATION_NAMED, "@a", NULL, "named"},
    };
    struct locations *ls = made_of(rows, COUNT(rows));
    for (size_t i = 0; i < COUNT(taken); i++) {
        char sentence[64];
        const char *text = taken[i].text ? taken[i].text : "";
        assert_int_equal(
            locations_add(ls, &vs, taken[i].kind, str_c(text), &vs, NULL, &err),
            -1);
        snprintf(sentence, sizeof sentence, "duplicate location \"%s\"", text);
        assert_string_equal(err.text, sentence);
    }
    assert_int_equal(
        locations_add(ls, &vs, LOCATION_REGEX, STR("["), &vs, NULL, &err), -1);
    assert_non_null(strstr(err.text, "pcre2_compile() failed"));
    assert_string_equal(locations_find_named(ls, STR("@a")), "named");
    assert_null(locations_find_named(ls, STR("@b")));
    assert_null(locations_find(ls, STR("@a"), NULL, NULL));
}

/* Against the obvious way: try every prefix there is. */
static void agrees_with_a_walk_over_all(void **state)
{
    (void)state;
    static const char letters[] = "ab/";
    enum { TRIES = 400 };
    static char texts[TRIES][8];
    struct locations *ls = locations_create(arena);
    size_t n = 0;
    uint32_t seed = 12345;
    for (int i = 0; i < TRIES; i++) {
        char text[8] = "";
        seed = seed * 1664525 + 1013904223;
        for (size_t k = 0; k < (seed >> 16) % 7; k++)
            text[k] = letters[(seed >> (8 + 3 * k)) % 3];
        if (locations_add(ls, &vs, LOCATION_PREFIX, str_c(text), texts[n], NULL,
                          &err) == 0)
            strcpy(texts[n++], text); /* else it was there already */
    }
    assert_in_range(n, 100, TRIES - 50);
    for (uint32_t code = 0; code < 6561; code++) {
        char uri[9] = "";
        uint32_t rest = code;
        for (size_t i = 0; i < 8; i++, rest /= 3)
            uri[i] = letters[rest % 3];
        const char *best = NULL;
        for (size_t i = 0; i < n; i++)
            if (strncmp(uri, texts[i], strlen(texts[i])) == 0 &&
                (!best || strlen(texts[i]) > strlen(best)))
                best = texts[i];
        assert_ptr_equal(locations_find(ls, str_c(uri), NULL, NULL), best);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(chooses_as_nginx_does, setup, teardown),
        cmocka_unit_test_setup_teardown(captures_reach_their_variables, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_name_is_taken_once, setup, teardown),
        cmocka_unit_test_setup_teardown(agrees_with_a_walk_over_all, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/names.h"

#include "support/test.h"

static bool get_host(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    (void)e;
    (void)v;
    *out = STR("h");
    return true;
}

static const struct variable rows[] = {{.name = "host", .get = get_host}, {0}};
static const struct variable *const tables[] = {rows, NULL};

static struct arena *arena;
static struct variables vs;
static struct names *names;
static struct err err;

static int setup(void **state)
{
    (void)state;
    arena = arena_create(4096);
    variables_init(&vs, arena, tables);
    names = names_create(arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

/* The answer is the name itself. */
static int add(const char *name)
{
    return names_add(names, &vs, str_c(name), (void *)(uintptr_t)name, &err);
}

static const char *find(const char *host)
{
    const char *answer = names_find(names, str_c(host), NULL);
    return answer ? answer : "nothing";
}

/* The expectations are nginx's own answers. */
static void regexes_come_last_and_in_order(void **state)
{
    (void)state;
    assert_int_equal(add("~org$"), 0);
    assert_int_equal(add("~^(?<sub>[a-z]+)\\.re\\.org$"), 0);
    assert_int_equal(add("*.example.org"), 0);
    assert_int_equal(add("~^CAP"), 0);
    assert_int_equal(add("mail.*"), 0);
    assert_string_equal(find("a.example.org"), "*.example.org");
    assert_string_equal(find("mail.org"), "mail.*");
    assert_string_equal(find("sub.re.org"), "~org$");
    assert_string_equal(find("captain"), "~^CAP");
    assert_string_equal(find("zzz"), "nothing");
    assert_int_equal(add("mail.*"), 1);
    assert_int_equal(add("MAIL.*"), 1);
}

static void a_host_that_is_missing_meets_no_regex(void **state)
{
    (void)state;
    add("~.*");
    assert_string_equal(find(""), "nothing");
    assert_int_equal(add(""), 0);
    assert_string_equal(find(""), "");
    assert_string_equal(find("x"), "~.*");
}

static void captures_become_variables(void **state)
{
    (void)state;
    assert_int_equal(add("~^(?<Sub>[a-z]+)\\.(?<rest>.*)$"), 0);
    struct variable *sub = variables_find(&vs, STR("sub"));
    assert_non_null(sub);
    struct str slots[8] = {0}, value;
    assert_true(vs.slots <= COUNT(slots));
    struct evaluation e = {.arena = arena, .slots = slots};
    assert_false(variable_eval(sub, &e, &value));
    assert_non_null(names_find(names, STR("chat.example.org"), &e));
    assert_true(variable_eval(sub, &e, &value));
    assert_str(value, "chat");
    assert_str(captures_get(&e.captures, 2), "example.org");
}

static void says_what_is_wrong_with_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *sentence;
    } bad[] = {
        {"*", "server name \"*\" is invalid"},
        {"*.", "server name \"*.\" is invalid"},
        {"*a.org", "server name \"*a.org\" is invalid"},
        {".", "server name \".\" is invalid"},
        {"~", "empty regex in server name \"~\""},
        {"a.*.b", "invalid server name or wildcard \"a.*.b\""},
        {"a..b", "invalid server name or wildcard \"a..b\""},
        {"~(", "pcre2_compile() failed: missing closing parenthesis in "
               "\"(\""},
        {"~(?<host>.)", "the duplicate \"host\" variable"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (add(bad[i].name) != -1)
            fail_msg("accepted %s", bad[i].name);
        assert_string_equal(err.text, bad[i].sentence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(regexes_come_last_and_in_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_host_that_is_missing_meets_no_regex,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(captures_become_variables, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(says_what_is_wrong_with_a_name, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/value.h"

#include "support/test.h"

static struct arena *arena;
static struct variables vs;
static struct err err;
static struct conf conf;
static struct str slots[16];
static struct evaluation e;
static unsigned asked;

static bool get_host(struct evaluation *ev, const struct variable *v,
                     struct str *out)
{
    (void)ev;
    (void)v;
    asked++;
    *out = STR("example.org");
    return true;
}

static bool get_field(struct evaluation *ev, const struct variable *v,
                      struct str *out)
{
    (void)ev;
    if (str_eq(v->rest, STR("missing")))
        return false;
    *out = v->rest;
    return true;
}

static const char *now = "early";

static bool get_now(struct evaluation *ev, const struct variable *v,
                    struct str *out)
{
    (void)ev;
    (void)v;
    *out = str_c(now);
    return now != NULL;
}

/* Asks for itself: what a map in a circle does. */
static bool get_circle(struct evaluation *ev, const struct variable *v,
                       struct str *out)
{
    asked++;
    return variable_eval((struct variable *)(uintptr_t)v, ev, out);
}

static const struct variable rows[] = {
    {.name = "host", .get = get_host},
    {.name = "kept", .get = get_host, .flags = VARIABLE_CACHED},
    {.name = "args", .get = get_host, .flags = VARIABLE_CHANGEABLE},
    {.name = "circle", .get = get_circle},
    {.name = "now", .get = get_now, .flags = VARIABLE_LIVE},
    {.name = "whole", .get = get_now, .flags = VARIABLE_LATE},
    {0},
};
static const struct variable more_rows[] = {
    {.name = "http_", .get = get_field, .arg = 1},
    {.name = "http_long_", .get = get_field, .arg = 2},
    {.name = "http_host", .get = get_host},
    {0},
};
static const struct variable *const tables[] = {rows, more_rows, NULL};

static int setup(void **state)
{
    (void)state;
    static struct conf_word word = {STR_INIT("test"), false};
    static const struct conf_node node = {
        .words = &word, .words_n = 1, .file = "test.conf", .line = 7};
    arena = arena_create(4096);
    variables_init(&vs, arena, tables);
    conf = (struct conf){
        .arena = arena, .err = &err, .node = &node, .variables = &vs};
    memset(slots, 0, sizeof slots);
    e = (struct evaluation){.arena = arena, .slots = slots};
    asked = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static struct value *compile(const char *text)
{
    struct value *v = value_compile(&conf, &vs, str_c(text));
    if (!v || values_resolve(&conf, &vs) == -1)
        fail_msg("%s: %s", text, err.text);
    assert_true(vs.slots <= COUNT(slots));
    return v;
}

static void escape(struct buf *out, struct str s)
{
    buf_printf(out, "<%.*s>", STR_ARG(s));
}

static void evaluates_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value, *logged;
    } cases[] = {
        {"", "", ""},
        {"plain", "plain", "plain"},
        {"$host", "example.org", "<example.org>"},
        {"$HOST", "example.org", "<example.org>"},
        {"${host}name", "example.orgname", "<example.org>name"},
        {"http://$host/$1-$2$3", "http://example.org/one-",
         "http://<example.org>/<one>-<>-"},
        {"$10", "one0", "<one>0"},
        {"$http_x", "x", "<x>"},
        {"$http_host", "example.org", "<example.org>"},
        {"$http_long_y", "y", "<y>"},
        {"[$http_missing]", "[]", "[-]"},
        {"$http_", "", "<>"},
        {"$host-$host", "example.org-example.org",
         "<example.org>-<example.org>"},
        {"$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1$1", /* more than the stack has */
         "oneoneoneoneoneoneoneoneoneoneoneoneoneoneoneoneoneone",
         "<one><one><one><one><one><one><one><one><one><one><one><one><one>"
         "<one><one><one><one><one>"},
    };
    struct regex *r = regex_compile(arena, STR("(one)()(x)?"), false, &err);
    regex_match(r, STR("one"), &e.captures);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct value *v = compile(cases[i].text);
        struct buf out = {0};
        assert_str(value_eval(v, &e), cases[i].value);
        value_append(v, &e, STR("-"), escape, &out);
        if (!str_eq(buf_str(&out), str_c(cases[i].logged)))
            fail_msg("%s: %.*s", cases[i].text, STR_ARG(buf_str(&out)));
        buf_clear(&out);
        value_append(v, &e, STR(""), NULL, &out);
        assert_str(buf_str(&out), cases[i].value);
        assert_str(value_text(v), cases[i].text);
        assert_int_equal(value_is_constant(v), !strchr(cases[i].text, '$'));
        buf_fini(&out);
    }
}

static void says_what_is_wrong_with_a_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"$", "invalid variable name"},
        {"a$", "invalid variable name"},
        {"$-", "invalid variable name"},
        {"$$host", "invalid variable name"},
        {"$0", "unknown \"0\" variable"},
        {"${", "invalid variable name"},
        {"${}", "invalid variable name"},
        {"${host", "the closing bracket in \"host\" variable is missing"},
        {"${host-}", "the closing bracket in \"host\" variable is missing"},
        {"x$nothing-", "unknown \"nothing\" variable"},
        {"${1}", "unknown \"1\" variable"},
        {"$http", "unknown \"http\" variable"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (value_compile(&conf, &vs, str_c(bad[i].text)) &&
            values_resolve(&conf, &vs) == 0)
            fail_msg("accepted %s", bad[i].text);
        if (!str_starts(str_c(err.text), str_c(bad[i].sentence)))
            fail_msg("%s: %s", bad[i].text, err.text);
    }
}

static void a_name_may_be_defined_after_its_use(void **state)
{
    (void)state;
    struct value *v = value_compile(&conf, &vs, STR("<$later>"));
    assert_non_null(v);
    struct variable *later = variables_define(
        &vs, STR("Later"), variable_get_slot, VARIABLE_CHANGEABLE);
    assert_int_equal(values_resolve(&conf, &vs), 0);
    assert_str(value_eval(v, &e), "<>");
    variable_store(later, &e, STR("now"));
    assert_str(value_eval(v, &e), "<now>");
}

static void cached_values_are_asked_for_once(void **state)
{
    (void)state;
    struct value *kept = compile("$kept$kept"), *fresh = compile("$host$host");
    value_eval(kept, &e);
    value_eval(kept, &e);
    assert_int_equal(asked, 1);
    value_eval(fresh, &e);
    assert_int_equal(asked, 3);
}

static void definitions_share_what_may_change(void **state)
{
    (void)state;
    struct variable *set =
        variables_define(&vs, STR("x"), variable_get_slot, VARIABLE_CHANGEABLE);
    assert_non_null(set);
    assert_true(set->slot > 0);
    /* A map takes the name over, a later `set` leaves the map its getter. */
    assert_ptr_equal(
        variables_define(&vs, STR("X"), get_host, VARIABLE_CHANGEABLE), set);
    assert_ptr_equal(set->get, get_host);
    assert_ptr_equal(
        variables_define(&vs, STR("x"), variable_get_slot, VARIABLE_CHANGEABLE),
        set);
    assert_ptr_equal(set->get, get_host);

    assert_null(variables_define(&vs, STR("host"), variable_get_slot,
                                 VARIABLE_CHANGEABLE));
    assert_ptr_equal(
        variables_define(&vs, STR("args"), variable_get_slot, 0)->get,
        get_host);
    /* A prefix takes no name. */
    struct variable *own =
        variables_define(&vs, STR("http_mine"), variable_get_slot, 0);
    assert_non_null(own);
    assert_ptr_equal(variables_find(&vs, STR("http_mine")), own);
    assert_int_equal(variables_find(&vs, STR("http_z"))->arg, 1);
    assert_int_equal(variables_find(&vs, STR("http_long_z"))->arg, 2);
    assert_null(variables_find(&vs, STR("")));
}

static void a_circle_ends(void **state)
{
    (void)state;
    const struct log_target *before = log_process.target;
    log_process.target = NULL;
    assert_str(value_eval(compile("[$circle]"), &e), "[]");
    assert_in_range(asked, 2, 200);
    assert_int_equal(e.depth, 0);
    log_process.target = before;
}

static void groups_of_one_name_are_one_variable(void **state)
{
    (void)state;
    struct regex *r =
        regex_compile(arena, STR("(?J)^(?:a(?<n>.)|b(?<n>.)|c)$"), false, &err);
    assert_non_null(r);
    struct regex_names *names = regex_names_define(&vs, r, &err);
    struct value *v = compile("$n");
    static const char *const subjects[][2] = {
        {"a1", "1"}, {"b2", "2"}, {"c", ""}};
    for (size_t i = 0; i < COUNT(subjects); i++) {
        assert_true(regex_match(r, str_c(subjects[i][0]), &e.captures));
        regex_names_store(names, &e);
        assert_str(value_eval(v, &e), subjects[i][1]);
    }
    /* Without names there is nothing to do, which is no error. */
    names = regex_names_define(&vs, regex_compile(arena, STR("x"), false, &err),
                               &err);
    assert_non_null(names);
    regex_names_store(names, &e);
    assert_null(regex_names_define(
        &vs, regex_compile(arena, STR("(?<host>x)"), false, &err), &err));
    assert_string_equal(err.text, "the duplicate \"host\" variable");
}

#define FRESH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void put_quoted(struct buf *out, struct str s)
{
    buf_printf(out, "<%.*s>", STR_ARG(s));
}

static void freezes_what_is_settled(void **state)
{
    (void)state;
    static const struct {
        const char *text, *then;
    } rows_of[] = {
        {"plain", "plain"},
        {"$now", "<late>"},
        {"$now$now", "<late><late>"},
        {"a $http_x $now b $http_missing $now", "a <x> <late> b - <late>"},
        {"$now $host", "<late> <example.org>"},
        {"$http_x$http_y", "<x><y>"},
    };
    for (size_t i = 0; i < COUNT(rows_of); i++) {
        struct buf frozen = {0}, out = {0};
        struct value *v = value_compile(&conf, &vs, str_c(rows_of[i].text));
        assert_non_null(v);
        assert_int_equal(values_resolve(&conf, &vs), 0);
        assert_true(value_may_freeze(v));
        now = "early";
        value_freeze(v, &e, STR("-"), put_quoted, &frozen);
        value_freeze(v, &e, STR("-"), put_quoted, &frozen);
        now = "late";
        struct str rest = buf_str(&frozen);
        value_thaw(v, &rest, &e, STR("-"), put_quoted, &out);
        assert_str(buf_str(&out), rows_of[i].then);
        value_thaw(v, &rest, &e, STR("-"), put_quoted, &out);
        assert_int_equal(rest.n, 0);
        buf_fini(&frozen);
        buf_fini(&out);
    }
}

static void knows_what_it_can_not_freeze(void **state)
{
    (void)state;
    struct value *settled = value_compile(&conf, &vs, STR("$host"));
    struct value *live = value_compile(&conf, &vs, STR("$now"));
    struct variable *v = variables_define(&vs, STR("by_now"), get_host, 0);
    struct variable *w = variables_define(&vs, STR("by_host"), get_host, 0);
    variables_define(&vs, STR("unknown"), get_host, 0);
    variables_define(&vs, STR("assigned"), variable_get_slot, 0);
    v->source = live;
    w->source = settled;
    static const struct {
        const char *text;
        bool may, is_live;
    } rows_of[] = {
        {"text", true, false},         {"$host", true, false},
        {"$now", true, true},          {"$whole", false, true},
        {"$by_now", false, true},      {"$by_host", true, false},
        {"$unknown", false, true},     {"$assigned", true, false},
        {"$host $whole", false, true},
    };
    for (size_t i = 0; i < COUNT(rows_of); i++) {
        struct value *value = value_compile(&conf, &vs, str_c(rows_of[i].text));
        assert_non_null(value);
        assert_int_equal(values_resolve(&conf, &vs), 0);
        if (value_may_freeze(value) != rows_of[i].may ||
            value_is_live(value) != rows_of[i].is_live)
            fail_msg("%s", rows_of[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(evaluates_texts),
        FRESH(says_what_is_wrong_with_a_text),
        FRESH(a_name_may_be_defined_after_its_use),
        FRESH(cached_values_are_asked_for_once),
        FRESH(definitions_share_what_may_change),
        FRESH(a_circle_ends),
        FRESH(groups_of_one_name_are_one_variable),
        FRESH(freezes_what_is_settled),
        FRESH(knows_what_it_can_not_freeze),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

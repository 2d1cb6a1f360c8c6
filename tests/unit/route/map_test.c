/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/map.h"

#include "route/value.h"
#include "support/test.h"

/* ---- a configuration with nothing but http{} and map{} ---- */

static int set_http(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)row;
    (void)field;
    return conf_block(conf, scope, CONF_HTTP, node, NULL, NULL);
}

static const struct directive http_rows[] = {
    {.name = "http",
     .contexts = CONF_MAIN,
     .arity = ARGS_0,
     .flags = CONF_BLOCK,
     .set = set_http,
     .help = "Holds maps."},
    {0},
};
static struct conf_module http_module = {.name = "http",
                                         .directives = http_rows};
static struct conf_module *const modules[] = {&http_module, &map_module, NULL};

static struct arena *arena;
static struct variables vs;
static struct err err;
static struct conf conf;
static struct str slots[16];
static struct evaluation e;
static const char *subject; /* the value of $arg_s */

static bool get_arg(struct evaluation *ev, const struct variable *v,
                    struct str *out)
{
    (void)ev;
    if (!str_eq(v->rest, STR("s")))
        return false;
    *out = str_c(subject);
    return true;
}

static const struct variable rows[] = {{.name = "arg_", .get = get_arg}, {0}};
static const struct variable *const tables[] = {rows, NULL};

static int read_text(void *self, const char *path, struct arena *a,
                     struct str *text, struct err *error)
{
    (void)path;
    (void)error;
    *text = arena_printf(a, "http {\n%s\n}\n", (const char *)self);
    return 0;
}

static int load(const char *text)
{
    struct conf_source source = {.read = read_text,
                                 .self = (void *)(uintptr_t)text};
    arena_reset(arena);
    variables_init(&vs, arena, tables);
    conf = (struct conf){.arena = arena,
                         .list = modules,
                         .list_n = 2,
                         .prefix = "/",
                         .err = &err,
                         .variables = &vs};
    conf.tree.prefix = "/";
    if (conf_tree_parse(&conf.tree, arena, &source, "/test.conf", STR(""),
                        &err) == -1 ||
        conf_apply(&conf) == -1)
        return -1;
    return values_resolve(&conf, &vs);
}

static void must_load(const char *text)
{
    if (load(text) == -1)
        fail_msg("%s", err.text);
    assert_true(vs.slots <= COUNT(slots));
}

/* The variable for a fresh request. */
static struct str ask(const char *name, const char *s)
{
    struct str value;
    subject = s;
    memset(slots, 0, sizeof slots);
    e = (struct evaluation){.arena = arena, .slots = slots};
    assert_true(variable_eval(variables_find(&vs, str_c(name)), &e, &value));
    return value;
}

static int setup(void **state)
{
    (void)state;
    arena = arena_create(4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

/* The expectations are the answers of nginx 1.22 to the same map. */
static void looks_up_as_nginx_does(void **state)
{
    (void)state;
    static const char *const plain[][2] = {
        {"a", "A"},     {"A", "A"},         {"", "EMPTY"},
        {"zzz", "D"},   {"reX", "RX-X"},    {"CI", "C"},
        {"cix", "C"},   {"~lit", "L"},      {"default", "DD"},
        {"x.x.y", "D"}, {"*.x.y", "STAR"},  {"*.X.Y", "STAR"},
        {"b", "<b>"},   {"hostnames", "D"},
    };
    must_load("map $arg_s $plain { default D; a A; \"\" EMPTY;\n"
              "~^re(?<tail>.*)$ \"R$tail-$1\"; ~*^ci C; \\~lit L;\n"
              "\\default DD; *.x.y STAR; b <$arg_s>; }");
    for (size_t i = 0; i < COUNT(plain); i++)
        assert_str(ask("plain", plain[i][0]), plain[i][1]);

    static const char *const hosts[][2] = {
        {"example.org", "E"},
        {"EXAMPLE.org", "E"},
        {"example.org.", "E"},
        {"a.example.org", "W"},
        {"a.deep.example.org", "WW"},
        {"deep.example.org", "W"},
        {"example.net", "N"},
        {"x.y.example.net", "N"},
        {"mail.com", "M"},
        {"mail.com.", "M"},
        {"mail.example.com", "MM"},
        {"mail", "D"},
        {"mail.", "D"},
        {".example.org", "W"},
        {"example.com", "D"},
        {"", "D"},
        {"re.", "RX"},
    };
    must_load("map $arg_s $hosts { hostnames; default D; example.org E;\n"
              "*.example.org W; .example.net N; mail.* M; ~^re\\.$ RX;\n"
              "*.deep.example.org WW; mail.example.* MM; }");
    for (size_t i = 0; i < COUNT(hosts); i++)
        assert_str(ask("hosts", hosts[i][0]), hosts[i][1]);
}

static void the_websocket_recipe_works(void **state)
{
    (void)state;
    must_load("map $arg_s $connection_upgrade { default upgrade; '' close; }");
    assert_str(ask("connection_upgrade", "websocket"), "upgrade");
    assert_str(ask("connection_upgrade", ""), "close");
}

static void without_a_default_it_is_empty(void **state)
{
    (void)state;
    must_load("map $arg_s $x { a A; }");
    assert_str(ask("x", "b"), "");
    must_load("map $arg_nothing $x { '' E; default D; }");
    assert_str(ask("x", "b"), "E");
    must_load("map \"$arg_s:$arg_s\" $x { b:b B; }");
    assert_str(ask("x", "b"), "B");
}

static void maps_may_use_maps_that_stand_below(void **state)
{
    (void)state;
    must_load("map $second $first { two 2; default $second; }\n"
              "map $arg_s $second { b two; default other; }");
    assert_str(ask("first", "b"), "2");
    assert_str(ask("first", "c"), "other");

    const struct log_target *before = log_process.target;
    log_process.target = NULL;
    must_load("map $b $a { default [$b]; } map $a $b { default ($a); }");
    assert_true(ask("a", "x").n < 1000); /* a circle, but it ends */
    log_process.target = before;
}

static void a_result_is_kept_for_the_request_unless_volatile(void **state)
{
    (void)state;
    struct str value;
    must_load("map $arg_s $kept { a A; b B; }\n"
              "map $arg_s $moving { volatile; a A; b B; }");
    assert_str(ask("kept", "a"), "A");
    subject = "b";
    variable_eval(variables_find(&vs, STR("kept")), &e, &value);
    assert_str(value, "A");
    assert_str(ask("moving", "a"), "A");
    subject = "b";
    variable_eval(variables_find(&vs, STR("moving")), &e, &value);
    assert_str(value, "B");
}

static void says_what_is_wrong_with_a_map(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"map $arg_s x { }", "invalid variable name \"x\""},
        {"map $arg_s $ { }", "invalid variable name \"$\""},
        {"map ${arg_s $x { }", "the closing bracket in \"arg_s\" variable"},
        {"map $arg_s $x { a; }", "invalid number of the map parameters"},
        {"map $arg_s $x { a b c; }", "invalid number of the map parameters"},
        {"map $arg_s $x { default 1; default 2; }",
         "duplicate default map parameter"},
        {"map $arg_s $x { a 1; A 2; }", "conflicting parameter \"A\""},
        {"map $arg_s $x { hostnames; a.*.b 1; }",
         "invalid hostname or wildcard \"a.*.b\""},
        {"map $arg_s $x { ~( 1; }", "pcre2_compile() failed"},
        {"map $arg_s $x { a $nothing; }", "unknown \"nothing\" variable"},
        {"map $arg_s $x { a \"$\"; }", "invalid variable name"},
        {"map $nothing $x { }", "unknown \"nothing\" variable"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (load(bad[i].text) == 0)
            fail_msg("accepted %s", bad[i].text);
        if (!str_starts(str_c(err.text), str_c(bad[i].sentence)))
            fail_msg("%s: %s", bad[i].text, err.text);
        if (!strstr(err.text, " in /test.conf:"))
            fail_msg("%s: no place in: %s", bad[i].text, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(looks_up_as_nginx_does),
        TEST(the_websocket_recipe_works),
        TEST(without_a_default_it_is_empty),
        TEST(maps_may_use_maps_that_stand_below),
        TEST(a_result_is_kept_for_the_request_unless_volatile),
        TEST(says_what_is_wrong_with_a_map),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}

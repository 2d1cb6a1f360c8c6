/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/tree.h"

#include <glob.h>

#include "unit/conf/parsing.h"

static struct arena *arena;
static struct conf_tree tree;
static struct err err;

static int begin(void **state)
{
    (void)state;
    arena = arena_create(4096);
    err.text[0] = '\0';
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

static void expect_tree(const char *expected)
{
    struct buf out = {0};
    print_nodes(&out, tree.top);
    assert_str(buf_str(&out), expected);
    buf_fini(&out);
}

static void parse_good(const char *text, struct conf_file *others)
{
    if (parse_text(&tree, arena, text, others, &err) == -1)
        fail_msg("%s", err.text);
}

static void expect_error(const char *text, struct conf_file *others,
                         const char *sentence)
{
    assert_int_equal(parse_text(&tree, arena, text, others, &err), -1);
    assert_string_equal(err.text, sentence);
}

static void builds_blocks_with_the_lines_of_their_ends(void **state)
{
    (void)state;
    parse_good("a\n b;\nc {\n d { } e \"f\";\n}\n", NULL);
    expect_tree("a|b;c{d{}e|<f>;}");
    const struct conf_node *c = tree.top->next;
    assert_string_equal(c->file, "/c/main.conf");
    assert_int_equal(tree.top->line, 2);
    assert_int_equal(c->line, 3);
    assert_int_equal(c->end_line, 5);
    assert_ptr_equal(c->children->parent, c);
    assert_null(c->parent);
    assert_string_equal(tree.prefix, "/c/");
}

static void includes_in_place_and_by_mask_in_order(void **state)
{
    (void)state;
    struct conf_file z = {"/c/d/z.conf", STR_INIT("z;"), NULL};
    struct conf_file hidden = {"/c/d/.h.conf", STR_INIT("h;"), &z};
    struct conf_file b = {"/c/d/b.conf", STR_INIT("b { include ../x; }"),
                          &hidden};
    struct conf_file x = {"/c/../x", STR_INIT("x;"), &b};
    parse_good("a; include d/*.conf; g { include /c/d/z.conf; }", &x);
    expect_tree("a;b{x;}z;g{z;}");
}

static void include_in_include_starts_at_the_main_directory(void **state)
{
    (void)state;
    struct conf_file b = {"/c/b", STR_INIT("b;"), NULL};
    struct conf_file a = {"/c/d/a", STR_INIT("include b;"), &b};
    parse_good("include d/a;", &a);
    expect_tree("b;");
}

static void a_mask_without_matches_is_nothing(void **state)
{
    (void)state;
    parse_good("a; include none/*.conf; include n[o]ne; b;", NULL);
    expect_tree("a;b;");
}

static void a_file_that_is_included_twice_is_listed_once(void **state)
{
    (void)state;
    struct conf_file x = {"/c/x", STR_INIT("x;"), NULL};
    parse_good("include x; include x; include *x;", &x);
    expect_tree("x;x;x;");
    assert_string_equal(tree.files->path, "/c/main.conf");
    assert_string_equal(tree.files->next->path, "/c/x");
    assert_null(tree.files->next->next);
}

static void its_files_as_a_bundle_give_the_same_tree(void **state)
{
    (void)state;
    struct conf_file x = {"/c/x", STR_INIT("x { include no*; }"), NULL};
    struct conf_file y = {"/c/y//z.y", STR_INIT("y;"), &x};
    /* "/c/y//z.y" is a path that glob() would not answer to this mask. */
    const char *text = "include y//z.y; include y/*/*.y; include x; "
                       "m { include x; }";
    parse_good(text, &y);
    expect_tree("y;x{}m{x{}}");
    struct conf_source again = conf_source_bundle(tree.files);
    struct conf_tree second;
    assert_int_equal(
        conf_tree_parse(&second, arena, &again, "/c/main.conf", STR(""), &err),
        0);
    tree = second;
    expect_tree("y;x{}m{x{}}");
}

static void errors_stand_in_the_file_that_has_them(void **state)
{
    (void)state;
    struct conf_file open = {"/c/open", STR_INIT("\na {\n"), NULL};
    struct conf_file close = {"/c/close", STR_INIT("\n\n}"), &open};
    struct conf_file nested = {"/c/nested", STR_INIT("\ninclude gone;"),
                               &close};
    expect_error("a { include close; }", &nested,
                 "unexpected \"}\" in /c/close:3");
    expect_error("a { include open; }", &nested,
                 "unexpected end of file, expecting \"}\" in /c/open:3");
    expect_error("\n\ninclude nested;", &nested,
                 "open() \"/c/gone\" failed (2: No such file or directory) "
                 "in /c/nested:2");
}

static void a_missing_main_file_has_no_place(void **state)
{
    (void)state;
    struct conf_source source = conf_source_bundle(NULL);
    assert_int_equal(
        conf_tree_parse(&tree, arena, &source, "/c/m", STR(""), &err), -1);
    assert_string_equal(err.text, "open() \"/c/m\" failed (2: No such file or "
                                  "directory)");
}

static void include_loops_end(void **state)
{
    (void)state;
    struct conf_file b = {"/c/b", STR_INIT("\ninclude a;"), NULL};
    struct conf_file a = {"/c/a", STR_INIT("include b;"), &b};
    /* Another spelling each time is another path. */
    struct conf_file *files = &a;
    struct buf path = {0};
    for (int i = 0; i < 40; i++) {
        struct conf_file *f = arena_calloc(arena, sizeof *f);
        buf_printf(&path, "./");
        f->path = arena_printf(arena, "/c/%.*sl", STR_ARG(buf_str(&path))).p;
        f->text =
            arena_printf(arena, "include %.*s./l;", STR_ARG(buf_str(&path)));
        f->next = files;
        files = f;
    }
    buf_fini(&path);
    expect_error("include a;", files,
                 "include of \"/c/a\" is a loop in "
                 "/c/b:2");
    expect_error("include main.conf;", files,
                 "include of \"/c/main.conf\" is a loop in /c/main.conf:1");
    assert_int_equal(parse_text(&tree, arena, "include ./l;", files, &err), -1);
    assert_non_null(strstr(err.text, "includes are nested more than 32 deep"));
}

static void bounds_the_whole(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int i = 0; i < 65; i++)
        buf_printf(&text, "a{");
    buf_put_u8(&text, 0);
    expect_error((char *)text.p, NULL,
                 "blocks are nested more than 64 deep in /c/main.conf:1");

    /* 101 * 100 inclusions of a file that has nothing in it. */
    buf_clear(&text);
    for (int i = 0; i < 101; i++)
        buf_printf(&text, "include b;");
    buf_put_u8(&text, 0);
    struct conf_file c = {"/c/c", STR_INIT(""), NULL};
    struct conf_file b = {"/c/b", arena_str(arena, str_c((char *)text.p)), &c};
    char *c_text = (char *)(uintptr_t)b.text.p;
    for (size_t i = 0; i + 9 < b.text.n; i += 10)
        memcpy(c_text + i, "include c;", 10);
    expect_error((char *)text.p, &b,
                 "the configuration includes more than 10000 files in "
                 "/c/b:1");
    buf_fini(&text);
}

static void globals_come_first_and_have_no_line(void **state)
{
    (void)state;
    struct conf_file inc = {"/c/inc", STR_INIT("\ni;"), NULL};
    struct conf_file main_file = {"/c/m", STR_INIT("b;"), &inc};
    struct conf_source source = conf_source_bundle(&main_file);
    assert_int_equal(conf_tree_parse(&tree, arena, &source, "/c/m",
                                     STR("\na; include inc; c d;"), &err),
                     0);
    expect_tree("a;i;c|d;b;");
    assert_string_equal(tree.top->file, "command line");
    assert_int_equal(tree.top->line, 0);
    assert_int_equal(tree.top->next->line, 2);

    static const struct {
        struct str globals;
        const char *sentence;
    } bad[] = {
        {STR_INIT("a"), "unexpected end of parameter, expecting \";\" in "
                        "command line"},
        {STR_INIT("}"), "unexpected \"}\" in command line"},
        {STR_INIT("a {"), "block directives are not supported in -g option in "
                          "command line"},
        {STR_INIT("include /x;"), "open() \"/x\" failed (2: No such file or "
                                  "directory) in command line"},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(conf_tree_parse(&tree, arena, &source, "/c/m",
                                         bad[i].globals, &err),
                         -1);
        assert_string_equal(err.text, bad[i].sentence);
    }
}

static void an_overlong_sentence_keeps_its_place(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_printf(&text, "include /");
    for (int i = 0; i < 2000; i++)
        buf_put_u8(&text, 'x');
    buf_printf(&text, ";");
    buf_put_u8(&text, 0);
    assert_int_equal(parse_text(&tree, arena, (char *)text.p, NULL, &err), -1);
    assert_true(str_ends(str_c(err.text), STR(" in /c/main.conf:1")));
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    buf_fini(&text);
}

/* The first comment of a bad file is the message, with the file's own name. */
static void every_bad_file_gets_the_message_it_states(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(BAD_CONF_DIR "/grammar-*.conf", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        struct str text;
        assert_int_equal(conf_source_files.read(conf_source_files.self, path,
                                                arena, &text, &err),
                         0);
        struct str expected = str_cut(&text, '\n');
        assert_true(str_starts(expected, STR("# ")));
        expected = str_slice(expected, 2, expected.n);
        if (conf_tree_parse(&tree, arena, &conf_source_files, path, STR(""),
                            &err) == 0)
            fail_msg("%s: was accepted", path);
        /* " in DIR/x.conf:3" is stated as " in x.conf:3". */
        char *dir = strstr(err.text, BAD_CONF_DIR "/");
        assert_non_null(dir);
        memmove(dir, dir + sizeof BAD_CONF_DIR,
                strlen(dir) + 1 - sizeof BAD_CONF_DIR);
        if (!str_eq(str_c(err.text), expected))
            fail_msg("%s: %s", path, err.text);
    }
    assert_true(found.gl_pathc >= 15);
    globfree(&found);
}

#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(builds_blocks_with_the_lines_of_their_ends),
        EACH(includes_in_place_and_by_mask_in_order),
        EACH(include_in_include_starts_at_the_main_directory),
        EACH(a_mask_without_matches_is_nothing),
        EACH(a_file_that_is_included_twice_is_listed_once),
        EACH(its_files_as_a_bundle_give_the_same_tree),
        EACH(errors_stand_in_the_file_that_has_them),
        EACH(a_missing_main_file_has_no_place),
        EACH(include_loops_end),
        EACH(bounds_the_whole),
        EACH(globals_come_first_and_have_no_line),
        EACH(an_overlong_sentence_keeps_its_place),
        EACH(every_bad_file_gets_the_message_it_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

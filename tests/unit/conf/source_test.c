/* SPDX-License-Identifier: BSD-2-Clause */
#include <sys/stat.h>
#include <unistd.h>

#include "unit/conf/parsing.h"

static char dir[] = "/tmp/penstock-conf-XXXXXX";
static struct arena *arena;

static const char *in_dir(const char *name)
{
    return arena_printf(arena, "%s/%s", dir, name).p;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int begin(void **state)
{
    (void)state;
    arena = arena_create(4096);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(mkdir(in_dir("d"), 0700), 0);
    write_file("main.conf", "include d/*.conf; include d/b.conf;");
    write_file("d/b.conf", "b;");
    write_file("d/a.conf", "a { include d/none-*; }");
    write_file("d/.hidden.conf", "h;");
    return 0;
}

static int end(void **state)
{
    (void)state;
    static const char *const names[] = {"main.conf", "d/a.conf", "d/b.conf",
                                        "d/.hidden.conf"};
    for (size_t i = 0; i < COUNT(names); i++)
        unlink(in_dir(names[i]));
    rmdir(in_dir("d"));
    rmdir(dir);
    arena_destroy(arena);
    return 0;
}

static void expect_tree(const struct conf_source *source)
{
    struct conf_tree tree;
    struct err err;
    struct buf out = {0};
    if (conf_tree_parse(&tree, arena, source, in_dir("main.conf"), STR(""),
                        &err) == -1)
        fail_msg("%s", err.text);
    print_nodes(&out, tree.top);
    assert_str(buf_str(&out), "a{}b;b;");
    buf_fini(&out);
}

static void files_and_their_bundle_say_the_same(void **state)
{
    (void)state;
    struct conf_tree tree;
    struct err err;
    expect_tree(&conf_source_files);
    assert_int_equal(conf_tree_parse(&tree, arena, &conf_source_files,
                                     in_dir("main.conf"), STR(""), &err),
                     0);
    struct conf_source bundle = conf_source_bundle(tree.files);
    expect_tree(&bundle);
}

static void says_which_call_failed_and_why(void **state)
{
    (void)state;
    struct str text;
    struct err err;
    const struct conf_source *s = &conf_source_files;
    assert_int_equal(s->read(s->self, "/nonexistent/x", arena, &text, &err),
                     -1);
    assert_string_equal(err.text, "open() \"/nonexistent/x\" failed (2: No "
                                  "such file or directory)");
    assert_int_equal(s->read(s->self, "/tmp", arena, &text, &err), -1);
    assert_string_equal(err.text, "read() \"/tmp\" failed (21: Is a "
                                  "directory)");
}

static void refuses_a_file_without_end(void **state)
{
    (void)state;
    struct str text;
    struct err err;
    const struct conf_source *s = &conf_source_files;
    assert_int_equal(s->read(s->self, "/dev/zero", arena, &text, &err), -1);
    assert_string_equal(err.text, "\"/dev/zero\" has more than 67108864 "
                                  "bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_and_their_bundle_say_the_same),
        TEST(says_which_call_failed_and_why),
        TEST(refuses_a_file_without_end),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

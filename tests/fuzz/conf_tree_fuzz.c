/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What was read, as a bundle, must give the same tree again. */
static void check_again(struct arena *arena, const struct conf_tree *tree,
                        struct str globals)
{
    struct conf_source bundle = conf_source_bundle(tree->files);
    struct conf_tree again;
    struct err err;
    struct buf a = {0}, b = {0};
    check(conf_tree_parse(&again, arena, &bundle, "/c/m", globals, &err) == 0);
    print_nodes(&a, tree->top);
    print_nodes(&b, again.top);
    check(str_eq(buf_str(&a), buf_str(&b)));
    buf_fini(&a);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n > 1 << 14 || too_many_includes(p, n))
        return 0;
    struct arena *arena = arena_create(1 << 12);
    struct conf_file *files = cut_files(arena, p, n);
    struct conf_source source = conf_source_bundle(files);
    struct conf_tree tree;
    struct err err = {""};

    /* The last file is what -g says too, when there are several. */
    struct str globals = STR("");
    for (struct conf_file *f = files ? files->next : NULL; f; f = f->next)
        globals = f->text;
    if (files &&
        conf_tree_parse(&tree, arena, &source, "/c/m", globals, &err) == 0)
        check_again(arena, &tree, globals);
    else if (files)
        check_sentence(&err);
    arena_destroy(arena);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf_files.h"
#include "unit/conf/modules.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void apply_tree(struct applied *a)
{
    a->conf.arena = a->arena;
    a->conf.list = test_modules;
    a->conf.prefix = "/prefix/";
    a->conf.err = &a->err;
    a->conf.warn = collect_warning;
    a->conf.warn_arg = &a->warnings;
    a->conf.result = a;
    if (conf_apply(&a->conf) == 0)
        check(str_ends(buf_str(&a->transcript), STR("end")));
    else
        check(a->err.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n > 1 << 14 || too_many_includes(p, n))
        return 0;
    struct applied a = {.arena = arena_create(1 << 12)};
    struct conf_file *files = cut_files(a.arena, p, n);
    struct conf_source source = conf_source_bundle(files);
    if (files && conf_tree_parse(&a.conf.tree, a.arena, &source, "/c/m",
                                 STR(""), &a.err) == 0)
        apply_tree(&a);
    applied_fini(&a);
    return 0;
}

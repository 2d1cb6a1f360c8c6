/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/unit/conf/parsing.h - configurations from strings.
 */
#ifndef PENSTOCK_TESTS_UNIT_CONF_PARSING_H
#define PENSTOCK_TESTS_UNIT_CONF_PARSING_H

#include "base/buf.h"
#include "conf/tree.h"
#include "support/test.h"

/* One text under /c/main.conf, and what else is in the bundle behind it. */
static inline int parse_text(struct conf_tree *tree, struct arena *arena,
                             const char *text, struct conf_file *others,
                             struct err *err)
{
    struct conf_file *file = arena_calloc(arena, sizeof *file);
    *file = (struct conf_file){"/c/main.conf", str_c(text), others};
    struct conf_source source = conf_source_bundle(file);
    return conf_tree_parse(tree, arena, &source, "/c/main.conf", STR(""), err);
}

/* a<b c>{d;} for `a "b" c { d; }`: quoted words in <>, others behind '|'. */
static inline void print_nodes(struct buf *out, const struct conf_node *node)
{
    for (; node; node = node->next) {
        for (size_t i = 0; i < node->words_n; i++) {
            const struct conf_word *w = &node->words[i];
            buf_printf(out, "%s%s%.*s%s", i ? "|" : "", w->quoted ? "<" : "",
                       STR_ARG(w->text), w->quoted ? ">" : "");
        }
        if (node->is_block) {
            buf_printf(out, "{");
            print_nodes(out, node->children);
            buf_printf(out, "}");
        } else {
            buf_printf(out, ";");
        }
    }
}

#endif

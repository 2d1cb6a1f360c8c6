/* SPDX-License-Identifier: BSD-2-Clause */
#include "pass.h"

/* The location's own pattern once more: its groups and their names go to the
 * backend, whatever else was matched in between. */
static int compile_pattern(struct conf *conf, const struct conf_scope *scope,
                           struct regex **out)
{
    const struct conf_node *node = scope->node;

    *out = NULL;
    if (scope->context != CONF_LOCATION || !node)
        return 0;
    struct str kind = conf_arg(node, 1), pattern = {0};
    bool nocase = str_starts(kind, STR("~*"));
    if (!str_starts(kind, STR("~")))
        return 0;
    if (node->words_n == 3)
        pattern = conf_arg(node, 2);
    else
        pattern = str_slice(kind, nocase ? 2 : 1, kind.n);
    *out = regex_compile(conf->arena, pattern, nocase, conf->err);
    return *out ? 0 : -1;
}

int pass_read(struct conf *conf, const struct conf_scope *scope,
              const struct conf_node *node, const struct pool_conf **pool,
              struct str *app, struct regex **pattern)
{
    struct str name = conf_arg(node, 1);

    *pool = pool_conf_find(generation_of(conf), name);
    if (!*pool)
        return conf_fail(conf, "backend \"%.*s\" is not defined",
                         STR_ARG(name));
    if (compile_pattern(conf, scope, pattern) == -1)
        return -1;
    *app = (struct str){0};
    if (node->words_n == 2)
        return 0;
    struct str word = conf_arg(node, 2);
    if (!str_starts(word, STR("app=")) || word.n == 4)
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected \"app=NAME\"",
                         STR_ARG(word));
    *app = str_slice(word, 4, word.n);
    return 0;
}

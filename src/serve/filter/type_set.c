/* SPDX-License-Identifier: BSD-2-Clause */
#include "type_set.h"

static void add(struct conf *conf, struct conf_scope *scope,
                struct type_set *set, struct str type)
{
    for (size_t i = 0; i < set->types.n; i++)
        if (str_eq_nocase(*(struct str *)set->types.items[i], type)) {
            conf_warn(conf, "duplicate MIME type \"%.*s\"", STR_ARG(type));
            return;
        }
    conf_list_add(conf, scope, &set->types,
                  arena_copy(conf->arena, &type, sizeof type));
}

int type_set_set(struct conf *conf, struct conf_scope *scope,
                 const struct directive *row, const struct conf_node *node,
                 void *field)
{
    struct type_set *set = field;
    (void)row;

    conf_list_clear(scope, &set->types);
    set->any = false;
    add(conf, scope, set, STR("text/html"));
    for (size_t i = 1; i < node->words_n; i++) {
        if (str_eq(conf_arg(node, i), STR("*")))
            set->any = true;
        else
            add(conf, scope, set, conf_arg(node, i));
    }
    return 0;
}

struct str type_without_parameters(struct str content_type)
{
    return str_trim(str_slice(content_type, 0, str_find(content_type, ';', 0)));
}

bool type_set_has(const struct type_set *set, const char *const *defaults,
                  struct str content_type)
{
    static const char *const html[] = {"text/html", NULL};
    struct str type = type_without_parameters(content_type);

    if (!type.n)
        return false;
    if (set->any)
        return true;
    if (!set->types.n) {
        for (defaults = defaults ? defaults : html; *defaults; defaults++)
            if (str_eq_nocase(type, str_c(*defaults)))
                return true;
        return false;
    }
    for (size_t i = 0; i < set->types.n; i++)
        if (str_eq_nocase(*(struct str *)set->types.items[i], type))
            return true;
    return false;
}

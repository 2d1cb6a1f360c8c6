/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf.h"

void conf_list_add(struct conf *conf, struct conf_scope *scope,
                   struct conf_list *list, void *item)
{
    if (list->owner != scope)
        conf_list_clear(scope, list);
    if (list->n == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 4;
        void **items = arena_alloc(conf->arena, capacity * sizeof *items);
        if (list->n)
            memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->n++] = item;
}

void conf_list_clear(struct conf_scope *scope, struct conf_list *list)
{
    *list = (struct conf_list){.owner = scope};
}

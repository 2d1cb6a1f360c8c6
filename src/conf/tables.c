/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "engine.h"

void tables_index(struct map *rows, struct arena *arena,
                  struct conf_module *const *list)
{
    map_init(rows, arena, false);
    for (; *list; list++) {
        const struct directive *row = (*list)->directives;
        for (; row && row->name; row++) {
            struct entry *e = arena_calloc(arena, sizeof *e);
            e->row = row;
            e->module = *list;
            struct entry *first = map_find(rows, str_c(row->name));
            if (!first) {
                map_add(rows, str_c(row->name), e);
                continue;
            }
            while (first->next)
                first = first->next;
            first->next = e;
        }
    }
}

static bool field_fits(const struct directive *row, const struct conf_module *m)
{
    size_t n = setter_field_size(row);
    return row->offset <= m->size && n <= m->size - row->offset;
}

void tables_put_defaults(struct conf *conf, const struct conf_module *m,
                         void *module_conf)
{
    const struct directive *row = m->directives;
    if (!m->size)
        return;
    for (; row && row->name; row++)
        if (field_fits(row, m))
            setter_put_default(conf, row, module_conf);
    if (m->defaults)
        m->defaults(module_conf);
}

static int object(struct err *err, const struct entry *e, const char *what)
{
    return err_set(err, "\"%s\" of module %s %s", e->row->name, e->module->name,
                   what);
}

static int check_row(const struct entry *e, struct err *err)
{
    const struct directive *row = e->row;
    if (!row->help)
        return object(err, e, "has no help");
    if (!row->set && !(row->flags & CONF_IGNORED))
        return object(err, e, "has no setter");
    if (!row->contexts)
        return object(err, e, "stands in no context");
    if (!row->arity)
        return object(err, e, "has no number of arguments");
    if ((row->set == conf_set_enum || row->set == conf_set_bits) && !row->data)
        return object(err, e, "has no names for its values");
    if (row->max && row->max < row->min)
        return object(err, e, "has its bounds the wrong way round");
    for (const struct entry *o = e->next; o; o = o->next)
        if (o->row->contexts & row->contexts)
            return err_set(err, "modules %s and %s both claim \"%s\"",
                           e->module->name, o->module->name, row->name);
    return 0;
}

/* Do the module's defaults() leave in the field what the row says?  Text is
 * compared by its own setter's means only: pointers differ. */
static int check_default(struct conf *conf, const struct entry *e,
                         const void *filled, void *scratch)
{
    const struct directive *row = e->row;
    size_t n = setter_field_size(row);
    if (n &&
        (row->offset > e->module->size || n > e->module->size - row->offset))
        return object(conf->err, e,
                      "has its field outside of the module's struct");
    if (!n || !row->default_text)
        return 0;
    if (!setter_put_default(conf, row, scratch))
        return object(conf->err, e,
                      "has a default that is no value of its setter");
    if (row->set == conf_set_str || row->set == conf_set_path)
        return 0;
    if (memcmp((const char *)filled + row->offset,
               (const char *)scratch + row->offset, n) != 0)
        return object(conf->err, e, "has another default than defaults() says");
    return 0;
}

static int check_entries(struct conf *conf, const struct entry *e)
{
    for (; e; e = e->next) {
        size_t size = e->module->size;
        void *filled = arena_calloc(conf->arena, size);
        void *scratch = arena_calloc(conf->arena, size);
        tables_put_defaults(conf, e->module, filled);
        if (check_row(e, conf->err) == -1 ||
            check_default(conf, e, filled, scratch) == -1)
            return -1;
    }
    return 0;
}

int conf_check_tables(struct conf_module *const *list, struct err *err)
{
    struct conf conf = {
        .arena = arena_create(1 << 14),
        .list = list,
        .prefix = "/",
        .err = err,
    };
    struct map rows;
    size_t it = 0;
    int result = 0;
    tables_index(&rows, conf.arena, list);
    for (const struct map_entry *m; result == 0 && (m = map_next(&rows, &it));)
        result = check_entries(&conf, m->value);
    arena_destroy(conf.arena);
    return result;
}

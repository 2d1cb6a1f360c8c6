/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "conf/conf.h"
#include "engine.h"

/* A row and the module that owns it; rows of one name are chained. */
struct owned_row {
    const struct directive *row;
    const struct conf_module *module;
    struct owned_row *next;
    unsigned number; /* among all rows */
};

struct conf_engine {
    struct map rows; /* name -> struct owned_row */
    unsigned rows_n;
};

/* ---- errors ---- */

int conf_fail(struct conf *conf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(conf->err->text, sizeof conf->err->text, format, args);
    va_end(args);
    conf->errors = 0;
    return -1;
}

static void add_place(struct conf *conf, const struct conf_node *node)
{
    char *text = conf->err->text;
    size_t n = strlen(text);

    if (conf->errors || !node)
        return;
    snprintf(text + n, sizeof conf->err->text - n, " in %s:%u", node->file,
             node->line);
    conf->errors = 1;
}

int conf_fail_at(struct conf *conf, const struct conf_node *node,
                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(conf->err->text, sizeof conf->err->text, format, args);
    va_end(args);
    conf->errors = 0;
    add_place(conf, node);
    return -1;
}

void conf_warn(struct conf *conf, const char *format, ...)
{
    struct err sentence;
    va_list args;

    if (!conf->warn)
        return;
    va_start(args, format);
    vsnprintf(sentence.text, sizeof sentence.text, format, args);
    va_end(args);
    size_t n = strlen(sentence.text);
    if (conf->node)
        snprintf(sentence.text + n, sizeof sentence.text - n, " in %s:%u",
                 conf->node->file, conf->node->line);
    conf->warn(conf->warn_arg, sentence.text);
}

/* ---- looking up ---- */

static void add_rows(struct conf *conf, const struct conf_module *module)
{
    struct conf_engine *e = conf->engine;

    for (const struct directive *d = module->directives; d && d->name; d++) {
        struct owned_row *o = arena_alloc(conf->arena, sizeof *o);
        *o = (struct owned_row){d, module, NULL, e->rows_n++};
        struct owned_row *first = map_find(&e->rows, str_c(d->name));
        if (first) {
            o->next = first->next;
            first->next = o;
        } else {
            map_add(&e->rows, str_c(d->name), o);
        }
    }
}

static const struct owned_row *find_row(struct conf *conf,
                                        const struct conf_scope *scope,
                                        const struct conf_node *node)
{
    struct str name = conf_arg(node, 0);
    const struct owned_row *first = map_find(&conf->engine->rows, name);

    for (const struct owned_row *o = first; o; o = o->next)
        if (o->row->contexts & scope->context)
            return o;
    if (first)
        conf_fail(conf, "\"%.*s\" directive is not allowed here",
                  STR_ARG(name));
    else
        conf_fail(conf, "unknown directive \"%.*s\"", STR_ARG(name));
    return NULL;
}

/* ---- checking ---- */

static bool arity_fits(unsigned arity, size_t args)
{
    static const unsigned exact[] = {ARGS_0, ARGS_1, ARGS_2,
                                     ARGS_3, ARGS_4, ARGS_5};
    if (arity & ARGS_ANY)
        return true;
    if (args < COUNT(exact) && arity & exact[args])
        return true;
    if (arity & ARGS_FLAG && args == 1)
        return true;
    if (arity & ARGS_1_MORE && args >= 1)
        return true;
    return arity & ARGS_2_MORE && args >= 2;
}

static int check_node(struct conf *conf, const struct owned_row *o,
                      const struct conf_node *node, uint8_t *seen)
{
    const struct directive *row = o->row;
    bool wants_block = row->flags & CONF_BLOCK;

    if (!wants_block && node->is_block)
        return conf_fail(conf, "directive \"%s\" is not terminated by \";\"",
                         row->name);
    if (wants_block && !node->is_block)
        return conf_fail(conf, "directive \"%s\" has no opening \"{\"",
                         row->name);
    if (!arity_fits(row->arity, node->words_n - 1))
        return conf_fail(conf,
                         "invalid number of arguments in \"%s\" "
                         "directive",
                         row->name);
    if (row->arity & ARGS_FLAG) {
        struct str word = conf_arg(node, 1);
        if (!str_eq_nocase(word, STR("on")) && !str_eq_nocase(word, STR("off")))
            return conf_fail(conf,
                             "invalid value \"%.*s\" in \"%s\" "
                             "directive, it must be \"on\" or \"off\"",
                             STR_ARG(word), row->name);
    }
    uint8_t bit = (uint8_t)(1u << (o->number & 7));
    if (seen[o->number / 8] & bit && !(row->flags & CONF_REPEATABLE))
        return conf_fail(conf, "\"%s\" directive is duplicate", row->name);
    seen[o->number / 8] |= bit;
    return 0;
}

/* ---- applying ---- */

enum group {
    GROUP_DEFINITIONS = 0,
    GROUP_PLAIN,
    GROUP_DEFINING_BLOCKS,
    GROUP_ORDERED,
    GROUP_BLOCKS,
};

static enum group group_of(const struct directive *row)
{
    if (row->flags & CONF_ORDERED)
        return GROUP_ORDERED;
    if (row->flags & CONF_BLOCK)
        return row->flags & CONF_DEFINES ? GROUP_DEFINING_BLOCKS : GROUP_BLOCKS;
    return row->flags & CONF_DEFINES ? GROUP_DEFINITIONS : GROUP_PLAIN;
}

/* A directive with its row, once it is checked. */
struct checked {
    const struct conf_node *node;
    const struct owned_row *owned;
};

static int set_one(struct conf *conf, struct conf_scope *scope,
                   const struct checked *c)
{
    const struct conf_module *m = c->owned->module;
    void *base = scope->modules[m->index];
    void *field = base ? (char *)base + c->owned->row->offset : NULL;
    const struct conf_node *before = conf->node;

    conf->node = c->node;
    if (c->owned->row->set(conf, scope, c->owned->row, c->node, field) == -1) {
        add_place(conf, c->node);
        return -1;
    }
    conf->node = before;
    return 0;
}

static int set_group(struct conf *conf, struct conf_scope *scope,
                     const struct checked *list, size_t n, enum group group)
{
    for (size_t i = 0; i < n; i++)
        if (group_of(list[i].owned->row) == group &&
            set_one(conf, scope, &list[i]) == -1)
            return -1;
    return 0;
}

static int run_on_scope(struct conf *conf, struct conf_scope *scope)
{
    for (size_t i = 0; i < conf->list_n; i++) {
        const struct conf_module *m = conf->list[i];
        if (m->on_scope && m->on_scope(conf, scope, scope->modules[i]) == -1) {
            add_place(conf, scope->node);
            return -1;
        }
    }
    return 0;
}

static int check_all(struct conf *conf, struct conf_scope *scope,
                     const struct conf_node *nodes, struct checked *list)
{
    uint8_t *seen = arena_calloc(conf->arena, conf->engine->rows_n / 8 + 1);
    size_t n = 0;

    for (const struct conf_node *node = nodes; node; node = node->next) {
        conf->node = node;
        const struct owned_row *o = find_row(conf, scope, node);
        if (!o || check_node(conf, o, node, seen) == -1) {
            add_place(conf, node);
            return -1;
        }
        list[n++] = (struct checked){node, o};
    }
    return 0;
}

static int apply_nodes(struct conf *conf, struct conf_scope *scope,
                       const struct conf_node *nodes)
{
    size_t n = 0;
    for (const struct conf_node *node = nodes; node; node = node->next)
        n++;
    struct checked *list = arena_alloc(conf->arena, n * sizeof *list);

    if (check_all(conf, scope, nodes, list) == -1)
        return -1;
    for (enum group g = GROUP_DEFINITIONS; g <= GROUP_ORDERED; g++)
        if (set_group(conf, scope, list, n, g) == -1)
            return -1;
    conf->node = scope->node;
    if (run_on_scope(conf, scope) == -1)
        return -1;
    return set_group(conf, scope, list, n, GROUP_BLOCKS);
}

/* ---- scopes ---- */

static struct conf_scope *scope_create(struct conf *conf,
                                       struct conf_scope *parent,
                                       enum conf_context context,
                                       const struct conf_node *node,
                                       void *object)
{
    struct conf_scope *s = arena_calloc(conf->arena, sizeof *s);

    s->context = context;
    s->parent = parent;
    s->node = node;
    s->object = object;
    s->modules =
        arena_calloc(conf->arena, (conf->list_n + 1) * sizeof *s->modules);
    for (size_t i = 0; i < conf->list_n; i++) {
        size_t size = conf->list[i]->size;
        if (!size)
            continue;
        s->modules[i] = parent
                            ? arena_copy(conf->arena, parent->modules[i], size)
                            : arena_calloc(conf->arena, size);
    }
    if (parent) {
        struct conf_scope **end = &parent->children;
        while (*end)
            end = &(*end)->next;
        *end = s;
    }
    return s;
}

int conf_block(struct conf *conf, struct conf_scope *parent,
               enum conf_context context, const struct conf_node *node,
               void *object, struct conf_scope **made)
{
    struct conf_scope *s = scope_create(conf, parent, context, node, object);

    if (made)
        *made = s;
    const struct conf_node *before = conf->node;
    if (apply_nodes(conf, s, node->children) == -1)
        return -1;
    conf->node = before;
    return 0;
}

int conf_entry_next(struct conf *conf, const struct conf_node *block,
                    const struct conf_node **entry)
{
    const struct conf_node *next = *entry ? (*entry)->next : block->children;

    *entry = next;
    conf->node = next ? next : block;
    if (!next)
        return 0;
    if (next->is_block)
        return conf_fail(conf, "unexpected \"{\"");
    return 1;
}

/* The defaults that rows state as text; the others are the module's own. */
static int set_defaults(struct conf *conf)
{
    for (size_t i = 0; i < conf->list_n; i++) {
        const struct conf_module *m = conf->list[i];
        for (const struct directive *d = m->directives; d && d->name; d++)
            if (m->size && d->default_text && conf_setter_is_common(d->set) &&
                conf_set_default(conf, conf->main, d,
                                 (char *)conf->main->modules[i] + d->offset) ==
                    -1)
                return -1;
        if (m->defaults)
            m->defaults(conf->main->modules[i]);
    }
    return 0;
}

int conf_apply(struct conf *conf)
{
    struct conf_engine engine = {.rows_n = 0};
    int rc;

    conf->engine = &engine;
    conf->errors = 0;
    conf->list_n = 0;
    map_init(&engine.rows, conf->arena, false);
    while (conf->list[conf->list_n]) {
        conf->list[conf->list_n]->index = (unsigned)conf->list_n;
        add_rows(conf, conf->list[conf->list_n]);
        conf->list_n++;
    }
    conf->main = scope_create(conf, NULL, CONF_MAIN, NULL, NULL);
    conf->node = NULL;
    rc = set_defaults(conf);
    if (rc == 0)
        rc = apply_nodes(conf, conf->main, conf->tree.top);
    for (size_t i = 0; i < conf->list_n && rc == 0; i++) {
        conf->node = NULL;
        if (conf->list[i]->on_end)
            rc = conf->list[i]->on_end(conf);
        if (rc == -1)
            add_place(conf, conf->node);
    }
    conf->engine = NULL;
    return rc;
}

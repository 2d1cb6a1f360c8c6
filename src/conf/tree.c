/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/tree.h"

#include <stdlib.h>

#include "base/map.h"
#include "lexer.h"

/* One text being read: a file, or what -g says. */
struct frame {
    struct lexer lexer;
    const char *path;
    const struct frame *includer; /* NULL: main file, command line */
    unsigned depth;               /* of includes */
};

struct parser {
    struct conf_tree *tree;
    struct arena *arena;
    const struct conf_source *source;
    struct err *err;
    struct map files; /* path -> struct conf_file */
    struct map masks; /* mask -> char ** */
    struct conf_file **files_end;
    struct words words;
    size_t text_total;
    size_t inclusions;
    unsigned block_depth;
};

/* Where the next directive is linked in. */
struct place {
    struct conf_node *parent;
    struct conf_node **end;
};

/* Put the place behind the sentence that is in err. */
static int at(struct parser *p, const struct frame *f)
{
    struct err where;
    if (!f)
        return -1;
    if (f->lexer.is_parameter)
        err_set(&where, " in %s", f->path);
    else
        err_set(&where, " in %s:%u", f->path, f->lexer.line);
    size_t place_n = strlen(where.text), n = strlen(p->err->text);
    /* A long sentence is cut rather than its place. */
    if (n + place_n >= sizeof p->err->text)
        n = sizeof p->err->text - 1 - place_n;
    memcpy(p->err->text + n, where.text, place_n + 1);
    return -1;
}

#define fail(p, f, ...) (err_set((p)->err, __VA_ARGS__), at(p, f))

/* ---- include ---- */

static struct conf_file *read_file(struct parser *p, const char *path)
{
    struct conf_file *file = map_find(&p->files, str_c(path));
    if (file)
        return file;
    file = arena_calloc(p->arena, sizeof *file);
    if (p->source->read(p->source->self, path, p->arena, &file->text, p->err) ==
        -1)
        return NULL;
    file->path = arena_cstr(p->arena, str_c(path));
    *p->files_end = file;
    p->files_end = &file->next;
    map_add(&p->files, str_c(file->path), file);
    return file;
}

static int parse_text(struct parser *p, struct frame *f, struct place *place,
                      bool in_block);

static int check_include(struct parser *p, const char *path,
                         const struct frame *from)
{
    for (const struct frame *f = from; f; f = f->includer)
        if (strcmp(f->path, path) == 0)
            return fail(p, from, "include of \"%s\" is a loop", path);
    if (from && from->depth >= CONF_INCLUDE_DEPTH_MAX)
        return fail(p, from, "includes are nested more than %d deep",
                    CONF_INCLUDE_DEPTH_MAX);
    if (++p->inclusions > CONF_FILES_MAX)
        return fail(p, from, "the configuration includes more than %d files",
                    CONF_FILES_MAX);
    return 0;
}

/* Errors about the file itself are placed in the one that includes it. */
static int parse_file(struct parser *p, const char *path,
                      const struct frame *from, struct place *place)
{
    if (check_include(p, path, from) == -1)
        return -1;
    struct conf_file *file = read_file(p, path);
    if (!file)
        return at(p, from);
    if (file->text.n > CONF_TEXT_MAX - p->text_total)
        return fail(p, from, "the configuration has more than %d bytes",
                    CONF_TEXT_MAX);
    p->text_total += file->text.n;
    struct frame f = {
        .lexer = {.arena = p->arena,
                  .words = &p->words,
                  .p = file->text.p,
                  .end = file->text.p + file->text.n,
                  .line = 1},
        .path = file->path,
        .includer = from,
        .depth = from ? from->depth + 1 : 0,
    };
    return parse_text(p, &f, place, false);
}

static char **find_matches(struct parser *p, const char *mask)
{
    char **paths = map_find(&p->masks, str_c(mask));
    if (paths)
        return paths;
    if (p->source->glob(p->source->self, mask, p->arena, &paths, p->err) == -1)
        return NULL;
    map_add(&p->masks, str_c(mask), paths);
    return paths;
}

static int include(struct parser *p, const struct frame *f, struct place *place)
{
    struct str name = p->words.items[1].text;
    bool absolute = name.n && name.p[0] == '/';
    const char *path =
        arena_printf(p->arena, "%s%.*s", absolute ? "" : p->tree->prefix,
                     STR_ARG(name))
            .p;
    if (!strpbrk(path, "*?["))
        return parse_file(p, path, f, place);
    char **matches = find_matches(p, path);
    if (!matches)
        return at(p, f);
    for (; *matches; matches++)
        if (parse_file(p, *matches, f, place) == -1)
            return -1;
    return 0;
}

static int parse_include(struct parser *p, const struct frame *f,
                         enum conf_token ended_with, struct place *place)
{
    if (ended_with == TOKEN_OPEN)
        return fail(p, f, "directive \"include\" is not terminated by \";\"");
    if (p->words.n != 2)
        return fail(p, f,
                    "invalid number of arguments in \"include\" directive");
    return include(p, f, place);
}

/* ---- directives and blocks ---- */

static struct conf_node *add_node(struct parser *p, const struct frame *f,
                                  struct place *place)
{
    struct conf_node *node = arena_calloc(p->arena, sizeof *node);
    const struct words *w = &p->words;
    node->words = arena_copy(p->arena, w->items, w->n * sizeof *w->items);
    node->words_n = w->n;
    node->file = f->path;
    node->line = node->end_line = f->lexer.is_parameter ? 0 : f->lexer.line;
    node->parent = place->parent;
    *place->end = node;
    place->end = &node->next;
    return node;
}

static int parse_block(struct parser *p, struct frame *f,
                       struct conf_node *node)
{
    struct place inside = {.parent = node, .end = &node->children};
    node->is_block = true;
    if (p->block_depth >= CONF_BLOCK_DEPTH_MAX)
        return fail(p, f, "blocks are nested more than %d deep",
                    CONF_BLOCK_DEPTH_MAX);
    p->block_depth++;
    if (parse_text(p, f, &inside, true) == -1)
        return -1;
    p->block_depth--;
    node->end_line = f->lexer.line;
    return 0;
}

/* A directive has been read. */
static int parse_directive(struct parser *p, struct frame *f,
                           enum conf_token ended_with, struct place *place)
{
    if (ended_with == TOKEN_OPEN && f->lexer.is_parameter)
        return fail(p, f, "block directives are not supported in -g option");
    if (str_eq(p->words.items[0].text, STR("include")))
        return parse_include(p, f, ended_with, place);
    struct conf_node *node = add_node(p, f, place);
    return ended_with == TOKEN_OPEN ? parse_block(p, f, node) : 0;
}

/* To the end of the text, or of the block that it is in. */
static int parse_text(struct parser *p, struct frame *f, struct place *place,
                      bool in_block)
{
    for (;;) {
        int token = lexer_next(&f->lexer, p->err);
        if (token == -1)
            return at(p, f);
        switch ((enum conf_token)token) {
        case TOKEN_END:
            if (in_block)
                return fail(p, f, "unexpected end of file, expecting \"}\"");
            return 0;
        case TOKEN_CLOSE:
            if (!in_block)
                return fail(p, f, "unexpected \"}\"");
            return 0;
        case TOKEN_SEMICOLON:
        case TOKEN_OPEN:
            if (parse_directive(p, f, (enum conf_token)token, place) == -1)
                return -1;
            break;
        }
    }
}

static int parse_globals(struct parser *p, struct str globals,
                         struct place *place)
{
    struct str text = arena_str(p->arena, globals);
    struct frame f = {
        .lexer = {.arena = p->arena,
                  .words = &p->words,
                  .p = text.p,
                  .end = text.p + text.n,
                  .line = 1,
                  .is_parameter = true},
        .path = "command line",
    };
    return parse_text(p, &f, place, false);
}

int conf_tree_parse(struct conf_tree *tree, struct arena *arena,
                    const struct conf_source *source, const char *path,
                    struct str globals, struct err *err)
{
    const char *slash = strrchr(path, '/');
    *tree = (struct conf_tree){
        .source = source,
        .prefix = arena_cstr(
            arena, str_n(path, slash ? (size_t)(slash - path) + 1 : 0)),
    };
    struct parser p = {
        .tree = tree,
        .arena = arena,
        .source = source,
        .err = err,
        .files_end = &tree->files,
    };
    struct place top = {.parent = NULL, .end = &tree->top};
    map_init(&p.files, arena, false);
    map_init(&p.masks, arena, false);

    int result = parse_globals(&p, globals, &top);
    if (result == 0)
        result = parse_file(&p, path, NULL, &top);
    free(p.words.items);
    return result;
}

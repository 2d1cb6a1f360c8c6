/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf/conf.h - from the tree to structs, driven by tables of directives.
 *
 * A module is a name, a struct, its defaults and its table of directives; it
 * stands next to the code that uses the struct.  A scope is one block that
 * holds settings (main, http, server, location, upstream, ...): it carries a
 * copy of every module's struct.  Inheritance is that copy: a block's own
 * directives are applied first, then each child block starts from the result.
 * Where a module wants to know of a scope, it has hooks.
 *
 * In a block, first every directive is looked up and checked in order of the
 * file (known, allowed here, ended rightly, number of arguments, on or off,
 * not twice), then they are applied in this order, each group in order of the
 * file:
 *   1. CONF_DEFINES without a block (log_format)
 *   2. the plain ones
 *   3. CONF_DEFINES blocks (map, upstream, types)
 *   4. CONF_ORDERED, blocks or not (set, if, rewrite, return, break)
 *   5. then the on_scope hooks of all modules
 *   6. the other blocks (server, location, limit_except)
 * What the setter of a block writes into the struct of the block around it is
 * seen by siblings that come later: it belongs into scope->object.
 *
 * Everything lives in the generation's arena.
 */
#ifndef PENSTOCK_CONF_CONF_H
#define PENSTOCK_CONF_CONF_H

#include "base/log.h"
#include "base/map.h"
#include "conf/tree.h"

/* Where a directive may stand, or'ed. */
enum conf_context {
    CONF_MAIN = 1 << 0,
    CONF_EVENTS = 1 << 1,
    CONF_HTTP = 1 << 2,
    CONF_SERVER = 1 << 3,
    CONF_LOCATION = 1 << 4,
    CONF_UPSTREAM = 1 << 5,
    CONF_BACKEND = 1 << 6,
    CONF_SERVER_IF = 1 << 7,
    CONF_LOCATION_IF = 1 << 8,
    CONF_LIMIT_EXCEPT = 1 << 9,
};

/* How many arguments, or'ed. */
enum conf_arity {
    ARGS_0 = 1 << 0,
    ARGS_1 = 1 << 1,
    ARGS_2 = 1 << 2,
    ARGS_3 = 1 << 3,
    ARGS_4 = 1 << 4,
    ARGS_5 = 1 << 5,
    ARGS_1_MORE = 1 << 8, /* one or more */
    ARGS_2_MORE = 1 << 9,
    ARGS_FLAG = 1 << 10, /* one: on or off */
    ARGS_ANY = 1 << 11,
};

enum conf_flag {
    CONF_BLOCK = 1 << 0,      /* takes { } */
    CONF_REPEATABLE = 1 << 1, /* may stand several times in one block */
    CONF_DEFINES = 1 << 2,    /* applied before its siblings: what it defines
                                 (a map, an upstream) may be used above it */
    CONF_IGNORED = 1 << 3,    /* accepted with a warning: no meaning here; set
                                 is not called and may be NULL */
    CONF_ORDERED = 1 << 4,    /* keeps its place among its siblings that carry
                                 this flag too, even when it is a block */
};

struct conf;
struct conf_scope;
struct directive;
struct variables;

/*
 * Apply one directive.  field points into the module's struct of this scope
 * (at row->offset), words[0] is the name.  Returns 0, or -1 with the sentence
 * in conf->err (without file and line: the engine adds " in FILE:LINE").  As
 * with nginx's setters, a bare "invalid value", "invalid number" or "is
 * duplicate" becomes "\"NAME\" directive invalid value".
 *
 * A block's setter calls conf_block() when its children are directives, or
 * walks them with conf_entry_next() when they are data; after either of them
 * errors and warnings are about the line of the closing brace.
 */
typedef int conf_setter(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field);

struct directive {
    const char *name;  /* NULL ends a table */
    unsigned contexts; /* enum conf_context */
    unsigned arity;    /* enum conf_arity */
    unsigned flags;    /* enum conf_flag */
    conf_setter *set;
    size_t offset;            /* of the field in the module's struct */
    const void *data;         /* for the setter: an enum's names, ... */
    const char *default_text; /* as a person would write it; NULL: none.
                                 For rows of the common setters below it is
                                 put into the main scope's struct, before
                                 defaults() is called */
    uint64_t min, max;        /* bounds of sizes, times, numbers; max 0: none */
    const char *help;         /* one sentence */
    const char *syntax; /* the arguments for the reference ("FILE [LEVEL]")
                           where arity and setter do not tell; or NULL */
};

struct conf_module {
    const char *name;
    unsigned index; /* its place in the list; set by conf_apply() */
    size_t size;    /* of its struct; 0: none */
    /* Fill the struct of the main scope (zeroed before). */
    void (*defaults)(void *module_conf);
    const struct directive *directives;
    /* A scope's own directives are all applied, its children are not yet. */
    int (*on_scope)(struct conf *conf, struct conf_scope *scope,
                    void *module_conf);
    /* All is applied: names may be resolved, values compiled, checked. */
    int (*on_end)(struct conf *conf);
};

struct conf_scope {
    enum conf_context context;
    struct conf_scope *parent;
    struct conf_scope *children; /* in the order they were applied: those of
                                    one kind in order of the file */
    struct conf_scope *next;
    const struct conf_node *node; /* NULL for main */
    void **modules; /* one struct a module, by its place in the list */
    void *object;   /* what the block's module made of it: a server, ... */
};

/* A configuration being applied, and afterwards what came of it. */
struct conf {
    struct arena *arena;
    struct conf_module *const *list; /* NULL-terminated */
    size_t list_n;
    struct conf_tree tree;
    struct conf_scope *main;
    const char *prefix; /* -p, with a slash at its end */
    struct err *err;
    const struct conf_node *node; /* the directive being applied */
    void (*warn)(void *arg, const char *sentence); /* [warn] lines */
    void *warn_arg;
    struct variables *variables; /* route's: what $names mean */
    void *result;    /* the gateway's: the generation that is being made */
    unsigned errors; /* 1: the sentence in err has its place already */
    struct conf_engine *engine; /* conf_apply()'s own */
};

/* Apply the parsed tree in conf->tree.  Fill arena, list, tree, prefix, err,
 * warn before.  0, or -1 with "SENTENCE in FILE:LINE" in conf->err. */
int conf_apply(struct conf *conf);

/*
 * What a reader of the tables would object to: two rows that claim one name in
 * one context, a default that is not what defaults() says, bounds the default
 * is outside of, a row without a setter or without help.  0 or -1 with the
 * first objection; for a test of the whole list.
 */
int conf_check_tables(struct conf_module *const *list, struct err *err);

/* The struct of module in scope: also at run time, it is one load. */
static inline void *conf_get(const struct conf_scope *scope,
                             const struct conf_module *module)
{
    return scope->modules[module->index];
}

/* Set the sentence, return -1. */
int conf_fail(struct conf *conf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, about another place than conf->node. */
int conf_fail_at(struct conf *conf, const struct conf_node *node,
                 const char *format, ...) __attribute__((format(printf, 3, 4)));
void conf_warn(struct conf *conf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Make a child scope (a copy of its parent's structs), apply node's children
 * to it: what the setters of server, location, if, ... call.  *made (which may
 * be NULL) is set before the children are applied. */
int conf_block(struct conf *conf, struct conf_scope *parent,
               enum conf_context context, const struct conf_node *node,
               void *object, struct conf_scope **made);

/*
 * The next child of a block whose children are data (types, map, geo,
 * split_clients), not directives: *entry is NULL before the first and after
 * the last.  conf_fail() and conf_warn() are about the entry meanwhile.
 * 1 = an entry, 0 = the end, -1 = a block among them (unexpected "{").
 */
int conf_entry_next(struct conf *conf, const struct conf_node *block,
                    const struct conf_node **entry);

/* An absolute path: relative ones start at the prefix (conf_prefix false) or
 * at the directory of the configuration file (true), as nginx has it. */
const char *conf_full_path(struct conf *conf, struct str path,
                           bool conf_prefix);

/*
 * The whole of a file that the configuration names (a certificate, a key):
 * it travels with the configuration's own files, so that a worker that can
 * open nothing has it too.  -1 with the sentence.
 */
int conf_read_file(struct conf *conf, const char *path, struct str *text);

/* The n-th word of a node, and as a C string in the arena. */
static inline struct str conf_arg(const struct conf_node *node, size_t n)
{
    return node->words[n].text;
}
const char *conf_arg_c(struct conf *conf, const struct conf_node *node,
                       size_t n);

/* ---- setters for common fields (types of *field in brackets) ---- */
conf_setter conf_set_flag;   /* [bool] on | off */
conf_setter conf_set_number; /* [uint64_t] digits */
conf_setter conf_set_size;   /* [uint64_t] bytes: 10, 8k, 1m, 1g */
conf_setter conf_set_ms;     /* [uint64_t] ms: 30s, 500ms, 1d 2h, 60 */
conf_setter conf_set_sec;    /* [uint64_t] s, the same units but ms */
conf_setter conf_set_str;    /* [struct str] */
conf_setter conf_set_path;   /* [const char *] by conf_full_path(.., false) */
conf_setter conf_set_enum;   /* [unsigned] data: const struct conf_enum[] */
conf_setter conf_set_bits;   /* [unsigned] the same, several words or'ed */
conf_setter conf_set_ignored;

struct conf_enum {
    const char *name; /* NULL ends */
    unsigned value;
};

/* nginx's units: k m g; ms s m h d w, and M y where the unit is the second.
 * False when malformed or beyond 2^63 - 1; *out is untouched then. */
bool conf_parse_size(struct str s, uint64_t *bytes);
bool conf_parse_ms(struct str s, uint64_t *ms);
bool conf_parse_sec(struct str s, uint64_t *sec);

/*
 * A list that a scope inherits as a whole or replaces as a whole
 * (proxy_set_header, add_header, access_log): a setter that adds to it calls
 * this first, and a list inherited from another scope starts afresh.
 */
struct conf_list {
    const struct conf_scope *owner;
    void **items;
    size_t n, capacity;
};
void conf_list_add(struct conf *conf, struct conf_scope *scope,
                   struct conf_list *list, void *item);
/* Empty and owned by scope: what "off" means. */
void conf_list_clear(struct conf_scope *scope, struct conf_list *list);

/* Print every row, by module: name, arguments, default, contexts, help.  What
 * `penstock --directives` shows. */
void conf_print_reference(struct conf_module *const *list, struct buf *out);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route/value.h - text with $variables in it, compiled at load.
 *
 * "http://$host$request_uri" becomes a list of parts; evaluating it walks the
 * parts.  Variables are rows (name, getter, argument) that their owners
 * register; what a getter needs it takes from the request, whose insides are
 * not known on this floor.  $1 to $9 and named captures are known here.
 */
#ifndef PENSTOCK_ROUTE_VALUE_H
#define PENSTOCK_ROUTE_VALUE_H

#include "conf/conf.h"
#include "route/regex.h"

struct request;
struct variable;

/* What values are evaluated for; each request has one. */
struct evaluation {
    struct arena *arena;      /* the request's */
    struct str *slots;        /* variables.slots of them; p NULL: no value */
    struct captures captures; /* of the last regex that matched */
    unsigned depth;           /* of variables that need variables; starts 0 */
    struct request *request;  /* floor 4's; opaque here */
};

/* The value of the variable for this request; false: it has none ("" in a
 * text, "-" in a log).  The bytes live as long as the request's arena. */
typedef bool variable_get_fn(struct evaluation *e, const struct variable *v,
                             struct str *out);

/* A row of a table that ends with name NULL. */
struct variable {
    const char *name; /* a name ending in '_' is a prefix: "http_" */
    variable_get_fn *get;
    struct str rest; /* of a prefix variable: what follows the prefix */
    uintptr_t arg;   /* the row's own */
    unsigned flags;  /* enum variable_flag */
    const struct value *source; /* of one that is made of another: a map's */
    unsigned slot;              /* index into the request's values, from 1 (set,
                                   captures, cached map results); 0: none */
};

enum variable_flag {
    VARIABLE_CHANGEABLE = 1 << 0, /* `set` may assign it */
    VARIABLE_VOLATILE = 1 << 1,   /* never cached */
    VARIABLE_CACHED = 1 << 2,     /* its value is kept in its slot */
    VARIABLE_LIVE = 1 << 3,       /* it changes while the stream is taken, and
                                     looks at little of the request */
    VARIABLE_LATE = 1 << 4,       /* it changes, and looks at all of it */
    VARIABLE_DEFINED = 1 << 5,    /* by variables_define(), which sets it */
};

/* All variables of one configuration. */
struct variables {
    struct arena *arena;
    struct map by_name;
    const struct variable *const *tables; /* registered, NULL-terminated */
    unsigned slots; /* how many slots a request needs, with the unused 0 */
    struct value *pending; /* compiled, but not resolved yet */
};

void variables_init(struct variables *vs, struct arena *arena,
                    const struct variable *const *tables);

/* Look up, or make from a prefix row; NULL when nobody knows the name.  Names
 * are lower-cased, as nginx does. */
struct variable *variables_find(struct variables *vs, struct str name);

/*
 * A variable with a slot (map, set, a named capture).  One that exists and is
 * VARIABLE_CHANGEABLE is shared, as in nginx: its getter is replaced unless
 * the new one is variable_get_slot.  NULL when the name is taken otherwise
 * ("the duplicate \"x\" variable").
 */
struct variable *variables_define(struct variables *vs, struct str name,
                                  variable_get_fn *get, unsigned flags);

/* The getter of what is only ever assigned (set, captures): never a value of
 * its own, what was assigned is found in the slot before it is asked. */
variable_get_fn variable_get_slot;

/* Assign: what `set` does.  p NULL is taken as "". */
void variable_store(const struct variable *v, struct evaluation *e,
                    struct str s);

/* A compiled text. */
struct value;

/*
 * Compile now; names are resolved by values_resolve() when all of the
 * configuration was read (a map may stand below its use).
 * NULL with conf's error on bad syntax.
 */
struct value *value_compile(struct conf *conf, struct variables *vs,
                            struct str text);

/* conf_setters: the field is a struct value *, made of the first argument; or
 * a conf_list of them, which every argument is added to. */
int value_set(struct conf *conf, struct conf_scope *scope,
              const struct directive *row, const struct conf_node *node,
              void *field);
int value_list_add(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field);

/* Resolve every value compiled so far; "unknown \"x\" variable" at its place */
int values_resolve(struct conf *conf, struct variables *vs);

/* True when there is no variable in it: then value_text() is all of it. */
bool value_is_constant(const struct value *v);
struct str value_text(const struct value *v); /* as it was written */

/* Evaluate in the arena (a constant is returned as it is). */
struct str value_eval(const struct value *v, struct evaluation *e);

/* Append the value to a buf; absent: what a variable without value becomes
 * ("" normally, "-" in logs).  escape: applied to variables, not to text. */
typedef void value_escape_fn(struct buf *out, struct str s);
void value_append(const struct value *v, struct evaluation *e,
                  struct str absent, value_escape_fn *escape, struct buf *out);

/*
 * What v says of a request whose stream was taken, as far as it is settled,
 * appended to out; the rest, its VARIABLE_LIVE ones, is left to value_thaw().
 * That takes what was frozen off the front of *frozen; e needs nothing but
 * what those look at, and an arena.  Only when value_may_freeze(), and never
 * when value_is_live() and a whole value is wanted.
 */
bool value_may_freeze(const struct value *v);
bool value_is_live(const struct value *v);
void value_freeze(const struct value *v, struct evaluation *e,
                  struct str absent, value_escape_fn *escape, struct buf *out);
void value_thaw(const struct value *v, struct str *frozen, struct evaluation *e,
                struct str absent, value_escape_fn *escape, struct buf *out);

/* One variable's value, from its slot or its getter; false: it has none. */
bool variable_eval(struct variable *v, struct evaluation *e, struct str *out);

/* The same of a name that a message brings, not the configuration: nothing is
 * kept of it.  name is in lower case. */
bool variables_eval_name(const struct variables *vs, struct evaluation *e,
                         struct str name, struct str *out);

/* The variables of a regex's named groups, defined once, at load (never NULL
 * when there are none); NULL with err when a name is taken.  After a match
 * that filled e->captures the groups are stored in their slots. */
struct regex_names;
struct regex_names *regex_names_define(struct variables *vs,
                                       const struct regex *r, struct err *err);
void regex_names_store(const struct regex_names *names, struct evaluation *e);

#endif

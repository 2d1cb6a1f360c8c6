/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "route/value.h"

enum {
    DEPTH_MAX = 100 /* of variables within variables, as nginx has it */
};

struct regex_names {
    size_t n;
    struct regex_group {
        const struct variable *variable;
        unsigned group;
        bool again; /* an earlier group has the same name, with (?J) */
    } groups[];
};

void variables_init(struct variables *vs, struct arena *arena,
                    const struct variable *const *tables)
{
    *vs = (struct variables){.arena = arena, .tables = tables, .slots = 1};
    map_init(&vs->by_name, arena, false);
}

static struct str lower(struct arena *arena, struct str name)
{
    char *copy = arena_cstr(arena, name);
    for (size_t i = 0; i < name.n; i++)
        copy[i] = ascii_lower(copy[i]);
    return str_n(copy, name.n);
}

/* The row that is the name, or the longest prefix row that fits. */
static const struct variable *find_row(const struct variables *vs,
                                       struct str name)
{
    const struct variable *best = NULL;
    size_t best_n = 0;

    for (const struct variable *const *t = vs->tables; t && *t; t++)
        for (const struct variable *row = *t; row->name; row++) {
            struct str row_name = str_c(row->name);
            if (str_eq(row_name, name))
                return row;
            if (row_name.n > best_n && row_name.p[row_name.n - 1] == '_' &&
                str_starts(name, row_name)) {
                best = row;
                best_n = row_name.n;
            }
        }
    return best;
}

static void give_slot(struct variables *vs, struct variable *v)
{
    if (!v->slot)
        v->slot = vs->slots++;
}

static struct variable *add(struct variables *vs, struct str name,
                            const struct variable *like)
{
    struct variable *v = arena_copy(vs->arena, like, sizeof *v);
    v->name = name.p;
    v->slot = 0;
    if (v->flags & VARIABLE_CACHED)
        give_slot(vs, v);
    map_add(&vs->by_name, name, v);
    return v;
}

static struct variable *find_lowered(struct variables *vs, struct str name)
{
    struct variable *v = map_find(&vs->by_name, name);
    if (v)
        return v;
    const struct variable *row = find_row(vs, name);
    if (!row)
        return NULL;
    v = add(vs, name, row);
    size_t prefix_n = strlen(row->name);
    if (prefix_n && row->name[prefix_n - 1] == '_')
        v->rest = str_slice(name, prefix_n, name.n);
    return v;
}

struct variable *variables_find(struct variables *vs, struct str name)
{
    return find_lowered(vs, lower(vs->arena, name));
}

struct variable *variables_define(struct variables *vs, struct str name,
                                  variable_get_fn *get, unsigned flags)
{
    struct str lowered = lower(vs->arena, name);
    struct variable *v = map_find(&vs->by_name, lowered);
    const struct variable *row = v ? NULL : find_row(vs, lowered);

    /* A prefix row takes no name: $http_x may be a map's. */
    if (row && str_eq(str_c(row->name), lowered))
        v = add(vs, lowered, row);
    if (!v) {
        struct variable made = {.get = get, .flags = flags};
        v = add(vs, lowered, &made);
    } else if (!(v->flags & VARIABLE_CHANGEABLE)) {
        return NULL;
    } else if (get != variable_get_slot) {
        v->get = get;
        v->flags |= flags;
    }
    if (get != variable_get_slot)
        v->flags |= VARIABLE_DEFINED;
    give_slot(vs, v);
    return v;
}

bool variable_get_slot(struct evaluation *e, const struct variable *v,
                       struct str *out)
{
    (void)e;
    (void)v;
    (void)out;
    return false;
}

void variable_store(const struct variable *v, struct evaluation *e,
                    struct str s)
{
    check(v->slot > 0);
    e->slots[v->slot] = s.p ? s : STR("");
}

bool variable_eval(struct variable *v, struct evaluation *e, struct str *out)
{
    static struct log_limit limit;
    uint64_t skipped;

    if (v->slot && e->slots[v->slot].p) {
        *out = e->slots[v->slot];
        return true;
    }
    if (e->depth >= DEPTH_MAX) {
        if (log_limit_pass(&limit, &skipped))
            log_err(&log_process,
                    "cycle while evaluating variable \"%s\", %llu more since "
                    "the last such line",
                    v->name, (unsigned long long)skipped);
        return false;
    }
    e->depth++;
    bool found = v->get(e, v, out);
    e->depth--;
    if (found && v->flags & VARIABLE_CACHED)
        variable_store(v, e, *out);
    return found;
}

bool variables_eval_name(const struct variables *vs, struct evaluation *e,
                         struct str name, struct str *out)
{
    struct variable *known = map_find(&vs->by_name, name);
    if (known)
        return variable_eval(known, e, out);
    const struct variable *row = find_row(vs, name);
    if (!row)
        return false;
    struct variable v = *row;
    size_t prefix_n = strlen(row->name);
    v.slot = 0;
    v.flags &= ~(unsigned)VARIABLE_CACHED;
    if (prefix_n && row->name[prefix_n - 1] == '_')
        v.rest = str_slice(name, prefix_n, name.n);
    return variable_eval(&v, e, out);
}

/* ---- named groups ---- */

struct regex_names *regex_names_define(struct variables *vs,
                                       const struct regex *r, struct err *err)
{
    struct str name;
    unsigned group;
    size_t n = 0;

    while (regex_name(r, (unsigned)n, &name, &group))
        n++;
    struct regex_names *names =
        arena_calloc(vs->arena, sizeof *names + n * sizeof names->groups[0]);
    for (; regex_name(r, (unsigned)names->n, &name, &group); names->n++) {
        struct regex_group *g = &names->groups[names->n];
        g->variable =
            variables_define(vs, name, variable_get_slot, VARIABLE_CHANGEABLE);
        if (!g->variable) {
            err_set(err, "the duplicate \"%.*s\" variable", STR_ARG(name));
            return NULL;
        }
        g->group = group;
        for (size_t i = 0; i < names->n; i++)
            if (names->groups[i].variable == g->variable)
                g->again = true;
    }
    return names;
}

void regex_names_store(const struct regex_names *names, struct evaluation *e)
{
    for (size_t i = 0; i < names->n; i++) {
        const struct regex_group *g = &names->groups[i];
        struct str s = captures_get(&e->captures, g->group);
        /* Of several groups with one name the one that took part counts. */
        if (s.p || !g->again)
            variable_store(g->variable, e, s);
    }
}

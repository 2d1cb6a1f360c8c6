/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prefixes live in a radix tree: an edge carries a run of bytes, and where a
 * location's text ends its node has the location.  Walking the URI down the
 * tree passes every prefix of it, the longest last.
 */
#include "route/locations.h"

#include "base/check.h"

struct entry {
    enum location_kind kind;
    void *answer;
    struct locations *nested;
};

struct node {
    struct str label; /* the bytes of the edge that leads here */
    struct entry *exact;
    struct entry *prefix;
    struct node **children;
    char *firsts; /* the first byte of each child's label */
    size_t n, capacity;
};

struct location_regex {
    struct regex *regex;
    struct regex_names *groups;
    struct entry entry;
    struct location_regex *next;
};

struct locations {
    struct arena *arena;
    struct node root;
    struct location_regex *regexes; /* in order of the file */
    struct location_regex **last;
    struct map named;
};

struct locations *locations_create(struct arena *arena)
{
    struct locations *ls = arena_calloc(arena, sizeof *ls);
    ls->arena = arena;
    ls->root.label = STR("");
    ls->last = &ls->regexes;
    map_init(&ls->named, arena, false);
    return ls;
}

/* ---- the tree ---- */

static struct node **child_of(const struct node *node, char first)
{
    char *at = node->n ? memchr(node->firsts, first, node->n) : NULL;
    return at ? &node->children[at - node->firsts] : NULL;
}

static void add_child(struct arena *arena, struct node *node,
                      struct node *child)
{
    if (node->n == node->capacity) {
        size_t capacity = node->capacity ? node->capacity * 2 : 4;
        struct node **children =
            arena_alloc(arena, capacity * sizeof *children);
        char *firsts = arena_alloc(arena, capacity);
        if (node->n) {
            memcpy(children, node->children, node->n * sizeof *children);
            memcpy(firsts, node->firsts, node->n);
        }
        node->children = children;
        node->firsts = firsts;
        node->capacity = capacity;
    }
    node->children[node->n] = child;
    node->firsts[node->n++] = child->label.p[0];
}

static struct node *node_create(struct arena *arena, struct str label)
{
    struct node *node = arena_calloc(arena, sizeof *node);
    node->label = label;
    return node;
}

/* Bytes that both start with. */
static size_t common(struct str a, struct str b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return n;
}

/* Put a node in the middle of the edge to *at, n bytes from its start. */
static struct node *split(struct arena *arena, struct node **at, size_t n)
{
    struct node *lower = *at;
    struct node *upper = node_create(arena, str_slice(lower->label, 0, n));
    lower->label = str_slice(lower->label, n, lower->label.n);
    add_child(arena, upper, lower);
    *at = upper;
    return upper;
}

/* The node where text ends, made when there is none. */
static struct node *node_at(struct locations *ls, struct str text)
{
    struct node *node = &ls->root;
    while (text.n) {
        struct node **child = child_of(node, text.p[0]);
        if (!child) {
            struct node *leaf = node_create(ls->arena, text);
            add_child(ls->arena, node, leaf);
            return leaf;
        }
        size_t n = common((*child)->label, text);
        node = n < (*child)->label.n ? split(ls->arena, child, n) : *child;
        text = str_slice(text, n, text.n);
    }
    return node;
}

/* ---- adding ---- */

static int duplicate(struct err *err, struct str text)
{
    return err_set(err, "duplicate location \"%.*s\"", STR_ARG(text));
}

static int add_static(struct locations *ls, struct str text,
                      struct entry *entry, struct err *err)
{
    struct node *node = node_at(ls, arena_str(ls->arena, text));
    struct entry **place =
        entry->kind == LOCATION_EXACT ? &node->exact : &node->prefix;
    if (*place)
        return duplicate(err, text);
    *place = arena_copy(ls->arena, entry, sizeof *entry);
    return 0;
}

static int add_regex(struct locations *ls, struct variables *vs,
                     struct str text, struct entry *entry, struct err *err)
{
    struct location_regex *item = arena_calloc(ls->arena, sizeof *item);
    item->entry = *entry;
    item->regex = regex_compile(ls->arena, text,
                                entry->kind == LOCATION_REGEX_NOCASE, err);
    if (!item->regex)
        return -1;
    item->groups = regex_names_define(vs, item->regex, err);
    if (!item->groups)
        return -1;
    *ls->last = item;
    ls->last = &item->next;
    return 0;
}

int locations_add(struct locations *ls, struct variables *vs,
                  enum location_kind kind, struct str text, void *answer,
                  struct locations *nested, struct err *err)
{
    struct entry entry = {kind, answer, nested};

    check(answer != NULL);
    switch (kind) {
    case LOCATION_PREFIX:
    case LOCATION_EXACT:
    case LOCATION_PREFIX_ONLY:
        return add_static(ls, text, &entry, err);
    case LOCATION_REGEX:
    case LOCATION_REGEX_NOCASE:
        return add_regex(ls, vs, text, &entry, err);
    case LOCATION_NAMED:
        if (!map_add(&ls->named, arena_str(ls->arena, text), answer))
            return duplicate(err, text);
        return 0;
    }
    return 0;
}

/* ---- looking up ---- */

/* What a walk down the tree met. */
struct walk {
    const struct entry *exact;  /* the location that is the URI */
    const struct entry *prefix; /* the longest that the URI starts with */
    const struct entry *slash;  /* the one that is the URI and a slash */
};

static const struct entry *either(const struct node *node)
{
    return node->exact ? node->exact : node->prefix;
}

/* The URI ended at node, or inside the edge to it: a location that is longer
 * by one slash? */
static const struct entry *slash_below(const struct node *node)
{
    struct node **child = child_of(node, '/');
    return child && (*child)->label.n == 1 ? either(*child) : NULL;
}

static struct walk walk(const struct locations *ls, struct str uri)
{
    const struct node *node = &ls->root;
    struct walk met = {.prefix = node->prefix};

    while (uri.n) {
        struct node **child = child_of(node, uri.p[0]);
        if (!child)
            return met;
        struct str label = (*child)->label;
        if (!str_starts(uri, label)) {
            if (label.n == uri.n + 1 && str_starts(label, uri) &&
                label.p[uri.n] == '/')
                met.slash = either(*child);
            return met;
        }
        node = *child;
        uri = str_slice(uri, label.n, uri.n);
        if (node->prefix)
            met.prefix = node->prefix;
    }
    met.exact = node->exact;
    /* A location of the URI itself needs no slash. */
    if (!either(node))
        met.slash = slash_below(node);
    return met;
}

/* Returns true when the search is over, nested or not; *answer is the best so
 * far either way. */
static bool search(const struct locations *ls, struct str uri,
                   struct evaluation *e, void **answer, void **redirect)
{
    struct walk met = walk(ls, uri);

    if (met.exact) {
        *answer = met.exact->answer;
        return true;
    }
    if (met.slash && redirect && !*redirect)
        *redirect = met.slash->answer;
    if (met.prefix) {
        *answer = met.prefix->answer;
        if (met.prefix->nested &&
            search(met.prefix->nested, uri, e, answer, redirect))
            return true;
        if (met.prefix->kind == LOCATION_PREFIX_ONLY)
            return false;
    }
    for (const struct location_regex *r = ls->regexes; r; r = r->next) {
        if (!regex_match(r->regex, uri, e ? &e->captures : NULL))
            continue;
        if (e)
            regex_names_store(r->groups, e);
        *answer = r->entry.answer;
        if (r->entry.nested)
            search(r->entry.nested, uri, e, answer, NULL);
        return true;
    }
    return false;
}

void *locations_find(const struct locations *ls, struct str uri,
                     struct evaluation *e, void **auto_redirect)
{
    void *answer = NULL;
    if (auto_redirect)
        *auto_redirect = NULL;
    search(ls, uri, e, &answer, auto_redirect);
    return answer;
}

void *locations_find_named(const struct locations *ls, struct str name)
{
    return map_find(&ls->named, name);
}

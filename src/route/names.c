/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/names.h"

#include "route/hosts.h"

struct name_regex {
    struct regex *regex;
    struct regex_names *groups;
    void *answer;
    struct name_regex *next;
};

struct names {
    struct arena *arena;
    struct hosts hosts;
    struct name_regex *regexes; /* in order of the file */
    struct name_regex **last;
};

struct names *names_create(struct arena *arena)
{
    struct names *n = arena_calloc(arena, sizeof *n);
    n->arena = arena;
    hosts_init(&n->hosts, arena);
    n->last = &n->regexes;
    return n;
}

/* The host is lower-cased before it is matched, so a pattern with capitals
 * could never match it as it stands: nginx then ignores case. */
static bool has_capitals(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= 'A' && s.p[i] <= 'Z')
            return true;
    return false;
}

static int add_regex(struct names *n, struct variables *vs, struct str pattern,
                     void *answer, struct err *err)
{
    if (!pattern.n)
        return err_set(err, "empty regex in server name \"~\"");
    struct name_regex *item = arena_calloc(n->arena, sizeof *item);
    item->regex = regex_compile(n->arena, pattern, has_capitals(pattern), err);
    if (!item->regex)
        return -1;
    item->groups = regex_names_define(vs, item->regex, err);
    if (!item->groups)
        return -1;
    item->answer = answer;
    *n->last = item;
    n->last = &item->next;
    return 0;
}

int names_add(struct names *n, struct variables *vs, struct str name,
              void *answer, struct err *err)
{
    if (name.n && name.p[0] == '~')
        return add_regex(n, vs, str_slice(name, 1, name.n), answer, err);
    if ((name.n && name.p[0] == '*' && (name.n < 3 || name.p[1] != '.')) ||
        str_eq(name, STR(".")))
        return err_set(err, "server name \"%.*s\" is invalid", STR_ARG(name));

    switch (hosts_add(&n->hosts, arena_str(n->arena, name), answer)) {
    case HOSTS_ADDED:
        return 0;
    case HOSTS_TAKEN:
        return 1;
    case HOSTS_INVALID:
        break;
    }
    return err_set(err, "invalid server name or wildcard \"%.*s\"",
                   STR_ARG(name));
}

void *names_find(const struct names *n, struct str host, struct evaluation *e)
{
    void *answer = hosts_find(&n->hosts, host);
    if (answer || !host.n)
        return answer;
    for (const struct name_regex *r = n->regexes; r; r = r->next)
        if (regex_match(r->regex, host, e ? &e->captures : NULL)) {
            if (e)
                regex_names_store(r->groups, e);
            return r->answer;
        }
    return NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/split_clients.h"

#include "base/bytes.h"
#include "route/value.h"

enum { WHOLE = 10000 /* hundredths of a percent */ };

struct part {
    struct str value;
    uint32_t below; /* hashes that are less; 0: all that are left */
    struct part *next;
};

struct split {
    struct value *source;
    struct part *parts;
};

uint32_t murmur_hash2(struct str s)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t h = (uint32_t)s.n;

    for (; s.n >= 4; s = str_slice(s, 4, s.n)) {
        uint32_t k = le32_get(s.p) * m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    for (size_t i = s.n; i > 0; i--)
        h ^= (uint32_t)(uint8_t)s.p[i - 1] << (8 * (i - 1));
    if (s.n > 0)
        h *= m;
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

static bool get_part(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    const struct split *split = (const struct split *)v->arg;
    uint32_t hash = murmur_hash2(value_eval(split->source, e));

    for (const struct part *p = split->parts; p; p = p->next)
        if (!p->below || hash < p->below) {
            *out = p->value;
            return true;
        }
    return false;
}

/* "0.5%": hundredths of a percent, at most two digits behind the dot. */
static bool read_share(struct str text, uint64_t *share)
{
    if (!text.n || text.p[text.n - 1] != '%')
        return false;
    struct str behind = str_slice(text, 0, text.n - 1);
    struct str whole = str_cut(&behind, '.');
    uint64_t part = 0;
    if (!str_to_u64(whole, 100, share) ||
        (behind.p && (behind.n > 2 || !str_to_u64(behind, 99, &part))))
        return false;
    *share = *share * 100 + (behind.n == 1 ? part * 10 : part);
    return *share > 0;
}

static int add_part(struct conf *conf, const struct conf_node *entry,
                    struct part ***end, uint64_t *sum)
{
    struct part *p = arena_calloc(conf->arena, sizeof *p);
    struct str share_text = conf_arg(entry, 0);
    uint64_t share;

    if (entry->words_n != 2)
        return conf_fail(conf, "invalid number of the split_clients "
                               "parameters");
    p->value = conf_arg(entry, 1);
    if (!str_eq(share_text, STR("*"))) {
        if (!read_share(share_text, &share))
            return conf_fail(conf, "invalid percent value \"%.*s\"",
                             STR_ARG(share_text));
        *sum += share;
        if (*sum > WHOLE)
            return conf_fail(conf, "percent total is greater than 100%%");
        /* Each share is rounded down alone, as nginx does. */
        p->below = (uint32_t)(share * UINT32_MAX / WHOLE);
    }
    **end = p;
    *end = &p->next;
    return 0;
}

/* From shares to where each ends. */
static void add_up(struct split *split)
{
    uint32_t last = 0;
    for (struct part *p = split->parts; p; p = p->next)
        if (p->below)
            p->below = last += p->below;
}

static int set_split(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct str name = conf_arg(node, 2);
    struct split *split = arena_calloc(conf->arena, sizeof *split);
    struct part **end = &split->parts;
    const struct conf_node *entry = NULL;
    uint64_t sum = 0;
    int more;
    (void)scope, (void)row, (void)field;

    split->source = value_compile(conf, conf->variables, conf_arg(node, 1));
    if (!split->source)
        return -1;
    if (name.n < 2 || name.p[0] != '$')
        return conf_fail(conf, "invalid variable name \"%.*s\"", STR_ARG(name));
    name = str_slice(name, 1, name.n);
    struct variable *v =
        variables_define(conf->variables, name, get_part, VARIABLE_CHANGEABLE);
    if (!v)
        return conf_fail(conf, "the duplicate \"%.*s\" variable",
                         STR_ARG(name));
    while ((more = conf_entry_next(conf, node, &entry)) == 1)
        if (add_part(conf, entry, &end, &sum) == -1)
            return -1;
    add_up(split);
    v->arg = (uintptr_t)split;
    v->flags |= VARIABLE_CACHED;
    return more;
}

static const struct directive directives[] = {
    {
        .name = "split_clients",
        .contexts = CONF_HTTP,
        .arity = ARGS_2,
        .flags = CONF_BLOCK | CONF_REPEATABLE | CONF_DEFINES,
        .set = set_split,
        .help = "Makes a variable whose value depends on a text's hash: "
                "\"0.5% value;\" and \"* value;\" for the rest.",
        .syntax = "TEXT $VARIABLE",
    },
    {0},
};

struct conf_module split_clients_module = {.name = "split_clients",
                                           .directives = directives};

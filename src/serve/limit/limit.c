/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit_parts.h"

#include "base/check.h"

const struct conf_enum limit_levels[] = {
    {"info", LEVEL_INFO},
    {"notice", LEVEL_NOTICE},
    {"warn", LEVEL_WARN},
    {"error", LEVEL_ERROR},
    {NULL, 0},
};

struct zone *limit_zone_bind(struct conf *conf, const struct directive *row,
                             struct str key, struct str name_size,
                             uint64_t rate)
{
    struct value *compiled = value_compile(conf, conf->variables, key);
    if (!compiled)
        return NULL;
    struct zone *z =
        zone_declare_text(conf, name_size, name_size, &limit_zone_kind);
    if (!z)
        return NULL;
    if (z->data) {
        struct limit_zone *before = z->data;
        conf_fail(conf, "%s \"%.*s\" is already bound to key \"%.*s\"",
                  row->name, STR_ARG(z->name),
                  STR_ARG(value_text(before->key)));
        return NULL;
    }
    struct limit_zone *l = arena_calloc(conf->arena, sizeof *l);
    l->key = compiled;
    l->rate = rate;
    z->data = l;
    z->variant = value_text(compiled);
    return z;
}

struct zone *limit_zone_named(struct conf *conf, struct str name)
{
    return zone_declare(conf, name, 0, &limit_zone_kind);
}

bool limit_key(struct request *r, const struct zone *zone, size_t max,
               struct str *key)
{
    const struct limit_zone *l = zone->data;

    *key = value_eval(l->key, &r->eval);
    if (key->n <= max)
        return key->n > 0;
    log_err(&r->log,
            "the value of the \"%.*s\" key is more than %zu bytes: \"%.*s\"",
            STR_ARG(value_text(l->key)), max, STR_ARG(*key));
    return false;
}

/* ---- variables ---- */

static bool give_outcome(unsigned outcome, struct str *out)
{
    static const struct str names[] = {
        [LIMIT_PASSED] = STR_INIT("PASSED"),
        [LIMIT_DELAYED] = STR_INIT("DELAYED"),
        [LIMIT_REJECTED] = STR_INIT("REJECTED"),
        [LIMIT_DELAYED_DRY_RUN] = STR_INIT("DELAYED_DRY_RUN"),
        [LIMIT_REJECTED_DRY_RUN] = STR_INIT("REJECTED_DRY_RUN"),
    };
    if (outcome == LIMIT_NOT_ASKED)
        return false;
    *out = names[outcome];
    return true;
}

static bool get_conn_status(struct evaluation *e, const struct variable *v,
                            struct str *out)
{
    (void)v;
    return give_outcome(e->request->limit_conn, out);
}

static bool get_req_status(struct evaluation *e, const struct variable *v,
                           struct str *out)
{
    (void)v;
    return give_outcome(e->request->limit_req, out);
}

const struct variable limit_variables[] = {
    {.name = "limit_conn_status", .get = get_conn_status},
    {.name = "limit_req_status", .get = get_req_status},
    {.name = NULL},
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit_parts.h"

#include "base/check.h"

enum {
    KEY_MAX = 255, /* bytes, as nginx has it */
    CONN_MAX = 65535,
};

struct conn_limit {
    struct zone *zone;
    uint64_t max;
};

struct limit_conn_conf {
    struct conf_list limits; /* struct conn_limit */
    uint64_t status;
    unsigned level; /* enum log_level */
    bool dry_run;
};

/* ---- at run time ---- */

static void release(void *arg)
{
    limit_release(arg);
}

/* False: over the limit. */
static bool take(struct request *r, const struct conn_limit *limit)
{
    struct str key;

    if (!limit_key(r, limit->zone, KEY_MAX, &key))
        return true;
    if (r->limit_conn == LIMIT_NOT_ASKED)
        r->limit_conn = LIMIT_PASSED;
    struct limit_hold *hold = arena_calloc(r->arena, sizeof *hold);
    arena_on_destroy(r->arena, release, hold);
    switch (hold_take(hold, limit->zone, LIMIT_REQUESTS, key, limit->max)) {
    case HOLD_TAKEN:
        hold->next = r->limit_holds;
        r->limit_holds = hold;
        return true;
    case HOLD_OVER:
        limit_conn_is_dry(r, limit->zone);
        break;
    case HOLD_FULL:
        log_write(&r->log, LEVEL_ALERT,
                  "could not count the connection in zone \"%.*s\": it is "
                  "full",
                  STR_ARG(limit->zone->name));
        break;
    }
    return false;
}

int limit_conn_run(struct request *r)
{
    const struct limit_conn_conf *c = request_conf(r, &limit_conn_module);

    if (!c->limits.n || r->limit_conn != LIMIT_NOT_ASKED)
        return VERDICT_DECLINED;
    for (size_t i = 0; i < c->limits.n; i++) {
        if (take(r, c->limits.items[i]))
            continue;
        for (; r->limit_holds; r->limit_holds = r->limit_holds->next)
            limit_release(r->limit_holds);
        r->limit_conn = c->dry_run ? LIMIT_REJECTED_DRY_RUN : LIMIT_REJECTED;
        return c->dry_run ? VERDICT_DECLINED : (int)c->status;
    }
    return VERDICT_DECLINED;
}

bool limit_conn_is_dry(struct request *r, const struct zone *zone)
{
    const struct limit_conn_conf *c = request_conf(r, &limit_conn_module);
    log_write(&r->log, (enum log_level)c->level,
              "limiting connections%s by zone \"%.*s\"",
              c->dry_run ? ", dry run," : "", STR_ARG(zone->name));
    return c->dry_run;
}

unsigned limit_conn_status(const struct request *r)
{
    const struct limit_conn_conf *c = request_conf(r, &limit_conn_module);
    return (unsigned)c->status;
}

/* ---- configuration ---- */

static int set_zone(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct str zone = conf_arg(node, 2);
    (void)scope, (void)field;
    if (!str_starts(zone, STR("zone=")))
        return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(zone));
    return limit_zone_bind(conf, row, conf_arg(node, 1),
                           str_slice(zone, 5, zone.n), 0)
               ? 0
               : -1;
}

static int set_limit(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct limit_conn_conf *c = field;
    struct conn_limit *limit = arena_calloc(conf->arena, sizeof *limit);
    (void)row;

    limit->zone = limit_zone_named(conf, conf_arg(node, 1));
    if (!limit->zone)
        return -1;
    for (size_t i = 0; c->limits.owner == scope && i < c->limits.n; i++)
        if (((struct conn_limit *)c->limits.items[i])->zone == limit->zone)
            return conf_fail(conf, "is duplicate");
    if (!str_to_u64(conf_arg(node, 2), INT64_MAX, &limit->max) || !limit->max)
        return conf_fail(conf, "invalid number of connections \"%.*s\"",
                         STR_ARG(conf_arg(node, 2)));
    if (limit->max > CONN_MAX)
        return conf_fail(conf, "connection limit must be less 65536");
    conf_list_add(conf, scope, &c->limits, limit);
    return 0;
}

static const struct directive directives[] = {
    {.name = "limit_conn_zone",
     .contexts = CONF_HTTP,
     .arity = ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_zone,
     .syntax = "KEY zone=NAME:SIZE",
     .help = "Shared memory in which what has the same key is counted."},
    {.name = "limit_conn",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_limit,
     .syntax = "ZONE NUMBER",
     .help = "How many requests of one key may be under way at a time."},
    {.name = "limit_conn_status",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = offsetof(struct limit_conn_conf, status),
     .default_text = "503",
     .min = 400,
     .max = 599,
     .help = "The status of what limit_conn refuses."},
    {.name = "limit_conn_log_level",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .data = limit_levels,
     .offset = offsetof(struct limit_conn_conf, level),
     .default_text = "error",
     .help = "The level at which refusals of limit_conn are logged."},
    {.name = "limit_conn_dry_run",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct limit_conn_conf, dry_run),
     .default_text = "off",
     .help = "limit_conn counts and logs, and refuses nothing."},
    {.name = NULL},
};

struct conf_module limit_conn_module = {
    .name = "limit_conn",
    .size = sizeof(struct limit_conn_conf),
    .directives = directives,
};

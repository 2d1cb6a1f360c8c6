/* SPDX-License-Identifier: BSD-2-Clause */
#include "limit_parts.h"

#include "base/check.h"

enum {
    KEY_MAX = 65535, /* bytes, as nginx has it */
};

struct req_limit {
    struct zone *zone;
    struct limit_rate rate; /* rate.rate once all is read */
    uint64_t undelayed;     /* thousandths of excess that do not wait */
    bool nodelay;
    const struct conf_node *node;
};

struct limit_req_conf {
    struct conf_list limits; /* struct req_limit */
    uint64_t status;
    unsigned level; /* enum log_level */
    bool dry_run;
};

/* ---- at run time ---- */

static const char *dry(const struct limit_req_conf *c)
{
    return c->dry_run ? ", dry run" : "";
}

static int refuse(struct request *r, const struct limit_req_conf *c,
                  const struct req_limit *limit, uint64_t excess)
{
    log_write(&r->log, (enum log_level)c->level,
              "limiting requests%s, excess: %llu.%03llu by zone \"%.*s\"",
              dry(c), (unsigned long long)(excess / 1000),
              (unsigned long long)(excess % 1000), STR_ARG(limit->zone->name));
    r->limit_req = c->dry_run ? LIMIT_REJECTED_DRY_RUN : LIMIT_REJECTED;
    return c->dry_run ? VERDICT_DECLINED : (int)c->status;
}

static uint64_t delay_of(const struct req_limit *limit, uint64_t excess)
{
    if (limit->nodelay || excess <= limit->undelayed)
        return 0;
    return (excess - limit->undelayed) * 1000 / limit->rate.rate;
}

/* What was found for one limit. */
struct looked {
    bool applies;
    struct str key;
    uint64_t excess;
};

/* All are looked at before one counts; the last is both at once. */
static int look_at_all(struct request *r, const struct limit_req_conf *c,
                       struct looked *looked)
{
    enum limit_rate_result result;
    for (size_t i = 0; i < c->limits.n; i++) {
        struct req_limit *limit = c->limits.items[i];
        struct looked *l = &looked[i];
        l->applies = limit_key(r, limit->zone, KEY_MAX, &l->key);
        if (!l->applies)
            continue;
        r->limit_req = LIMIT_PASSED;
        result = i + 1 == c->limits.n
                     ? limit_rate_put(limit->zone, LIMIT_REQUEST_RATE, l->key,
                                      &limit->rate, 1, false, &l->excess)
                     : limit_rate_look(limit->zone, LIMIT_REQUEST_RATE, l->key,
                                       &limit->rate, 1, &l->excess);
        if (result == RATE_FULL)
            log_write(&r->log, LEVEL_ALERT,
                      "could not count the request in zone \"%.*s\": it is "
                      "full",
                      STR_ARG(limit->zone->name));
        if (result != RATE_FITS)
            return refuse(r, c, limit, l->excess);
    }
    return VERDICT_DECLINED;
}

/* The longest delay that one of them asks for, in ms. */
static uint64_t count_all(const struct limit_req_conf *c, struct looked *looked,
                          const struct req_limit **who, uint64_t *excess)
{
    uint64_t longest = 0;
    for (size_t i = 0; i < c->limits.n; i++) {
        const struct req_limit *limit = c->limits.items[i];
        struct looked *l = &looked[i];
        if (!l->applies)
            continue;
        if (i + 1 < c->limits.n)
            limit_rate_put(limit->zone, LIMIT_REQUEST_RATE, l->key,
                           &limit->rate, 1, true, &l->excess);
        uint64_t ms = delay_of(limit, l->excess);
        if (ms > longest) {
            longest = ms;
            *who = limit;
            *excess = l->excess;
        }
    }
    return longest;
}

int limit_req_run(struct request *r)
{
    const struct limit_req_conf *c = request_conf(r, &limit_req_module);
    const struct req_limit *who = NULL;
    uint64_t excess = 0;

    if (!c->limits.n || r->limit_req != LIMIT_NOT_ASKED)
        return VERDICT_DECLINED;
    struct looked *looked =
        arena_calloc(r->arena, c->limits.n * sizeof *looked);
    int verdict = look_at_all(r, c, looked);
    if (verdict != VERDICT_DECLINED || r->limit_req == LIMIT_REJECTED_DRY_RUN)
        return verdict;
    uint64_t ms = count_all(c, looked, &who, &excess);
    if (!ms)
        return VERDICT_DECLINED;
    log_write(&r->log, (enum log_level)(c->level + 1),
              "delaying request%s, excess: %llu.%03llu, by zone \"%.*s\"",
              dry(c), (unsigned long long)(excess / 1000),
              (unsigned long long)(excess % 1000), STR_ARG(who->zone->name));
    r->limit_req = c->dry_run ? LIMIT_DELAYED_DRY_RUN : LIMIT_DELAYED;
    return c->dry_run ? VERDICT_DECLINED
                      : request_wait(r, ms, VERDICT_DECLINED);
}

/* ---- configuration ---- */

static int set_zone(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct str zone = {NULL, 0};
    uint64_t rate = 1000;
    (void)scope, (void)field;

    for (size_t i = 2; i < node->words_n; i++) {
        struct str word = conf_arg(node, i);
        if (str_starts(word, STR("zone=")))
            zone = str_slice(word, 5, word.n);
        else if (!str_starts(word, STR("rate=")))
            return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
        else if (!limit_rate_read(str_slice(word, 5, word.n), &rate))
            return conf_fail(conf,
                             "invalid rate \"%.*s\", expected one such as "
                             "10r/s or 30r/m",
                             STR_ARG(word));
    }
    if (!zone.n)
        return conf_fail(conf, "\"%s\" must have \"zone\" parameter",
                         row->name);
    return limit_zone_bind(conf, row, conf_arg(node, 1), zone, rate) ? 0 : -1;
}

static int read_word(struct conf *conf, struct req_limit *limit,
                     struct str word)
{
    uint64_t n;
    if (str_starts(word, STR("zone="))) {
        limit->zone = limit_zone_named(conf, str_slice(word, 5, word.n));
        return limit->zone ? 0 : -1;
    }
    if (str_eq(word, STR("nodelay"))) {
        limit->nodelay = true;
        return 0;
    }
    if (str_starts(word, STR("burst="))) {
        if (!str_to_u64(str_slice(word, 6, word.n), UINT32_MAX, &n) || !n)
            return conf_fail(conf, "invalid burst value \"%.*s\"",
                             STR_ARG(word));
        limit->rate.burst = n;
        return 0;
    }
    if (str_starts(word, STR("delay="))) {
        if (!str_to_u64(str_slice(word, 6, word.n), UINT32_MAX, &n) || !n)
            return conf_fail(conf, "invalid delay value \"%.*s\"",
                             STR_ARG(word));
        limit->undelayed = n * 1000;
        return 0;
    }
    return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
}

static int set_limit(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct limit_req_conf *c = field;
    struct req_limit *limit = arena_calloc(conf->arena, sizeof *limit);

    limit->node = node;
    for (size_t i = 1; i < node->words_n; i++)
        if (read_word(conf, limit, conf_arg(node, i)) == -1)
            return -1;
    if (!limit->zone)
        return conf_fail(conf, "\"%s\" must have \"zone\" parameter",
                         row->name);
    for (size_t i = 0; c->limits.owner == scope && i < c->limits.n; i++)
        if (((struct req_limit *)c->limits.items[i])->zone == limit->zone)
            return conf_fail(conf, "is duplicate");
    conf_list_add(conf, scope, &c->limits, limit);
    return 0;
}

/* Below a scope and in it: zones may stand behind what uses them. */
static int take_rates(struct conf *conf, const struct conf_scope *scope)
{
    const struct limit_req_conf *c = conf_get(scope, &limit_req_module);
    for (size_t i = 0; c->limits.owner == scope && i < c->limits.n; i++) {
        struct req_limit *limit = c->limits.items[i];
        const struct limit_zone *l = limit->zone->data;
        if (l && !l->rate)
            return conf_fail_at(conf, limit->node,
                                "zone \"%.*s\" of limit_conn_zone has no rate",
                                STR_ARG(limit->zone->name));
        if (l)
            limit->rate.rate = l->rate;
    }
    for (const struct conf_scope *s = scope->children; s; s = s->next)
        if (take_rates(conf, s) == -1)
            return -1;
    return 0;
}

static int finish(struct conf *conf)
{
    return take_rates(conf, conf->main);
}

static const struct directive directives[] = {
    {.name = "limit_req_zone",
     .contexts = CONF_HTTP,
     .arity = ARGS_3,
     .flags = CONF_REPEATABLE,
     .set = set_zone,
     .syntax = "KEY zone=NAME:SIZE rate=NUMBER(r/s|r/m)",
     .help = "Shared memory in which requests of the same key are counted, "
             "and how many may come."},
    {.name = "limit_req",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1 | ARGS_2 | ARGS_3,
     .flags = CONF_REPEATABLE,
     .set = set_limit,
     .syntax = "zone=NAME [burst=NUMBER] [nodelay | delay=NUMBER]",
     .help = "Requests beyond the zone's rate wait, those beyond burst are "
             "refused."},
    {.name = "limit_req_status",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = offsetof(struct limit_req_conf, status),
     .default_text = "503",
     .min = 400,
     .max = 599,
     .help = "The status of what limit_req refuses."},
    {.name = "limit_req_log_level",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .data = limit_levels,
     .offset = offsetof(struct limit_req_conf, level),
     .default_text = "error",
     .help = "The level at which refusals of limit_req are logged; delays "
             "are logged one level below."},
    {.name = "limit_req_dry_run",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct limit_req_conf, dry_run),
     .default_text = "off",
     .help = "limit_req counts and logs, and neither delays nor refuses."},
    {.name = NULL},
};

struct conf_module limit_req_module = {
    .name = "limit_req",
    .size = sizeof(struct limit_req_conf),
    .directives = directives,
    .on_end = finish,
};

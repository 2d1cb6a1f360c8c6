/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/limit_rate.h"

#include "serve/client.h"
#include "serve/http1.h"
#include "serve/subrequest.h"

struct limit_rate_conf {
    struct value *rate, *after; /* sizes; NULL: none */
    struct variable *variable;  /* main's only: $limit_rate, when it is used */
};

/* ---- at run time ---- */

static uint64_t size_of(const struct value *v, struct request *r)
{
    uint64_t size = 0;
    if (v && !conf_parse_size(value_eval(v, &r->eval), &size))
        return 0;
    return size;
}

/* What `set $limit_rate` said; false: nothing did. */
static bool was_set(const struct request *r, uint64_t *rate)
{
    const struct limit_rate_conf *c =
        conf_get(r->generation->conf.main, &limit_rate_module);
    if (!c->variable || !c->variable->slot ||
        !r->eval.slots[c->variable->slot].p)
        return false;
    if (!conf_parse_size(r->eval.slots[c->variable->slot], rate))
        *rate = 0;
    return true;
}

static uint64_t rate_of(struct request *r)
{
    const struct limit_rate_conf *c = request_conf(r, &limit_rate_module);
    uint64_t rate;
    if (r->limit_rate.p && str_to_u64(r->limit_rate, INT32_MAX, &rate))
        return rate;
    if (str_eq(r->limit_rate, STR("off")))
        return 0;
    return was_set(r, &rate) ? rate : size_of(c->rate, r);
}

void limit_rate_begin(struct request *r)
{
    const struct limit_rate_conf *c = request_conf(r, &limit_rate_module);
    struct stream *s = r->client->stream;

    if (request_is_sub(r) || r->wire != &http1_wire || !s)
        return;
    uint64_t rate = r->response.status == 101 ? 0 : rate_of(r);
    if (rate || s->throttle)
        stream_throttle(s, rate, rate ? size_of(c->after, r) : 0);
}

static bool get_rate(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    uint64_t rate;
    (void)v;
    if (!was_set(e->request, &rate))
        rate = 0;
    *out = arena_printf(e->arena, "%llu", (unsigned long long)rate);
    return true;
}

const struct variable limit_rate_variables[] = {
    {.name = "limit_rate", .get = get_rate, .flags = VARIABLE_CHANGEABLE},
    {.name = NULL},
};

/* ---- configuration ---- */

static int set_size(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct value **value = field;
    uint64_t size;
    (void)scope, (void)row;

    *value = value_compile(conf, conf->variables, conf_arg(node, 1));
    if (!*value)
        return -1;
    if (value_is_constant(*value) && !conf_parse_size(conf_arg(node, 1), &size))
        return conf_fail(conf, "invalid value \"%.*s\"",
                         STR_ARG(conf_arg(node, 1)));
    return 0;
}

static int finish(struct conf *conf)
{
    struct limit_rate_conf *c = conf_get(conf->main, &limit_rate_module);
    c->variable = variables_find(conf->variables, STR("limit_rate"));
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION | CONF_LOCATION_IF,
};

static const struct directive directives[] = {
    {.name = "limit_rate",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_size,
     .offset = offsetof(struct limit_rate_conf, rate),
     .syntax = "SIZE",
     .help = "Bytes of a response that leave in a second; 0: no limit."},
    {.name = "limit_rate_after",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_size,
     .offset = offsetof(struct limit_rate_conf, after),
     .syntax = "SIZE",
     .help = "So much of it leaves at full speed before."},
    {.name = NULL},
};

struct conf_module limit_rate_module = {
    .name = "limit_rate",
    .size = sizeof(struct limit_rate_conf),
    .directives = directives,
    .on_end = finish,
};

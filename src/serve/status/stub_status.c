/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "serve/core.h"
#include "serve/stats.h"

static uint64_t waiting(const struct stats *s)
{
    uint64_t busy = s->reading + s->writing;
    return s->active > busy ? s->active - busy : 0;
}

/* ---- the page ---- */

static int status_start(struct request *r)
{
    if (r->head.method != METHOD_GET && r->head.method != METHOD_HEAD)
        return 405;
    struct stats s = stats_sum();
    struct str body = arena_printf(
        r->arena,
        "Active connections: %llu \n"
        "server accepts handled requests\n %llu %llu %llu \n"
        "Reading: %llu Writing: %llu Waiting: %llu \n",
        (unsigned long long)s.active, (unsigned long long)s.accepted,
        (unsigned long long)s.accepted, (unsigned long long)s.requests,
        (unsigned long long)s.reading, (unsigned long long)s.writing,
        (unsigned long long)waiting(&s));
    return request_respond(r, 200, STR("text/plain"), body);
}

static const struct handler status_handler = {
    .name = "stub_status",
    .start = status_start,
};

/* ---- $connections_* ---- */

enum which {
    ACTIVE = 0,
    READING,
    WRITING,
    WAITING,
};

static bool get_connections(struct evaluation *e, const struct variable *v,
                            struct str *out)
{
    struct stats s = stats_sum();
    uint64_t n = v->arg == ACTIVE    ? s.active
                 : v->arg == READING ? s.reading
                 : v->arg == WRITING ? s.writing
                                     : waiting(&s);

    *out = arena_printf(e->arena, "%llu", (unsigned long long)n);
    return true;
}

const struct variable stats_variables[] = {
    {.name = "connections_active", .get = get_connections, .arg = ACTIVE},
    {.name = "connections_reading", .get = get_connections, .arg = READING},
    {.name = "connections_writing", .get = get_connections, .arg = WRITING},
    {.name = "connections_waiting", .get = get_connections, .arg = WAITING},
    {.name = NULL},
};

/* ---- configuration ---- */

static int set_stub_status(struct conf *conf, struct conf_scope *scope,
                           const struct directive *row,
                           const struct conf_node *node, void *field)
{
    (void)conf, (void)row, (void)node, (void)field;
    location_of_scope(scope)->handler = &status_handler;
    return 0;
}

static const struct directive stub_status_directives[] = {
    {.name = "stub_status",
     .contexts = CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_0 | ARGS_1,
     .set = set_stub_status,
     .syntax = "[on]",
     .help = "Answer with how many connections and requests there are."},
    {.name = NULL},
};

struct conf_module stub_status_module = {
    .name = "stub_status",
    .directives = stub_status_directives,
};

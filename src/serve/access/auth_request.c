/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/auth_request.h"

#include "serve/access.h"
#include "serve/subrequest.h"

/* auth_request_set $NAME VALUE; */
struct auth_set {
    struct variable *variable;
    struct value *value; /* as the subrequest sees it */
};

/* ---- at run time ---- */

static void set_variables(struct request *r, struct request *sub)
{
    const struct auth_request_conf *c = request_conf(r, &auth_request_module);

    for (size_t i = 0; i < c->sets.n; i++) {
        const struct auth_set *set = c->sets.items[i];
        struct str value = value_eval(set->value, &sub->eval);
        variable_store(set->variable, &r->eval, arena_str(r->arena, value));
    }
}

/* 401 comes with what the client needs to answer it. */
static int pass_401(struct request *r, const struct request *sub)
{
    for (size_t i = 0; i < sub->response.fields_n; i++) {
        const struct response_field *f = &sub->response.fields[i];
        if (str_eq_nocase(f->name, STR("WWW-Authenticate")))
            response_add(r, STR("WWW-Authenticate"),
                         arena_str(r->arena, f->value));
    }
    return 401;
}

static void on_end(void *owner, struct request *sub, bool complete)
{
    struct request *r = owner;
    unsigned status = sub->response.status;
    int verdict;

    set_variables(r, sub);
    if (complete && status == 403) {
        verdict = 403;
    } else if (complete && status == 401) {
        verdict = pass_401(r, sub);
    } else if (complete && status >= 200 && status < 300) {
        verdict = ACCESS_GRANTED;
    } else if (status == 499) {
        verdict = 499;
    } else {
        log_err(&r->log, "auth request unexpected status: %u", status);
        verdict = 500;
    }
    access_answer(r, verdict);
}

static const struct subrequest_events auth_events = {.on_end = on_end};

int auth_request_check(struct request *r)
{
    const struct auth_request_conf *c = request_conf(r, &auth_request_module);

    if (!c->uri.n)
        return VERDICT_DECLINED;
    return subrequest_create(r, c->uri, STR(""), SUBREQUEST_HEAD_ONLY,
                             &auth_events, r)
               ? VERDICT_PENDING
               : 500;
}

/* ---- configuration ---- */

static int set_auth_request(struct conf *conf, struct conf_scope *scope,
                            const struct directive *row,
                            const struct conf_node *node, void *field)
{
    struct auth_request_conf *c = field;
    (void)conf, (void)scope, (void)row;

    c->uri = conf_arg(node, 1);
    if (str_eq(c->uri, STR("off")))
        c->uri = STR("");
    return 0;
}

static int set_auth_request_set(struct conf *conf, struct conf_scope *scope,
                                const struct directive *row,
                                const struct conf_node *node, void *field)
{
    struct auth_request_conf *c = field;
    struct auth_set *set = arena_alloc(conf->arena, sizeof *set);
    struct str name = conf_arg(node, 1);
    (void)row;

    if (name.n < 2 || name.p[0] != '$')
        return conf_fail(conf, "invalid variable name \"%.*s\"", STR_ARG(name));
    name = str_slice(name, 1, name.n);
    set->variable = variables_define(conf->variables, name, variable_get_slot,
                                     VARIABLE_CHANGEABLE);
    if (!set->variable)
        return conf_fail(conf, "the duplicate \"%.*s\" variable",
                         STR_ARG(name));
    set->value = value_compile(conf, conf->variables, conf_arg(node, 2));
    if (!set->value)
        return -1;
    conf_list_add(conf, scope, &c->sets, set);
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive auth_request_directives[] = {
    {.name = "auth_request",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_auth_request,
     .default_text = "off",
     .syntax = "URI | off",
     .help = "Ask this URI whether the request may be served: 2xx, 401, 403."},
    {.name = "auth_request_set",
     .contexts = ANYWHERE,
     .arity = ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_auth_request_set,
     .syntax = "$VARIABLE VALUE",
     .help = "Set a variable to a value that is read off that answer."},
    {.name = NULL},
};

struct conf_module auth_request_module = {
    .name = "auth_request",
    .size = sizeof(struct auth_request_conf),
    .directives = auth_request_directives,
};

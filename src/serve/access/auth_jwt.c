/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/auth.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "jwt.h"

struct jwt_require {
    struct value *value;
    int status; /* 401 or 403 */
};

struct auth_jwt_conf {
    struct value *realm; /* NULL, or "off": nobody is asked */
    struct value *token; /* NULL: of Authorization: Bearer */
    struct jwk_set *keys;
    const struct conf_scope *keys_owner;
    struct conf_list requires; /* struct jwt_require */
    uint64_t leeway_s;
};

/* ---- the check ---- */

static int ask(struct request *r, const struct auth_jwt_conf *c,
               const char *wrong)
{
    struct str realm = value_eval(c->realm, &r->eval);
    response_add(r, STR("WWW-Authenticate"),
                 arena_printf(r->arena, "Bearer realm=\"%.*s\"%s",
                              STR_ARG(realm),
                              wrong ? ", error=\"invalid_token\"" : ""));
    if (wrong)
        log_info(&r->log, "invalid JSON Web Token: %s", wrong);
    return 401;
}

static struct str token_of(struct request *r, const struct auth_jwt_conf *c)
{
    if (c->token)
        return value_eval(c->token, &r->eval);
    struct str field = http_head_find(&r->head, STR("Authorization"));
    if (!str_starts_nocase(field, STR("Bearer ")))
        return STR("");
    return str_trim(str_slice(field, 7, field.n));
}

/* Every value must be there, and not "0". */
static int check_requires(struct request *r, const struct auth_jwt_conf *c)
{
    for (size_t i = 0; i < c->requires.n; i++) {
        const struct jwt_require *require = c->requires.items[i];
        struct str v = value_eval(require->value, &r->eval);
        if (v.n && !str_eq(v, STR("0")))
            continue;
        log_info(&r->log, "JSON Web Token lacks what \"%.*s\" requires",
                 STR_ARG(value_text(require->value)));
        return require->status == 401 ? ask(r, c, "a claim") : 403;
    }
    return ACCESS_GRANTED;
}

int auth_jwt_check(struct request *r)
{
    const struct auth_jwt_conf *c = request_conf(r, &auth_jwt_module);

    if (!c->realm || str_eq(value_eval(c->realm, &r->eval), STR("off")))
        return VERDICT_DECLINED;
    struct str token = token_of(r, c);
    if (!token.n) {
        log_info(&r->log, "no JSON Web Token was provided");
        return ask(r, c, NULL);
    }
    struct jwt *t = arena_calloc(r->arena, sizeof *t);
    static const struct jwk_set none;
    const char *wrong =
        jwt_verify(t, token, c->keys ? c->keys : &none, r->arena);
    if (!wrong)
        wrong = jwt_check_times(t, clock_wall_s(), (int64_t)c->leeway_s);
    if (wrong)
        return ask(r, c, wrong);
    r->jwt = t;
    return check_requires(r, c);
}

/* ---- variables ---- */

/* Strings as they are, lists with commas, the rest as it is written. */
static bool give_json(struct str value, struct arena *arena, struct str *out)
{
    switch (json_type_of(value)) {
    case JSON_STRING:
        return json_string(value, arena, out);
    case JSON_ARRAY:
        break;
    case JSON_NONE:
    case JSON_NULL:
        return false;
    case JSON_OBJECT:
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
        *out = value;
        return true;
    }
    struct str all = STR(""), rest = value, item, text;
    while (json_next(&rest, &item))
        if (give_json(item, arena, &text))
            all = arena_printf(arena, "%.*s%s%.*s", STR_ARG(all),
                               all.n ? "," : "", STR_ARG(text));
    *out = all;
    return true;
}

static bool get_member(struct evaluation *e, const struct variable *v,
                       struct str *out)
{
    const struct jwt *t = e->request->main->jwt;
    struct str value;
    if (!t || !json_member(v->arg ? t->header : t->payload, v->rest, &value))
        return false;
    return give_json(value, e->arena, out);
}

static bool get_payload(struct evaluation *e, const struct variable *v,
                        struct str *out)
{
    const struct jwt *t = e->request->main->jwt;
    (void)v;
    if (t)
        *out = t->payload;
    return t != NULL;
}

const struct variable auth_jwt_variables[] = {
    {.name = "jwt_claim_", .get = get_member, .arg = 0},
    {.name = "jwt_header_", .get = get_member, .arg = 1},
    {.name = "jwt_payload", .get = get_payload},
    {.name = NULL},
};

/* auth_jwt_claim_set: one name inside of another. */
struct jwt_path {
    struct str *names;
    size_t n;
    bool header;
};

static bool get_path(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    const struct jwt_path *path = (const struct jwt_path *)v->arg;
    const struct jwt *t = e->request->main->jwt;
    if (!t)
        return false;
    struct str value = path->header ? t->header : t->payload;
    for (size_t i = 0; i < path->n; i++)
        if (!json_member(value, path->names[i], &value))
            return false;
    return give_json(value, e->arena, out);
}

/* ---- configuration ---- */

static int set_realm(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct auth_jwt_conf *c = field;
    (void)scope, (void)row;

    c->token = NULL;
    if (node->words_n == 3) {
        struct str word = conf_arg(node, 2);
        if (!str_starts(word, STR("token=$")))
            return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
        c->token =
            value_compile(conf, conf->variables, str_slice(word, 6, word.n));
        if (!c->token)
            return -1;
    }
    if (memchr(conf_arg(node, 1).p, '"', conf_arg(node, 1).n))
        return conf_fail(conf, "the realm \"%.*s\" has a quotation mark in it",
                         STR_ARG(conf_arg(node, 1)));
    c->realm = value_compile(conf, conf->variables, conf_arg(node, 1));
    return c->realm ? 0 : -1;
}

static int set_key_file(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field)
{
    struct auth_jwt_conf *c = field;
    const char *path = conf_full_path(conf, conf_arg(node, 1), true);
    struct str text;
    struct err why;
    (void)row;

    if (c->keys_owner != scope) {
        c->keys = arena_calloc(conf->arena, sizeof *c->keys);
        c->keys_owner = scope;
    }
    if (conf_read_file(conf, path, &text) == -1)
        return -1;
    if (jwk_set_read(c->keys, text, conf->arena, &why) == -1)
        return conf_fail(conf, "no JSON Web Keys in \"%s\": %s", path,
                         why.text);
    return 0;
}

static int set_type(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)scope, (void)row, (void)field;
    if (str_eq(conf_arg(node, 1), STR("signed")))
        return 0;
    return conf_fail(conf,
                     "invalid value \"%.*s\", only \"signed\" tokens are "
                     "supported",
                     STR_ARG(conf_arg(node, 1)));
}

static int set_require(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct auth_jwt_conf *c = field;
    size_t n = node->words_n;
    int status = 401;
    (void)row;

    struct str last = conf_arg(node, n - 1);
    if (str_starts(last, STR("error="))) {
        status = str_eq(last, STR("error=403"))   ? 403
                 : str_eq(last, STR("error=401")) ? 401
                                                  : 0;
        if (!status || n == 2)
            return conf_fail(conf,
                             "invalid parameter \"%.*s\", expected error=401 "
                             "or error=403",
                             STR_ARG(last));
        n--;
    }
    for (size_t i = 1; i < n; i++) {
        struct jwt_require *require =
            arena_calloc(conf->arena, sizeof *require);
        require->status = status;
        require->value =
            value_compile(conf, conf->variables, conf_arg(node, i));
        if (!require->value)
            return -1;
        conf_list_add(conf, scope, &c->requires, require);
    }
    return 0;
}

static int set_path(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct str name = conf_arg(node, 1);
    struct jwt_path *path = arena_calloc(conf->arena, sizeof *path);
    (void)scope, (void)field;

    if (name.n < 2 || name.p[0] != '$')
        return conf_fail(conf, "invalid variable name \"%.*s\"", STR_ARG(name));
    name = str_slice(name, 1, name.n);
    struct variable *v = variables_define(conf->variables, name, get_path, 0);
    if (!v)
        return conf_fail(conf, "the duplicate \"%.*s\" variable",
                         STR_ARG(name));
    path->header = row->data != NULL;
    path->n = node->words_n - 2;
    path->names = arena_calloc(conf->arena, path->n * sizeof *path->names);
    for (size_t i = 0; i < path->n; i++)
        path->names[i] = conf_arg(node, i + 2);
    v->arg = (uintptr_t)path;
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION | CONF_LIMIT_EXCEPT,
};

static const struct directive directives[] = {
    {.name = "auth_jwt",
     .contexts = ANYWHERE,
     .arity = ARGS_1 | ARGS_2,
     .set = set_realm,
     .syntax = "REALM [token=$VARIABLE] | off",
     .help = "Asks for a signed JSON Web Token, in Authorization: Bearer or in "
             "the variable."},
    {.name = "auth_jwt_key_file",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = set_key_file,
     .syntax = "FILE",
     .help = "A JSON Web Key Set; it is read when the configuration is."},
    {.name = "auth_jwt_leeway",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1,
     .set = conf_set_sec,
     .offset = offsetof(struct auth_jwt_conf, leeway_s),
     .default_text = "0s",
     .help = "How far clocks may differ, for exp and nbf."},
    {.name = "auth_jwt_type",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = set_type,
     .default_text = "signed",
     .syntax = "signed",
     .help = "What tokens are."},
    {.name = "auth_jwt_require",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_require,
     .syntax = "VALUE ... [error=401|403]",
     .help = "None of the values may be empty or 0."},
    {.name = "auth_jwt_claim_set",
     .contexts = CONF_HTTP,
     .arity = ARGS_2_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_path,
     .syntax = "$VARIABLE NAME ...",
     .help = "A variable with a claim, or one inside of another."},
    {.name = "auth_jwt_header_set",
     .contexts = CONF_HTTP,
     .arity = ARGS_2_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_path,
     .data = "header",
     .syntax = "$VARIABLE NAME ...",
     .help = "The same of the token's header."},
    {.name = NULL},
};

struct conf_module auth_jwt_module = {
    .name = "auth_jwt",
    .size = sizeof(struct auth_jwt_conf),
    .directives = directives,
};

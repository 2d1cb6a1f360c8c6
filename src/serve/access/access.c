/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/access.h"

#include <arpa/inet.h>

#include "base/check.h"
#include "nameless.h"

/* ---- rules ---- */

/* Clear what is behind the prefix; true when something was there. */
static bool clear_tail(uint8_t *p, size_t n, unsigned bits)
{
    bool had = false;
    for (size_t i = 0; i < n; i++) {
        unsigned keep = bits >= 8 * (i + 1) ? 8
                        : bits > 8 * i      ? bits - 8 * (unsigned)i
                                            : 0;
        uint8_t mask = (uint8_t)(0xff00 >> keep);
        had = had || (p[i] & ~mask);
        p[i] &= mask;
    }
    return had;
}

int access_rule_read(struct access_rule *rule, struct str text)
{
    if (str_eq(text, STR("all"))) {
        rule->family = ACCESS_ALL;
        return 0;
    }
    if (str_eq(text, STR("unix:"))) {
        rule->family = ACCESS_UNIX;
        return 0;
    }

    size_t slash = str_find(text, '/', 0);
    char ip[INET6_ADDRSTRLEN];
    if (slash == 0 || slash >= sizeof ip || memchr(text.p, 0, slash))
        return -1;
    memcpy(ip, text.p, slash);
    ip[slash] = 0;

    unsigned size;
    memset(rule->prefix, 0, sizeof rule->prefix);
    if (inet_pton(AF_INET, ip, rule->prefix) == 1) {
        rule->family = ACCESS_V4;
        size = 4;
    } else if (inet_pton(AF_INET6, ip, rule->prefix) == 1) {
        rule->family = ACCESS_V6;
        size = 16;
    } else {
        return -1;
    }
    rule->bits = 8 * size;
    if (slash < text.n) {
        uint64_t bits;
        if (!str_to_u64(str_slice(text, slash + 1, text.n), 8 * size, &bits))
            return -1;
        rule->bits = (unsigned)bits;
    }
    return clear_tail(rule->prefix, size, rule->bits) ? 1 : 0;
}

static bool has_prefix(const struct access_rule *rule, const uint8_t *address)
{
    unsigned bytes = rule->bits / 8, rest = rule->bits % 8;
    if (memcmp(address, rule->prefix, bytes) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00 >> rest);
    return rest == 0 || (address[bytes] & mask) == rule->prefix[bytes];
}

bool access_rule_fits(const struct access_rule *rule,
                      const struct address *address)
{
    const uint8_t *v4 = NULL, *v6 = NULL;

    if (address->sa.any.sa_family == AF_INET) {
        v4 = (const uint8_t *)&address->sa.in.sin_addr;
    } else if (address->sa.any.sa_family == AF_INET6) {
        v6 = address->sa.in6.sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&address->sa.in6.sin6_addr))
            v4 = v6 + 12;
    }
    switch (rule->family) {
    case ACCESS_ALL:
        return true;
    case ACCESS_V4:
        return v4 && has_prefix(rule, v4);
    case ACCESS_V6:
        return v6 && has_prefix(rule, v6);
    case ACCESS_UNIX:
        return address_is_unix(address);
    }
    return false;
}

/* ---- configuration ---- */

static int set_rule(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct access_conf *c = field;
    struct access_rule *rule = arena_calloc(conf->arena, sizeof *rule);
    struct str text = conf_arg(node, 1);
    (void)row;

    int got = access_rule_read(rule, text);
    if (got == -1)
        return conf_fail(conf,
                         "invalid parameter \"%.*s\", expected an address, "
                         "a network such as 10.0.0.0/8, \"unix:\" or \"all\"",
                         STR_ARG(text));
    if (got == 1)
        conf_warn(conf, "low address bits of %.*s are meaningless",
                  STR_ARG(text));
    rule->deny = str_eq(conf_arg(node, 0), STR("deny"));
    conf_list_add(conf, scope, &c->rules, rule);
    return 0;
}

static const struct {
    const char *name;
    enum method method;
} limitable[] = {
    {"GET", METHOD_GET},         {"HEAD", METHOD_HEAD},
    {"POST", METHOD_POST},       {"PUT", METHOD_PUT},
    {"DELETE", METHOD_DELETE},   {"MKCOL", METHOD_MKCOL},
    {"COPY", METHOD_COPY},       {"MOVE", METHOD_MOVE},
    {"OPTIONS", METHOD_OPTIONS}, {"PROPFIND", METHOD_PROPFIND},
    {"LOCK", METHOD_LOCK},       {"PROPPATCH", METHOD_PROPPATCH},
    {"UNLOCK", METHOD_UNLOCK},   {"PATCH", METHOD_PATCH},
    {"CONNECT", METHOD_CONNECT},
};

static int read_method(struct conf *conf, struct str word, unsigned *methods)
{
    for (size_t i = 0; i < COUNT(limitable); i++)
        if (str_eq_nocase(word, str_c(limitable[i].name))) {
            *methods |= 1u << limitable[i].method;
            return 0;
        }
    return conf_fail(conf, "invalid method \"%.*s\"", STR_ARG(word));
}

static int set_limit_except(struct conf *conf, struct conf_scope *scope,
                            const struct directive *row,
                            const struct conf_node *node, void *field)
{
    struct access_conf *c = field;
    (void)row;

    if (c->limit_owner == scope)
        return conf_fail(conf, "\"limit_except\" directive is duplicate");
    c->limit_owner = NULL;
    c->allowed = 0;
    for (size_t i = 1; i < node->words_n; i++)
        if (read_method(conf, conf_arg(node, i), &c->allowed) == -1)
            return -1;
    /* Who may GET may ask for the head of it. */
    if (c->allowed & 1u << METHOD_GET)
        c->allowed |= 1u << METHOD_HEAD;

    c->limited = nameless_location(conf, scope, CONF_LIMIT_EXCEPT, node);
    if (!c->limited)
        return -1;
    c->limit_owner = scope;
    return 0;
}

static int set_internal(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field)
{
    struct access_conf *c = field;
    (void)conf, (void)scope, (void)row, (void)node;
    c->internal = true;
    return 0;
}

static const struct conf_enum satisfy_names[] = {
    {"all", SATISFY_ALL},
    {"any", SATISFY_ANY},
    {NULL, 0},
};

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive access_directives[] = {
    {.name = "allow",
     .syntax = "ADDRESS | NETWORK | unix: | all",
     .contexts = ANYWHERE | CONF_LIMIT_EXCEPT,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = set_rule,
     .help = "ADDRESS | NETWORK/BITS | unix: | all: who may ask."},
    {.name = "deny",
     .syntax = "ADDRESS | NETWORK | unix: | all",
     .contexts = ANYWHERE | CONF_LIMIT_EXCEPT,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = set_rule,
     .help = "ADDRESS | NETWORK/BITS | unix: | all: who may not."},
    {.name = "limit_except",
     .syntax = "METHOD ...",
     .contexts = CONF_LOCATION,
     .arity = ARGS_1_MORE,
     .flags = CONF_BLOCK,
     .set = set_limit_except,
     .help = "Settings for all methods but these."},
    {.name = "internal",
     .contexts = CONF_LOCATION,
     .arity = ARGS_0,
     .set = set_internal,
     .help = "For internal redirects only; others get 404."},
    {.name = "satisfy",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .data = satisfy_names,
     .offset = offsetof(struct access_conf, satisfy),
     .default_text = "all",
     .help = "all: every kind of access check must agree; any: one of them."},
    {.name = "auth_delay",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = offsetof(struct access_conf, delay_ms),
     .default_text = "0s",
     .help = "How long a 401 is held back, so that guessing takes time."},
    {.name = NULL},
};

struct conf_module access_module = {
    .name = "access",
    .size = sizeof(struct access_conf),
    .directives = access_directives,
};

/* ---- at run time ---- */

int access_enter(struct request *r)
{
    const struct access_conf *c = request_conf(r, &access_module);

    if (c->internal && !r->internal)
        return 404;
    if (c->limit_owner && c->limit_owner == r->location->scope &&
        !(c->allowed & 1u << r->head.method))
        r->location = c->limited;
    return VERDICT_DECLINED;
}

int access_rules_check(struct request *r)
{
    const struct access_conf *c = request_conf(r, &access_module);

    for (size_t i = 0; i < c->rules.n; i++) {
        const struct access_rule *rule = c->rules.items[i];
        if (!access_rule_fits(rule, request_remote(r)))
            continue;
        if (!rule->deny)
            return ACCESS_GRANTED;
        if (c->satisfy == SATISFY_ALL)
            log_err(&r->log, "access forbidden by rule");
        return 403;
    }
    return VERDICT_DECLINED;
}

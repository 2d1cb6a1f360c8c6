/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/health.h"
#include "peers/peers.h"

struct health_conf {
    struct match *matches;
    struct health_check *check; /* this location's; not inherited */
    const struct conf_scope *owner;
};

static int invalid(struct conf *conf, struct str word)
{
    return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
}

/* ---- match NAME { } ---- */

/* "200", "500-599" */
static int add_status(struct conf *conf, struct match *m, struct str word)
{
    struct str high = word;
    struct str low = str_cut(&high, '-');
    uint64_t from, to;
    struct match_status *more =
        arena_alloc(conf->arena, (m->statuses_n + 1) * sizeof *more);

    if (!str_to_u64(low, 999, &from) || from < 100)
        return conf_fail(conf, "invalid status \"%.*s\"", STR_ARG(word));
    to = from;
    if (high.p && (!str_to_u64(high, 999, &to) || to < from))
        return conf_fail(conf, "invalid status \"%.*s\"", STR_ARG(word));
    if (m->statuses_n)
        memcpy(more, m->statuses, m->statuses_n * sizeof *more);
    more[m->statuses_n++] = (struct match_status){(unsigned)from, (unsigned)to};
    m->statuses = more;
    return 0;
}

static int read_status(struct conf *conf, struct match *m,
                       const struct conf_node *entry)
{
    size_t i = 1;

    if (m->statuses_said)
        return conf_fail(conf, "\"status\" is duplicate");
    m->statuses_said = true;
    if (entry->words_n > 1 && str_eq(conf_arg(entry, 1), STR("!"))) {
        m->statuses_negated = true;
        i++;
    }
    if (i == entry->words_n)
        return conf_fail(conf, "invalid number of arguments in \"status\"");
    for (; i < entry->words_n; i++)
        if (add_status(conf, m, conf_arg(entry, i)) == -1)
            return -1;
    return 0;
}

static struct regex *read_regex(struct conf *conf, struct str pattern)
{
    return regex_compile(conf->arena, pattern, false, conf->err);
}

/* header [!] NAME; header NAME = | != | ~ | !~ VALUE */
static int read_header(struct conf *conf, struct match *m,
                       const struct conf_node *entry)
{
    struct match_header h = {.negated = false};
    struct match_header *more =
        arena_alloc(conf->arena, (m->headers_n + 1) * sizeof *more);
    size_t n = entry->words_n;

    if (n == 3 && str_eq(conf_arg(entry, 1), STR("!"))) {
        h.negated = true;
        h.name = conf_arg(entry, 2);
    } else if (n == 2 || n == 4) {
        h.name = conf_arg(entry, 1);
    } else {
        return conf_fail(conf, "invalid number of arguments in \"header\"");
    }
    if (n == 4) {
        struct str how = conf_arg(entry, 2);
        h.negated = how.n == 2;
        if (str_eq(how, STR("=")) || str_eq(how, STR("!=")))
            h.value = conf_arg(entry, 3);
        else if (!str_eq(how, STR("~")) && !str_eq(how, STR("!~")))
            return invalid(conf, how);
        else if (!(h.regex = read_regex(conf, conf_arg(entry, 3))))
            return -1;
    }
    if (m->headers_n)
        memcpy(more, m->headers, m->headers_n * sizeof *more);
    more[m->headers_n++] = h;
    m->headers = more;
    return 0;
}

static int read_body(struct conf *conf, struct match *m,
                     const struct conf_node *entry)
{
    if (entry->words_n != 3)
        return conf_fail(conf, "invalid number of arguments in \"body\"");
    if (m->body)
        return conf_fail(conf, "\"body\" is duplicate");
    struct str how = conf_arg(entry, 1);
    m->body_negated = str_eq(how, STR("!~"));
    if (!m->body_negated && !str_eq(how, STR("~")))
        return invalid(conf, how);
    m->body = read_regex(conf, conf_arg(entry, 2));
    return m->body ? 0 : -1;
}

static int read_rule(struct conf *conf, struct match *m,
                     const struct conf_node *entry)
{
    struct str name = conf_arg(entry, 0);

    if (str_eq(name, STR("status")))
        return read_status(conf, m, entry);
    if (str_eq(name, STR("header")))
        return read_header(conf, m, entry);
    if (str_eq(name, STR("body")))
        return read_body(conf, m, entry);
    return conf_fail(conf,
                     "unknown directive \"%.*s\", expected \"status\", "
                     "\"header\" or \"body\"",
                     STR_ARG(name));
}

static struct match *find_match(const struct health_conf *c, struct str name)
{
    struct match *m = c->matches;
    while (m && !str_eq(m->name, name))
        m = m->next;
    return m;
}

static int block_match(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct health_conf *c = field;
    struct match *m = arena_calloc(conf->arena, sizeof *m);
    const struct conf_node *entry = NULL;
    int rc;
    (void)scope, (void)row;

    m->name = conf_arg(node, 1);
    if (find_match(c, m->name))
        return conf_fail(conf, "duplicate match \"%.*s\"", STR_ARG(m->name));
    m->next = c->matches;
    c->matches = m;
    while ((rc = conf_entry_next(conf, node, &entry)) == 1)
        if (read_rule(conf, m, entry) == -1)
            return -1;
    return rc;
}

/* ---- health_check ---- */

static int read_number(struct conf *conf, struct str word, struct str value,
                       uint64_t max, uint64_t *out)
{
    if (str_to_u64(value, max, out) && *out)
        return 0;
    return invalid(conf, word);
}

static int read_time(struct conf *conf, struct str word, struct str value,
                     uint64_t *out)
{
    return conf_parse_ms(value, out) ? 0 : invalid(conf, word);
}

static int read_match(struct conf *conf, struct health_conf *c, struct str name)
{
    c->check->match = find_match(c, name);
    if (c->check->match)
        return 0;
    return conf_fail(conf, "match \"%.*s\" is not defined", STR_ARG(name));
}

static bool is_uri(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '#')
            return false;
    return s.n && s.p[0] == '/';
}

static int read_parameter(struct conf *conf, struct health_conf *conf_here,
                          struct str word)
{
    struct health_check *c = conf_here->check;
    struct str value = word;
    struct str name = str_cut(&value, '=');

    if (str_eq(name, STR("interval")) && !str_eq(value, STR("0")))
        return read_time(conf, word, value, &c->interval_ms);
    if (str_eq(name, STR("jitter")))
        return read_time(conf, word, value, &c->jitter_ms);
    if (str_eq(name, STR("fails")))
        return read_number(conf, word, value, UINT32_MAX, &c->fails);
    if (str_eq(name, STR("passes")))
        return read_number(conf, word, value, UINT32_MAX, &c->passes);
    if (str_eq(name, STR("port")))
        return read_number(conf, word, value, 65535, &c->port);
    if (str_eq(name, STR("match")))
        return read_match(conf, conf_here, value);
    if (str_eq(name, STR("uri")) && is_uri(value)) {
        c->uri = value;
        return 0;
    }
    if (str_eq(word, STR("mandatory"))) {
        c->mandatory = true;
        return 0;
    }
    if (str_eq(word, STR("persistent"))) {
        c->persistent = true;
        return 0;
    }
    if (str_eq(word, STR("type=http")))
        return 0;
    if (str_eq(name, STR("type")) || str_eq(name, STR("grpc_service")) ||
        str_eq(name, STR("grpc_status")) || str_eq(name, STR("keepalive_time")))
        return conf_fail(conf,
                         "the \"%.*s\" parameter of \"health_check\" is "
                         "not supported",
                         STR_ARG(word));
    return invalid(conf, word);
}

static int set_check(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct health_conf *c = field;
    struct health_check *check = arena_calloc(conf->arena, sizeof *check);
    (void)row;

    *check = (struct health_check){
        .node = node,
        .scope = scope,
        .interval_ms = 5000,
        .fails = 1,
        .passes = 1,
        .uri = STR("/"),
    };
    c->check = check;
    c->owner = scope;
    for (size_t i = 1; i < node->words_n; i++)
        if (read_parameter(conf, c, conf_arg(node, i)) == -1)
            return -1;
    if (!check->interval_ms)
        return conf_fail(conf, "invalid interval");
    if (check->persistent && !check->mandatory)
        return conf_fail(conf, "\"persistent\" needs \"mandatory\"");
    return 0;
}

extern struct conf_module health_module;

/* The proxy_pass of the location is known by now. */
static int on_scope(struct conf *conf, struct conf_scope *scope,
                    void *module_conf)
{
    struct health_conf *here = module_conf;
    struct health_check *c = here->check;

    if (!c || here->owner != scope)
        return 0;
    c->proxy = conf_get(scope, &proxy_module);
    c->upstream = c->proxy->owner == scope ? c->proxy->upstream : NULL;
    if (!c->upstream || !c->upstream->is_block)
        return conf_fail_at(conf, c->node,
                            "\"health_check\" needs a \"proxy_pass\" to an "
                            "upstream{} in its location");
    if (c->upstream->check)
        return conf_fail_at(conf, c->node,
                            "upstream \"%.*s\" has a \"health_check\" already",
                            STR_ARG(c->upstream->name));
    c->upstream->check = c;
    return 0;
}

static const struct directive health_directives[] = {
    {.name = "match",
     .syntax = "NAME",
     .contexts = CONF_HTTP,
     .arity = ARGS_1,
     .flags = CONF_BLOCK | CONF_REPEATABLE | CONF_DEFINES,
     .set = block_match,
     .help = "What a good answer to a health_check is: `status`, `header` and "
             "`body` rules, which must all agree."},
    {.name = "health_check",
     .syntax = "[interval=TIME] [jitter=TIME] [fails=N] [passes=N] [uri=URI] "
               "[port=N] [match=NAME] [mandatory [persistent]]",
     .contexts = CONF_LOCATION,
     .arity = ARGS_ANY,
     .set = set_check,
     .help = "Ask each server of the location's upstream{} again and again; "
             "who does not answer well gets no requests."},
    {.name = NULL},
};

struct conf_module health_module = {
    .name = "health",
    .size = sizeof(struct health_conf),
    .directives = health_directives,
    .on_scope = on_scope,
};

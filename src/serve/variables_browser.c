/* SPDX-License-Identifier: BSD-2-Clause */
/* Which browsers are old, as User-Agent says it. */
#include "base/check.h"
#include "serve/request.h"
#include "serve/variables.h"

enum {
    VERSION_PARTS = 4,
    PART_MAX = 65535, /* of a version: 16 bits each */
};

enum browser_age { BROWSER_ANCIENT = 0, BROWSER_MODERN = 1 };

struct modern_browser {
    const struct browser_kind *kind;
    uint64_t version; /* this one and later ones are modern */
};

struct browser_conf {
    struct conf_list modern;  /* struct modern_browser */
    struct conf_list ancient; /* const char: a part of User-Agent */
    bool unlisted_is_modern;
    struct value *modern_value, *ancient_value; /* NULL: "1" */
};

/* In the order they are looked for: some say that they are others, too. */
static const struct browser_kind {
    const char *name, *mark; /* its version stands behind the mark */
    size_t skip;             /* bytes behind the mark */
} kinds[] = {
    {"opera", "Opera", 1}, /* "Opera/7" or "Opera 7" */
    {"msie", "MSIE ", 0},     {"gecko", "rv:", 0},
    {"safari", "Safari/", 0}, {"konqueror", "Konqueror/", 0},
};

/* ---- versions ---- */

/* "5.5.1": up to four numbers; *end is what follows. */
static uint64_t read_version(struct str s, size_t *end)
{
    uint64_t version = 0;
    size_t at = 0;

    for (int part = 0; part < VERSION_PARTS; part++) {
        uint64_t n = 0;
        while (at < s.n && ascii_is_digit(s.p[at])) {
            n = n * 10 + (uint64_t)(s.p[at++] - '0');
            if (n > PART_MAX)
                n = PART_MAX;
        }
        version = version << 16 | n;
        bool more = at + 1 < s.n && s.p[at] == '.' &&
                    ascii_is_digit(s.p[at + 1]) && part + 1 < VERSION_PARTS;
        at += more;
        if (!more) {
            version <<= 16 * (VERSION_PARTS - 1 - part);
            break;
        }
    }
    *end = at;
    return version;
}

/* ---- a request's browser ---- */

static enum browser_age age_of(const struct browser_conf *c, struct str agent)
{
    for (size_t k = 0; k < COUNT(kinds); k++) {
        const char *at = agent.n ? memmem(agent.p, agent.n, kinds[k].mark,
                                          strlen(kinds[k].mark))
                                 : NULL;
        size_t end;
        if (!at)
            continue;
        size_t from =
            (size_t)(at - agent.p) + strlen(kinds[k].mark) + kinds[k].skip;
        uint64_t version = read_version(str_slice(agent, from, agent.n), &end);
        for (size_t i = 0; i < c->modern.n; i++) {
            const struct modern_browser *m = c->modern.items[i];
            if (m->kind == &kinds[k])
                return version >= m->version ? BROWSER_MODERN : BROWSER_ANCIENT;
        }
        /* Opera says that it is others: it is not taken for them. */
        if (k == 0 && c->modern.n)
            return BROWSER_ANCIENT;
    }
    for (size_t i = 0; i < c->ancient.n; i++) {
        const char *part = c->ancient.items[i];
        if (agent.n && memmem(agent.p, agent.n, part, strlen(part)))
            return BROWSER_ANCIENT;
    }
    return c->unlisted_is_modern ? BROWSER_MODERN : BROWSER_ANCIENT;
}

static bool get_browser(struct evaluation *e, const struct variable *v,
                        struct str *out)
{
    const struct browser_conf *c = request_conf(e->request, &browser_module);
    struct str agent = http_head_find(&e->request->head, STR("User-Agent"));

    *out = STR("");
    if (age_of(c, agent) != (enum browser_age)v->arg)
        return true;
    const struct value *value =
        v->arg == BROWSER_MODERN ? c->modern_value : c->ancient_value;
    *out = value ? value_eval(value, e) : STR("1");
    return true;
}

static bool get_msie(struct evaluation *e, const struct variable *v,
                     struct str *out)
{
    struct str agent = http_head_find(&e->request->head, STR("User-Agent"));
    (void)v;
    *out = agent.n && memmem(agent.p, agent.n, "MSIE ", 5) &&
                   !memmem(agent.p, agent.n, "Opera", 5)
               ? STR("1")
               : STR("");
    return true;
}

const struct variable browser_variables[] = {
    {.name = "modern_browser", .get = get_browser, .arg = BROWSER_MODERN},
    {.name = "ancient_browser", .get = get_browser, .arg = BROWSER_ANCIENT},
    {.name = "msie", .get = get_msie},
    {.name = NULL},
};

/* ---- configuration ---- */

static int set_modern(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct browser_conf *c = field;
    struct str name = conf_arg(node, 1);
    (void)row;

    if (node->words_n == 2) {
        if (!str_eq(name, STR("unlisted")))
            return conf_fail(conf, "invalid number of arguments in "
                                   "\"modern_browser\" directive");
        c->unlisted_is_modern = true;
        return 0;
    }
    struct modern_browser *m = arena_calloc(conf->arena, sizeof *m);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (str_eq(name, str_c(kinds[i].name)))
            m->kind = &kinds[i];
    if (!m->kind)
        return conf_fail(conf, "unknown browser name \"%.*s\"", STR_ARG(name));
    size_t end;
    struct str version = conf_arg(node, 2);
    m->version = read_version(version, &end);
    if (!end || end != version.n)
        return conf_fail(conf, "invalid browser version \"%.*s\"",
                         STR_ARG(version));
    conf_list_add(conf, scope, &c->modern, m);
    return 0;
}

static int set_ancient(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    (void)row;
    for (size_t i = 1; i < node->words_n; i++) {
        bool is_netscape = str_eq(conf_arg(node, i), STR("netscape4"));
        conf_list_add(conf, scope, field,
                      is_netscape ? (char *)(uintptr_t) "Mozilla/4"
                                  : arena_cstr(conf->arena, conf_arg(node, i)));
    }
    return 0;
}

enum { ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION };

#define FIELD(name) offsetof(struct browser_conf, name)

static const struct directive browser_directives[] = {
    {.name = "modern_browser",
     .contexts = ANYWHERE,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_modern,
     .syntax = "BROWSER VERSION | unlisted",
     .help = "The version from which on a browser (msie, gecko, opera, "
             "safari, konqueror) is modern, or all that are not listed."},
    {.name = "ancient_browser",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_ancient,
     .offset = FIELD(ancient),
     .syntax = "TEXT...",
     .help = "Browsers with this in their User-Agent are ancient."},
    {.name = "modern_browser_value",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = value_set,
     .offset = FIELD(modern_value),
     .default_text = "1",
     .syntax = "TEXT",
     .help = "$modern_browser for modern browsers."},
    {.name = "ancient_browser_value",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = value_set,
     .offset = FIELD(ancient_value),
     .default_text = "1",
     .syntax = "TEXT",
     .help = "$ancient_browser for ancient browsers."},
    {.name = NULL},
};

struct conf_module browser_module = {
    .name = "browser",
    .size = sizeof(struct browser_conf),
    .directives = browser_directives,
};

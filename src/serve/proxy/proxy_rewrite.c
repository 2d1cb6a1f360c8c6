/* SPDX-License-Identifier: BSD-2-Clause */
/* What a response says about places: Location and Refresh (proxy_redirect),
 * and the attributes of cookies (proxy_cookie_*). */
#include "base/check.h"
#include "proxy_parts.h"
#include "serve/core.h"

struct proxy_rewrite_conf {
    struct conf_list redirects; /* struct place_rule */
    bool redirect_said;         /* the default one is not implied */
    struct conf_list domains;   /* struct place_rule */
    struct conf_list paths;
    struct conf_list flags; /* struct flags_rule */
};

/* A pattern and what takes its place. */
struct place_rule {
    struct value *from; /* NULL: regex, or the default redirect */
    struct regex *regex;
    struct regex_names *names;
    struct value *to;
};

struct flags_rule {
    struct place_rule cookie; /* which: to is NULL */
    struct value **flags;
    size_t flags_n;
};

enum cookie_flag {
    COOKIE_SECURE = 1 << 0,
    COOKIE_NOSECURE = 1 << 1,
    COOKIE_HTTPONLY = 1 << 2,
    COOKIE_NOHTTPONLY = 1 << 3,
    COOKIE_STRICT = 1 << 4,
    COOKIE_LAX = 1 << 5,
    COOKIE_NONE = 1 << 6,
    COOKIE_NOSAMESITE = 1 << 7,
    COOKIE_SAMESITE =
        COOKIE_STRICT | COOKIE_LAX | COOKIE_NONE | COOKIE_NOSAMESITE,
};

static const struct proxy_rewrite_conf *conf_of(const struct proxy *p)
{
    return request_conf(p->request, &proxy_rewrite_module);
}

static bool rule_matches_regex(const struct place_rule *rule, struct str text,
                               struct evaluation *e)
{
    if (!regex_match(rule->regex, text, &e->captures))
        return false;
    if (rule->names)
        regex_names_store(rule->names, e);
    return true;
}

/* ---- Location, Refresh ---- */

struct str proxy_rewrite_location(struct proxy *p, struct str location)
{
    const struct conf_list *rules = &conf_of(p)->redirects;
    struct request *r = p->request;

    for (size_t i = 0; i < rules->n; i++) {
        const struct place_rule *rule = rules->items[i];
        if (rule->regex) {
            if (!rule_matches_regex(rule, location, &r->eval))
                continue;
            return value_eval(rule->to, &r->eval);
        }
        struct str from = value_eval(rule->from, &r->eval);
        if (!str_starts(location, from))
            continue;
        return arena_printf(r->arena, "%.*s%.*s",
                            STR_ARG(value_eval(rule->to, &r->eval)),
                            STR_ARG(str_slice(location, from.n, location.n)));
    }
    return location;
}

/* "5; url=http://peer/" */
struct str proxy_rewrite_refresh(struct proxy *p, struct str refresh)
{
    static const struct str mark = STR_INIT("url=");

    for (size_t i = 0; i + mark.n <= refresh.n; i++) {
        struct str rest = str_slice(refresh, i, refresh.n);
        if (!str_starts_nocase(rest, mark))
            continue;
        struct str url =
            proxy_rewrite_location(p, str_slice(rest, mark.n, rest.n));
        return arena_printf(p->request->arena, "%.*s%.*s",
                            STR_ARG(str_slice(refresh, 0, i + mark.n)),
                            STR_ARG(url));
    }
    return refresh;
}

/* ---- Set-Cookie (RFC 6265 section 4.1) ---- */

struct part {
    struct str key, value; /* value.p NULL: there was no "=" */
};

struct cookie {
    struct part *parts; /* the first is its name and value */
    size_t n;
};

enum {
    PARTS_ADDED_MAX = 3 /* Secure, HttpOnly, SameSite */
};

static struct cookie cookie_split(struct arena *arena, struct str text)
{
    struct cookie c = {.n = 0};
    size_t most = 1 + PARTS_ADDED_MAX;

    for (size_t i = 0; i < text.n; i++)
        most += text.p[i] == ';';
    c.parts = arena_alloc(arena, most * sizeof *c.parts);
    for (struct str rest = text; rest.p;) {
        struct str word = str_trim(str_cut(&rest, ';'));
        size_t equals = str_find(word, '=', 0);
        struct part *part = &c.parts[c.n++];
        part->key = str_slice(word, 0, equals);
        part->value = equals < word.n ? str_slice(word, equals + 1, word.n)
                                      : (struct str){NULL, 0};
    }
    return c;
}

static struct str cookie_join(struct arena *arena, const struct cookie *c)
{
    struct buf text = {0};

    for (size_t i = 0; i < c->n; i++) {
        if (i)
            buf_put_str(&text, STR("; "));
        buf_put_str(&text, c->parts[i].key);
        if (c->parts[i].value.p) {
            buf_put_u8(&text, '=');
            buf_put_str(&text, c->parts[i].value);
        }
    }
    struct str joined = arena_str(arena, buf_str(&text));
    buf_fini(&text);
    return joined;
}

/* The first domain rule that fits gives another value. */
static bool rewrite_domain(const struct conf_list *rules, struct evaluation *e,
                           struct str *domain)
{
    bool dot = domain->n && domain->p[0] == '.';
    struct str bare = str_slice(*domain, dot, domain->n);

    for (size_t i = 0; i < rules->n; i++) {
        const struct place_rule *rule = rules->items[i];
        if (rule->regex) {
            if (!rule_matches_regex(rule, *domain, e))
                continue;
        } else {
            struct str from = value_eval(rule->from, e);
            if (from.n && from.p[0] == '.')
                from = str_slice(from, 1, from.n);
            if (!str_eq_nocase(from, bare))
                continue;
        }
        struct str to = value_eval(rule->to, e);
        bool keep_dot = dot && !rule->regex;
        *domain = keep_dot ? arena_printf(e->arena, ".%.*s", STR_ARG(to)) : to;
        return true;
    }
    return false;
}

/* As for Location: what is behind the pattern stays. */
static bool rewrite_path(const struct conf_list *rules, struct evaluation *e,
                         struct str *path)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct place_rule *rule = rules->items[i];
        if (rule->regex) {
            if (!rule_matches_regex(rule, *path, e))
                continue;
            *path = value_eval(rule->to, e);
            return true;
        }
        struct str from = value_eval(rule->from, e);
        if (!str_starts(*path, from))
            continue;
        *path =
            arena_printf(e->arena, "%.*s%.*s", STR_ARG(value_eval(rule->to, e)),
                         STR_ARG(str_slice(*path, from.n, path->n)));
        return true;
    }
    return false;
}

static bool
rewrite_attributes(const struct conf_list *rules, struct evaluation *e,
                   struct cookie *c, struct str name,
                   bool (*rewrite)(const struct conf_list *rules,
                                   struct evaluation *e, struct str *value))
{
    bool changed = false;

    for (size_t i = 1; i < c->n && rules->n; i++)
        if (c->parts[i].value.p && str_eq_nocase(c->parts[i].key, name) &&
            rewrite(rules, e, &c->parts[i].value))
            changed = true;
    return changed;
}

static unsigned flag_of(struct str text)
{
    static const struct {
        const char *name;
        unsigned flag;
    } flags[] = {
        {"secure", COOKIE_SECURE},          {"nosecure", COOKIE_NOSECURE},
        {"httponly", COOKIE_HTTPONLY},      {"nohttponly", COOKIE_NOHTTPONLY},
        {"samesite=strict", COOKIE_STRICT}, {"samesite=lax", COOKIE_LAX},
        {"samesite=none", COOKIE_NONE},     {"nosamesite", COOKIE_NOSAMESITE},
    };
    for (size_t i = 0; i < COUNT(flags); i++)
        if (str_eq(text, str_c(flags[i].name)))
            return flags[i].flag;
    return 0;
}

static unsigned flags_of(const struct flags_rule *rule, struct request *r)
{
    unsigned all = 0;

    for (size_t i = 0; i < rule->flags_n; i++) {
        struct str text = value_eval(rule->flags[i], &r->eval);
        unsigned flag = flag_of(text);
        if (!flag && text.n)
            log_err(&r->log, "invalid proxy_cookie_flags flag \"%.*s\"",
                    STR_ARG(text));
        all |= flag;
    }
    return all;
}

static void set_part(struct cookie *c, struct str key, struct str value,
                     bool add, bool remove)
{
    size_t kept = 1;
    bool found = false;

    for (size_t i = 1; i < c->n; i++) {
        if (str_eq_nocase(c->parts[i].key, key)) {
            if (remove)
                continue;
            if (add && value.p)
                c->parts[i] = (struct part){key, value};
            found = true;
        }
        c->parts[kept++] = c->parts[i];
    }
    c->n = kept;
    if (add && !found)
        c->parts[c->n++] = (struct part){key, value};
}

static void apply_flags(struct cookie *c, unsigned flags)
{
    static const struct str none = {NULL, 0};
    struct str site = flags & COOKIE_STRICT ? STR("Strict")
                      : flags & COOKIE_LAX  ? STR("Lax")
                                            : STR("None");

    set_part(c, STR("Secure"), none, flags & COOKIE_SECURE,
             flags & COOKIE_NOSECURE);
    set_part(c, STR("HttpOnly"), none, flags & COOKIE_HTTPONLY,
             flags & COOKIE_NOHTTPONLY);
    if (flags & COOKIE_SAMESITE)
        set_part(c, STR("SameSite"), site, !(flags & COOKIE_NOSAMESITE),
                 flags & COOKIE_NOSAMESITE);
}

static bool rewrite_flags(const struct conf_list *rules, struct request *r,
                          struct cookie *c)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct flags_rule *rule = rules->items[i];
        struct str name = c->parts[0].key;
        bool fits =
            rule->cookie.regex
                ? rule_matches_regex(&rule->cookie, name, &r->eval)
                : str_eq_nocase(name, value_eval(rule->cookie.from, &r->eval));
        if (!fits)
            continue;
        unsigned flags = flags_of(rule, r);
        apply_flags(c, flags);
        return flags != 0;
    }
    return false;
}

struct str proxy_rewrite_cookie(struct proxy *p, struct str cookie)
{
    const struct proxy_rewrite_conf *conf = conf_of(p);
    struct request *r = p->request;

    if (!conf->domains.n && !conf->paths.n && !conf->flags.n)
        return cookie;
    struct cookie c = cookie_split(r->arena, cookie);
    if (!c.parts[0].value.p)
        return cookie; /* no name: nginx leaves it alone */
    bool domain = rewrite_attributes(&conf->domains, &r->eval, &c,
                                     STR("Domain"), rewrite_domain);
    bool path = rewrite_attributes(&conf->paths, &r->eval, &c, STR("Path"),
                                   rewrite_path);
    bool flags = rewrite_flags(&conf->flags, r, &c);
    return domain || path || flags ? cookie_join(r->arena, &c) : cookie;
}

/* ---- the directives ---- */

/* "~ REGEX" where it may be one, else a text with variables.  always: without
 * regard to case; else "~*" says so. */
static int read_pattern(struct conf *conf, struct place_rule *rule,
                        struct str text, bool always)
{
    if (!text.n || text.p[0] != '~') {
        rule->from = value_compile(conf, conf->variables, text);
        return rule->from ? 0 : -1;
    }
    bool star = !always && text.n > 1 && text.p[1] == '*';
    rule->regex =
        regex_compile(conf->arena, str_slice(text, star ? 2 : 1, text.n),
                      star || always, conf->err);
    if (!rule->regex)
        return -1;
    rule->names = regex_names_define(conf->variables, rule->regex, conf->err);
    return rule->names ? 0 : -1;
}

/* What takes proxy_pass's place in front of a Location: the location's own
 * text. */
static int default_redirect(struct conf *conf, struct conf_scope *scope,
                            struct place_rule *rule)
{
    const struct proxy_conf *proxy = conf_get(scope, &proxy_module);
    const struct location *l = location_of_scope(scope);

    if (!l || proxy->owner != scope)
        return conf_fail(conf, "\"proxy_redirect default\" should be placed "
                               "after the \"proxy_pass\" directive");
    if (proxy->url)
        return conf_fail(conf, "\"proxy_redirect default\" cannot be used "
                               "with \"proxy_pass\" directive with variables");
    struct str from = proxy->uri.p ? proxy->url_text
                                   : arena_printf(conf->arena, "%.*s/",
                                                  STR_ARG(proxy->url_text));
    rule->from = value_compile(conf, conf->variables, from);
    rule->to =
        value_compile(conf, conf->variables, proxy->uri.p ? l->text : STR("/"));
    return rule->from && rule->to ? 0 : -1;
}

static int set_redirect(struct conf *conf, struct conf_scope *scope,
                        const struct directive *row,
                        const struct conf_node *node, void *field)
{
    struct proxy_rewrite_conf *c = field;
    struct str from = conf_arg(node, 1);
    struct place_rule *rule = arena_calloc(conf->arena, sizeof *rule);
    (void)row;

    c->redirect_said = true;
    if (node->words_n == 2) {
        if (str_eq(from, STR("off"))) {
            conf_list_clear(scope, &c->redirects);
            return 0;
        }
        if (!str_eq(from, STR("default")))
            return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(from));
        if (default_redirect(conf, scope, rule) == -1)
            return -1;
    } else {
        if (read_pattern(conf, rule, from, false) == -1)
            return -1;
        rule->to = value_compile(conf, conf->variables, conf_arg(node, 2));
        if (!rule->to)
            return -1;
    }
    conf_list_add(conf, scope, &c->redirects, rule);
    return 0;
}

/* "off" clears; true when that was said. */
static int said_off(struct conf *conf, struct conf_scope *scope,
                    const struct conf_node *node, struct conf_list *list)
{
    struct str word = conf_arg(node, 1);

    if (node->words_n != 2)
        return 0;
    if (!str_eq(word, STR("off")))
        return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
    conf_list_clear(scope, list);
    return 1;
}

static int set_place(struct conf *conf, struct conf_scope *scope,
                     struct conf_list *list, const struct conf_node *node,
                     bool nocase)
{
    struct place_rule *rule = arena_calloc(conf->arena, sizeof *rule);
    int off = said_off(conf, scope, node, list);

    if (off)
        return off == 1 ? 0 : -1;
    if (read_pattern(conf, rule, conf_arg(node, 1), nocase) == -1)
        return -1;
    rule->to = value_compile(conf, conf->variables, conf_arg(node, 2));
    if (!rule->to)
        return -1;
    conf_list_add(conf, scope, list, rule);
    return 0;
}

static int set_domain(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    (void)row;
    return set_place(conf, scope, field, node, true);
}

static int set_path(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    (void)row;
    return set_place(conf, scope, field, node, false);
}

static int set_flags(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct flags_rule *rule = arena_calloc(conf->arena, sizeof *rule);
    (void)row;

    if (node->words_n == 2 && str_eq(conf_arg(node, 1), STR("off"))) {
        conf_list_clear(scope, field);
        return 0;
    }
    if (read_pattern(conf, &rule->cookie, conf_arg(node, 1), true) == -1)
        return -1;
    rule->flags_n = node->words_n - 2;
    rule->flags =
        arena_alloc(conf->arena, (rule->flags_n + 1) * sizeof *rule->flags);
    for (size_t i = 0; i < rule->flags_n; i++) {
        struct str text = conf_arg(node, i + 2);
        struct value *v = value_compile(conf, conf->variables, text);
        if (!v)
            return -1;
        if (value_is_constant(v) && !flag_of(text))
            return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(text));
        rule->flags[i] = v;
    }
    conf_list_add(conf, scope, field, rule);
    return 0;
}

static int rewrite_on_scope(struct conf *conf, struct conf_scope *scope,
                            void *module_conf)
{
    struct proxy_rewrite_conf *c = module_conf;
    const struct proxy_conf *proxy = conf_get(scope, &proxy_module);

    if (c->redirect_said || proxy->url || !proxy->upstream ||
        proxy->owner != scope)
        return 0;
    struct place_rule *rule = arena_calloc(conf->arena, sizeof *rule);
    if (default_redirect(conf, scope, rule) == -1)
        return -1;
    conf_list_add(conf, scope, &c->redirects, rule);
    return 0;
}

enum { EVERYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION };

#define FIELD(name) offsetof(struct proxy_rewrite_conf, name)

static const struct directive rewrite_directives[] = {
    {.name = "proxy_redirect",
     .syntax = "off | default | FROM TO",
     .contexts = EVERYWHERE,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_redirect,
     .default_text = "default",
     .help = "How to change Location and Refresh: default, off, or FROM TO."},
    {.name = "proxy_cookie_domain",
     .syntax = "off | DOMAIN REPLACEMENT",
     .contexts = EVERYWHERE,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_domain,
     .offset = FIELD(domains),
     .default_text = "off",
     .help = "What to make of the Domain of an upstream's cookies."},
    {.name = "proxy_cookie_path",
     .syntax = "off | PATH REPLACEMENT",
     .contexts = EVERYWHERE,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_path,
     .offset = FIELD(paths),
     .default_text = "off",
     .help = "What to make of the Path of an upstream's cookies."},
    {.name = "proxy_cookie_flags",
     .syntax = "off | COOKIE [FLAG ...]",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_flags,
     .offset = FIELD(flags),
     .default_text = "off",
     .help = "Flags to set on an upstream's cookies, or to take away: "
             "secure, httponly, samesite=strict|lax|none, or with no in "
             "front."},
    {.name = NULL},
};

struct conf_module proxy_rewrite_module = {
    .name = "proxy_rewrite",
    .size = sizeof(struct proxy_rewrite_conf),
    .directives = rewrite_directives,
    .on_scope = rewrite_on_scope,
};

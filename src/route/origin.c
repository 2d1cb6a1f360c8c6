/* SPDX-License-Identifier: BSD-2-Clause */
#include "route/origin.h"

enum rule_kind {
    RULE_SAME = 0,
    RULE_ANY,
    RULE_NONE,
    RULE_NULL,     /* the text "null": a sandboxed page, a file */
    RULE_ORIGIN,   /* scheme, host and port */
    RULE_WILDCARD, /* the same of every name below the host */
    RULE_REGEX,
};

enum {
    PORT_NONE = -1 /* a scheme without a port we know, and none written */
};

/* scheme://host:port, the port filled in where the scheme has a usual one. */
struct origin {
    struct str scheme; /* p NULL in a rule: http or https */
    struct str host;   /* an IPv6 address keeps its brackets */
    int32_t port;
    bool port_given;
};

struct rule {
    enum rule_kind kind;
    struct origin origin;
    struct regex *regex;
    struct rule *next;
};

struct origin_rules {
    struct arena *arena;
    struct rule *first;
    struct rule **last;
};

/* ---- reading ---- */

static bool is_alnum(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || ascii_is_digit(c);
}

/* RFC 3986 section 3.1 */
static bool is_scheme(struct str s)
{
    if (!s.n || !is_alnum(s.p[0]) || ascii_is_digit(s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && !memchr("+-.", s.p[i], 3))
            return false;
    return true;
}

/* A name as browsers write it (after ToASCII), an IPv4 address, or an IPv6
 * address in brackets. */
static bool is_host(struct str s)
{
    bool bracketed = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
    if (bracketed)
        s = str_slice(s, 1, s.n - 1);
    if (!s.n)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool fits = bracketed
                        ? ascii_hex(s.p[i]) >= 0 || memchr(":.", s.p[i], 2)
                        : is_alnum(s.p[i]) || memchr("-._", s.p[i], 3);
        if (!fits)
            return false;
    }
    return true;
}

/* host [ ":" port ]; *port stays as it is when there is none. */
static bool read_authority(struct str s, struct str *host, int32_t *port,
                           bool *given)
{
    size_t end = s.n && s.p[0] == '[' ? str_find(s, ']', 0) : 0;
    size_t colon = str_find(s, ':', end);
    uint64_t number;

    *host = str_slice(s, 0, colon);
    *given = colon < s.n;
    if (*given) {
        struct str digits = str_slice(s, colon + 1, s.n);
        if (digits.n > 5 || !str_to_u64(digits, UINT16_MAX, &number))
            return false;
        *port = (int32_t)number;
    }
    return is_host(*host);
}

static int32_t usual_port(struct str scheme)
{
    if (str_eq_nocase(scheme, STR("https")) ||
        str_eq_nocase(scheme, STR("wss")))
        return 443;
    if (str_eq_nocase(scheme, STR("http")) || str_eq_nocase(scheme, STR("ws")))
        return 80;
    return PORT_NONE;
}

/* Index of "://", or s.n. */
static size_t find_slashes(struct str s)
{
    size_t at = str_find(s, ':', 0);
    return str_starts(str_slice(s, at, s.n), STR("://")) ? at : s.n;
}

/* RFC 6454 section 6.2: one origin, nothing around it, no path behind it. */
static bool origin_read(struct str s, struct origin *o)
{
    size_t slashes = find_slashes(s);
    o->scheme = str_slice(s, 0, slashes);
    if (slashes == s.n || !is_scheme(o->scheme))
        return false;
    o->port = usual_port(o->scheme);
    return read_authority(str_slice(s, slashes + 3, s.n), &o->host, &o->port,
                          &o->port_given);
}

/* ---- rules ---- */

struct origin_rules *origin_rules_create(struct arena *arena)
{
    struct origin_rules *rules = arena_calloc(arena, sizeof *rules);
    rules->arena = arena;
    rules->last = &rules->first;
    return rules;
}

static int read_regex(struct origin_rules *rules, struct str text,
                      struct rule *rule, struct err *err)
{
    bool nocase = str_starts(text, STR("~*"));
    struct str pattern = str_slice(text, nocase ? 2 : 1, text.n);

    if (!pattern.n)
        return err_set(err, "empty regex in origin \"%.*s\"", STR_ARG(text));
    rule->kind = RULE_REGEX;
    rule->regex = regex_compile(rules->arena, pattern, nocase, err);
    return rule->regex ? 0 : -1;
}

/* Without a scheme both of the web's are meant.  A word that could be a typing
 * error ("sam") is not taken for a host. */
static bool read_schemeless(struct str s, struct origin *o)
{
    o->scheme = (struct str){NULL, 0};
    o->port = PORT_NONE;
    if (!read_authority(s, &o->host, &o->port, &o->port_given))
        return false;
    return o->port_given || o->host.p[0] == '[' ||
           str_find(o->host, '.', 0) < o->host.n ||
           str_eq_nocase(o->host, STR("localhost"));
}

static int read_origin(struct origin_rules *rules, struct str text,
                       struct rule *rule, struct err *err)
{
    size_t slashes = find_slashes(text);
    size_t host_at = slashes < text.n ? slashes + 3 : 0;
    struct str plain = text;

    rule->kind = RULE_ORIGIN;
    /* The star leaves "https://example.com" to be read as any origin is. */
    if (str_starts(str_slice(text, host_at, text.n), STR("*."))) {
        rule->kind = RULE_WILDCARD;
        plain = arena_printf(rules->arena, "%.*s%.*s", (int)host_at, text.p,
                             STR_ARG(str_slice(text, host_at + 2, text.n)));
    }
    bool sound = host_at ? origin_read(plain, &rule->origin)
                         : read_schemeless(plain, &rule->origin);
    if (sound)
        return 0;
    if (host_at && text.p[text.n - 1] == '/')
        return err_set(err,
                       "invalid origin \"%.*s\": an origin has no path, not "
                       "even a slash at its end",
                       STR_ARG(text));
    return err_set(err,
                   "invalid origin \"%.*s\": expected \"same\", \"any\", "
                   "\"none\", \"null\", \"https://example.com\", "
                   "\"https://*.example.com\" or a regex after \"~\" or \"~*\"",
                   STR_ARG(text));
}

int origin_rules_add(struct origin_rules *rules, struct str rule,
                     struct err *err)
{
    static const struct {
        struct str word;
        enum rule_kind kind;
    } words[] = {
        {STR_INIT("same"), RULE_SAME},
        {STR_INIT("any"), RULE_ANY},
        {STR_INIT("none"), RULE_NONE},
        {STR_INIT("null"), RULE_NULL},
    };
    struct str text = arena_str(rules->arena, rule);
    struct rule *made = arena_calloc(rules->arena, sizeof *made);
    int status = 1;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (str_eq(text, words[i].word)) {
            made->kind = words[i].kind;
            status = 0;
        }
    if (status)
        status = str_starts(text, STR("~"))
                     ? read_regex(rules, text, made, err)
                     : read_origin(rules, text, made, err);
    if (status == -1)
        return -1;
    *rules->last = made;
    rules->last = &made->next;
    return 0;
}

/* ---- asking ---- */

static bool is_same(const struct origin *o, bool https, struct str host)
{
    struct str name;
    int32_t port = https ? 443 : 80;
    bool given;

    return str_eq_nocase(o->scheme, https ? STR("https") : STR("http")) &&
           read_authority(host, &name, &port, &given) &&
           str_eq_nocase(o->host, name) && o->port == port;
}

static bool scheme_and_port_fit(const struct origin *rule,
                                const struct origin *o)
{
    if (rule->scheme.p)
        return str_eq_nocase(rule->scheme, o->scheme) && rule->port == o->port;
    bool web = str_eq_nocase(o->scheme, STR("https")) ||
               str_eq_nocase(o->scheme, STR("http"));
    int32_t port = rule->port_given ? rule->port : usual_port(o->scheme);
    return web && port == o->port;
}

/* Something, a dot, and the rule's host. */
static bool is_below(struct str host, struct str rule_host)
{
    if (host.n < rule_host.n + 2)
        return false;
    size_t dot = host.n - rule_host.n - 1;
    return host.p[dot] == '.' && host.p[0] != '.' &&
           str_eq_nocase(str_slice(host, dot + 1, host.n), rule_host);
}

static bool rule_allows(const struct rule *rule, struct str text,
                        const struct origin *o, bool https, struct str host)
{
    bool is_null = !o;

    switch (rule->kind) {
    case RULE_ANY:
        return true;
    case RULE_NONE:
        return false;
    case RULE_SAME:
        return !is_null && is_same(o, https, host);
    case RULE_NULL:
        return is_null;
    case RULE_ORIGIN:
        return !is_null && scheme_and_port_fit(&rule->origin, o) &&
               str_eq_nocase(rule->origin.host, o->host);
    case RULE_WILDCARD:
        return !is_null && scheme_and_port_fit(&rule->origin, o) &&
               is_below(o->host, rule->origin.host);
    case RULE_REGEX:
        return regex_match(rule->regex, text, NULL);
    }
    return false;
}

static bool has_rule(const struct rule *rule, enum rule_kind kind)
{
    while (rule && rule->kind != kind)
        rule = rule->next;
    return rule != NULL;
}

bool origin_is_allowed(const struct origin_rules *rules, struct str origin,
                       bool https, struct str host)
{
    static const struct rule same = {.kind = RULE_SAME};
    const struct rule *first = rules && rules->first ? rules->first : &same;
    struct origin read;
    const struct origin *o = NULL;

    if (!origin.p)
        return has_rule(first, RULE_SAME) || has_rule(first, RULE_ANY) ||
               has_rule(first, RULE_NONE);
    if (!str_eq(origin, STR("null"))) {
        /* Several origins, a path, a blank: whatever sent this was no page
         * of a browser, and no rule but `any` was written for it. */
        if (!origin_read(origin, &read))
            return has_rule(first, RULE_ANY);
        o = &read;
    }
    for (const struct rule *rule = first; rule; rule = rule->next)
        if (rule_allows(rule, origin, o, https, host))
            return true;
    return false;
}

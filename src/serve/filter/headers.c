/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/headers.h"

#include "base/clock.h"
#include "serve/subrequest.h"

enum {
    DAY = 24 * 60 * 60,            /* seconds */
    TEN_YEARS = 10 * 365 * DAY,    /* what max means */
    EXPIRES_MAX_DATE = 2145916555, /* Thu, 31 Dec 2037 23:55:55 GMT */
};

/* A date must stay writable. */
static const uint64_t seconds_max = UINT64_C(100) * 365 * DAY;

/* add_header NAME VALUE [always]; */
struct added_header {
    struct str name;
    struct value *value;
    bool always;
};

/* ---- expires ---- */

const char *expires_read(struct expires *e, struct str text, bool modified)
{
    static const struct {
        const char *name;
        enum expires_kind kind;
    } words[] = {
        {"epoch", EXPIRES_EPOCH}, {"max", EXPIRES_MAX}, {"off", EXPIRES_OFF}};
    bool minus = false;
    uint64_t seconds;

    for (size_t i = 0; !modified && i < sizeof words / sizeof *words; i++)
        if (str_eq(text, str_c(words[i].name))) {
            *e = (struct expires){words[i].kind, 0};
            return NULL;
        }
    enum expires_kind kind = modified ? EXPIRES_MODIFIED : EXPIRES_ACCESS;
    if (text.n && text.p[0] == '@') {
        if (modified)
            return "daily time cannot be used with \"modified\" parameter";
        kind = EXPIRES_DAILY;
        text = str_slice(text, 1, text.n);
    } else if (text.n && (text.p[0] == '+' || text.p[0] == '-')) {
        minus = text.p[0] == '-';
        text = str_slice(text, 1, text.n);
    }
    if (!conf_parse_sec(text, &seconds) || seconds > seconds_max)
        return "invalid value";
    if (kind == EXPIRES_DAILY && seconds > DAY)
        return "daily time value must be less than 24 hours";
    *e = (struct expires){kind, minus ? -(int64_t)seconds : (int64_t)seconds};
    return NULL;
}

/* The next time that the local clock shows this many seconds of a day. */
static time_t next_daily(time_t now, int64_t seconds)
{
    struct tm tm;

    localtime_r(&now, &tm);
    tm.tm_hour = (int)(seconds / 3600);
    tm.tm_min = (int)(seconds / 60 % 60);
    tm.tm_sec = (int)(seconds % 60);
    tm.tm_isdst = -1;
    time_t next = mktime(&tm);
    if (next > now)
        return next;
    tm.tm_mday++;
    tm.tm_isdst = -1;
    return mktime(&tm);
}

int64_t expires_after(const struct expires *e, time_t now, time_t last_modified,
                      time_t *at)
{
    switch (e->kind) {
    case EXPIRES_OFF:
    case EXPIRES_EPOCH:
        *at = 1;
        return -1;
    case EXPIRES_MAX:
        *at = EXPIRES_MAX_DATE;
        return TEN_YEARS;
    case EXPIRES_DAILY:
        *at = next_daily(now, e->seconds);
        return *at - now;
    case EXPIRES_MODIFIED:
        /* Nothing to add is "now" in nginx, whatever it is added to. */
        if (last_modified != -1 && e->seconds) {
            *at = last_modified + e->seconds;
            return e->seconds < 0 ? -1 : *at - now;
        }
        break;
    case EXPIRES_ACCESS:
        break;
    }
    *at = now + e->seconds;
    return e->seconds;
}

static void put_expires(struct request *r, const struct expires *e)
{
    time_t at;
    char date[CLOCK_HTTP_DATE_SIZE];
    int64_t after = expires_after(e, clock_wall_s(), response_modified(r), &at);

    response_remove(r, STR("Expires"));
    response_remove(r, STR("Cache-Control"));
    response_add(r, STR("Expires"),
                 arena_str(r->arena, clock_format_http(at, date)));
    response_add(
        r, STR("Cache-Control"),
        after < 0 ? STR("no-cache")
                  : arena_printf(r->arena, "max-age=%lld", (long long)after));
}

static void add_expires(struct request *r, const struct headers_conf *c)
{
    struct expires e = c->expires;

    if (c->expires_value &&
        expires_read(&e, value_eval(c->expires_value, &r->eval),
                     c->expires.kind == EXPIRES_MODIFIED))
        return; /* a value that means nothing sets nothing */
    if (e.kind != EXPIRES_OFF)
        put_expires(r, &e);
}

/* ---- the filter ---- */

static bool is_good(unsigned status)
{
    switch (status) {
    case 200:
    case 201:
    case 204:
    case 206:
    case 301:
    case 302:
    case 303:
    case 304:
    case 307:
    case 308:
        return true;
    default:
        return false;
    }
}

/* What a variable brings must not end the field (RFC 9110 section 5.5). */
static bool ends_its_field(struct str value)
{
    return value.n &&
           (memchr(value.p, '\r', value.n) || memchr(value.p, '\n', value.n) ||
            memchr(value.p, '\0', value.n));
}

static struct str value_of(struct request *r, const struct added_header *h)
{
    struct str value = value_eval(h->value, &r->eval);

    if (!ends_its_field(value))
        return value;
    log_err(&r->log, "\"%.*s\" has a line break in its value",
            STR_ARG(h->name));
    return (struct str){NULL, 0};
}

static void add(struct request *r, const struct added_header *h)
{
    struct str value = value_of(r, h);

    if (!value.p)
        return;
    /* These two are replaced, by an empty value removed; others add up. */
    if (str_eq_nocase(h->name, STR("Last-Modified"))) {
        response_remove(r, h->name);
        r->response.last_modified = -1;
    } else if (str_eq_nocase(h->name, STR("ETag"))) {
        response_remove(r, h->name);
        r->response.etag = (struct str){NULL, 0};
    }
    if (value.n)
        response_add(r, h->name, value);
}

void headers_filter(struct request *r)
{
    const struct headers_conf *c = request_conf(r, &headers_module);
    bool good = is_good(r->response.status);

    if (request_is_sub(r))
        return;
    if (good && (c->expires_value || c->expires.kind != EXPIRES_OFF))
        add_expires(r, c);
    for (size_t i = 0; i < c->headers.all.n; i++) {
        const struct added_header *h = c->headers.all.items[i];
        if (good || h->always)
            add(r, h);
    }
    for (size_t i = 0; i < c->trailers.all.n; i++) {
        const struct added_header *h = c->trailers.all.items[i];
        if (good || h->always)
            r->response.expect_trailers = true;
    }
}

void headers_add_trailers(struct request *r)
{
    const struct headers_conf *c = request_conf(r, &headers_module);
    bool good = is_good(r->response.status);

    for (size_t i = 0; i < c->trailers.all.n; i++) {
        const struct added_header *h = c->trailers.all.items[i];
        struct str value = good || h->always ? value_of(r, h) : STR("");
        if (value.n)
            response_add_trailer(r, h->name, value);
    }
}

/* ---- configuration ---- */

static int set_add_header(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct headers_list *list = field;
    struct added_header *h = arena_calloc(conf->arena, sizeof *h);
    (void)row;

    h->name = conf_arg(node, 1);
    for (size_t i = 0; i < h->name.n; i++)
        if (!ascii_is_token(h->name.p[i]))
            return conf_fail(conf, "invalid header name \"%.*s\"",
                             STR_ARG(h->name));
    if (!h->name.n)
        return conf_fail(conf, "invalid header name \"\"");
    if (node->words_n == 4) {
        if (!str_eq(conf_arg(node, 3), STR("always")))
            return conf_fail(conf,
                             "invalid parameter \"%.*s\", expected \"always\"",
                             STR_ARG(conf_arg(node, 3)));
        h->always = true;
    }
    h->value = value_compile(conf, conf->variables, conf_arg(node, 2));
    if (!h->value)
        return -1;
    conf_list_add(conf, scope, &list->own, h);
    return 0;
}

static int set_expires(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct headers_conf *c = field;
    bool modified = node->words_n == 3;
    struct str text = conf_arg(node, node->words_n - 1);
    (void)scope, (void)row;

    if (modified && !str_eq(conf_arg(node, 1), STR("modified")))
        return conf_fail(conf, "invalid value \"%.*s\", expected \"modified\"",
                         STR_ARG(conf_arg(node, 1)));
    struct value *v = value_compile(conf, conf->variables, text);
    if (!v)
        return -1;
    c->expires_value = NULL;
    if (!value_is_constant(v)) {
        c->expires_value = v;
        c->expires =
            (struct expires){modified ? EXPIRES_MODIFIED : EXPIRES_ACCESS, 0};
        return 0;
    }
    const char *wrong = expires_read(&c->expires, text, modified);
    return wrong ? conf_fail(conf, "%s \"%.*s\" in \"expires\"", wrong,
                             STR_ARG(text))
                 : 0;
}

static void inherit(struct conf *conf, struct conf_scope *scope,
                    struct headers_list *list, unsigned how)
{
    struct conf_list above = list->all;
    bool has_own = list->own.owner == scope;

    if (how == HEADERS_INHERIT_ON && !has_own)
        return;
    conf_list_clear(scope, &list->all);
    for (size_t i = 0; how == HEADERS_INHERIT_MERGE && i < above.n; i++)
        conf_list_add(conf, scope, &list->all, above.items[i]);
    for (size_t i = 0; has_own && i < list->own.n; i++)
        conf_list_add(conf, scope, &list->all, list->own.items[i]);
}

static int headers_on_scope(struct conf *conf, struct conf_scope *scope,
                            void *module_conf)
{
    struct headers_conf *c = module_conf;

    inherit(conf, scope, &c->headers, c->inherit);
    inherit(conf, scope, &c->trailers, c->trailers_inherit);
    return 0;
}

static void headers_defaults(void *module_conf)
{
    struct headers_conf *c = module_conf;
    c->inherit = c->trailers_inherit = HEADERS_INHERIT_ON;
}

static const struct conf_enum inherit_names[] = {
    {"on", HEADERS_INHERIT_ON},
    {"off", HEADERS_INHERIT_OFF},
    {"merge", HEADERS_INHERIT_MERGE},
    {NULL, 0},
};

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive headers_directives[] = {
    {.name = "add_header",
     .contexts = ANYWHERE | CONF_LOCATION_IF,
     .arity = ARGS_2 | ARGS_3,
     .flags = CONF_REPEATABLE,
     .set = set_add_header,
     .offset = offsetof(struct headers_conf, headers),
     .syntax = "NAME VALUE [always]",
     .help = "A field of responses that went well, or of all."},
    {.name = "add_header_inherit",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = offsetof(struct headers_conf, inherit),
     .data = inherit_names,
     .default_text = "on",
     .help = "What becomes of the add_header of the level above."},
    {.name = "add_trailer",
     .contexts = ANYWHERE | CONF_LOCATION_IF,
     .arity = ARGS_2 | ARGS_3,
     .flags = CONF_REPEATABLE,
     .set = set_add_header,
     .offset = offsetof(struct headers_conf, trailers),
     .syntax = "NAME VALUE [always]",
     .help = "A field behind the body; makes it chunked."},
    {.name = "add_trailer_inherit",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = offsetof(struct headers_conf, trailers_inherit),
     .data = inherit_names,
     .default_text = "on",
     .help = "What becomes of the add_trailer of the level above."},
    {.name = "expires",
     .contexts = ANYWHERE | CONF_LOCATION_IF,
     .arity = ARGS_1 | ARGS_2,
     .set = set_expires,
     .default_text = "off",
     .syntax = "[modified] TIME | epoch | max | off",
     .help = "Set Expires and Cache-Control of responses that went well."},
    {.name = NULL},
};

struct conf_module headers_module = {
    .name = "headers",
    .size = sizeof(struct headers_conf),
    .defaults = headers_defaults,
    .directives = headers_directives,
    .on_scope = headers_on_scope,
};

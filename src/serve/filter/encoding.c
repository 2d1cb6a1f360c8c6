/* SPDX-License-Identifier: BSD-2-Clause */
#include "encoding.h"

#include "base/check.h"
#include "base/clock.h"
#include "serve/subrequest.h"

/* ---- what the client says ---- */

/* RFC 9110 12.4.2: 0, 0.0, 0.00, 0.000 are "not acceptable". */
static bool has_weight(struct str parameters)
{
    while (parameters.p) {
        struct str one = str_trim(str_cut(&parameters, ';'));
        struct str name = str_trim(str_cut(&one, '='));
        struct str weight = str_trim(one);
        if (!str_eq_nocase(name, STR("q")) || !weight.n)
            continue;
        for (size_t i = 0; i < weight.n; i++)
            if (weight.p[i] >= '1' && weight.p[i] <= '9')
                return true;
        return false;
    }
    return true;
}

bool encoding_is_accepted(struct str accept_encoding, struct str coding)
{
    struct str element;

    while (str_list_next(&accept_encoding, &element)) {
        struct str name = str_trim(str_cut(&element, ';'));
        if (str_eq_nocase(name, coding))
            return has_weight(element);
    }
    return false;
}

bool encoding_is_old_msie(struct str agent)
{
    static const struct str mark = STR_INIT("MSIE ");

    for (size_t i = 0; i + mark.n + 2 <= agent.n; i++) {
        struct str rest = str_slice(agent, i, agent.n);
        if (!str_starts(rest, mark))
            continue;
        if (rest.p[6] != '.' || memmem(agent.p, agent.n, "Opera", 5))
            return false;
        return rest.p[5] == '4' || rest.p[5] == '5' ||
               (rest.p[5] == '6' && !memmem(agent.p, agent.n, "SV1", 3));
    }
    return false;
}

static bool is_disabled(struct request *r, const struct encoding_conf *c)
{
    if (!c->disable_msie6 && !c->disable.n)
        return false;
    struct str agent = http_head_find(&r->head, STR("User-Agent"));
    if (!agent.p)
        return false;
    if (c->disable_msie6 && encoding_is_old_msie(agent))
        return true;
    for (size_t i = 0; i < c->disable.n; i++)
        if (regex_match(c->disable.items[i], agent, NULL))
            return true;
    return false;
}

static bool has_expired(struct request *r, struct str expires)
{
    time_t at = clock_parse_http(expires);
    time_t now = clock_wall_s();

    if (r->response.date.p)
        now = clock_parse_http(r->response.date);
    return at != -1 && now != -1 && at < now;
}

/* Shared caches: what they are told decides (gzip_proxied). */
static bool proxied_ok(struct request *r, unsigned proxied)
{
    if (proxied & PROXIED_OFF)
        return false;
    if (proxied & PROXIED_ANY)
        return true;
    if (proxied & PROXIED_AUTH &&
        http_head_find(&r->head, STR("Authorization")).p)
        return true;
    struct str expires = response_find(r, STR("Expires"));
    if (expires.p)
        return proxied & PROXIED_EXPIRED && has_expired(r, expires);
    struct str control = response_find(r, STR("Cache-Control"));
    if (control.p)
        return (proxied & PROXIED_NO_CACHE &&
                str_list_has(control, STR("no-cache"))) ||
               (proxied & PROXIED_NO_STORE &&
                str_list_has(control, STR("no-store"))) ||
               (proxied & PROXIED_PRIVATE &&
                str_list_has(control, STR("private")));
    bool modified = r->response.last_modified != -1 ||
                    response_find(r, STR("Last-Modified")).p;
    bool etag = r->response.etag.n || response_find(r, STR("ETag")).p;
    return !(proxied & PROXIED_NO_LAST_MODIFIED && modified) &&
           !(proxied & PROXIED_NO_ETAG && etag);
}

bool encoding_gzip_ok(struct request *r)
{
    const struct encoding_conf *c = request_conf(r, &encoding_module);

    if (request_is_sub(r))
        return false;
    struct str accept =
        http_head_join(&r->head, STR("Accept-Encoding"), r->arena);
    if (!accept.p || !encoding_is_accepted(accept, STR("gzip")))
        return false;
    if (r->head.version < c->http_version)
        return false;
    if (http_head_find(&r->head, STR("Via")).p && !proxied_ok(r, c->proxied))
        return false;
    return !is_disabled(r, c);
}

/* ---- what becomes of the response ---- */

void response_forget_validators(struct request *r)
{
    r->response.last_modified = -1;
    r->response.etag = (struct str){NULL, 0};
    response_remove(r, STR("Last-Modified"));
    response_remove(r, STR("ETag"));
}

static struct str weakened(struct request *r, struct str etag)
{
    if (str_starts(etag, STR("W/")))
        return etag;
    if (!str_starts(etag, STR("\"")))
        return STR(""); /* not well formed: better none */
    return arena_printf(r->arena, "W/%.*s", STR_ARG(etag));
}

void response_body_changes(struct request *r)
{
    struct response *p = &r->response;

    p->content_length = -1;
    p->allow_ranges = false;
    response_remove(r, STR("Accept-Ranges"));
    if (p->etag.n)
        p->etag = weakened(r, p->etag);
    struct str etag = response_find(r, STR("ETag"));
    if (!etag.p)
        return;
    etag = weakened(r, etag);
    response_remove(r, STR("ETag"));
    if (etag.n)
        response_add(r, STR("ETag"), etag);
}

bool encoding_is_wanted(const struct request *r,
                        const struct encoding_want *want)
{
    const struct response *p = &r->response;

    return (p->status == 200 || p->status == 403 || p->status == 404) &&
           !(p->content_length >= 0 &&
             (uint64_t)p->content_length < want->min_length) &&
           type_set_has(want->types, NULL, p->content_type) &&
           !response_find(r, STR("Content-Encoding")).n;
}

void encoding_vary(struct request *r)
{
    const struct encoding_conf *c = request_conf(r, &encoding_module);
    if (c->vary)
        response_add(r, STR("Vary"), STR("Accept-Encoding"));
}

void encoding_begin(struct request *r, struct str coding,
                    const struct filter_type *type, void *state,
                    const struct encoding_buffers *buffers)
{
    size_t ahead = (size_t)(buffers->n * buffers->size);

    response_body_changes(r);
    response_add(r, STR("Content-Encoding"), coding);
    filters_add(r, type, state);
    if (ahead < r->output_max)
        r->output_max = ahead;
}

/* ---- configuration ---- */

int encoding_set_buffers(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    struct encoding_buffers *b = field;
    (void)scope, (void)row;

    if (!str_to_u64(conf_arg(node, 1), 1 << 16, &b->n) || !b->n ||
        !conf_parse_size(conf_arg(node, 2), &b->size) || !b->size ||
        b->size > 1 << 24)
        return conf_fail(conf, "invalid value");
    return 0;
}

static int set_disable(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct encoding_conf *c = field;
    (void)row;

    if (c->disable.owner != scope) {
        conf_list_clear(scope, &c->disable);
        c->disable_msie6 = false;
    }
    for (size_t i = 1; i < node->words_n; i++) {
        struct str word = conf_arg(node, i);
        if (str_eq(word, STR("msie6"))) {
            c->disable_msie6 = true;
            continue;
        }
        struct regex *regex = regex_compile(conf->arena, word, true, conf->err);
        if (!regex)
            return -1;
        conf_list_add(conf, scope, &c->disable, regex);
    }
    return 0;
}

static const struct conf_enum versions[] = {
    {"1.0", 10},
    {"1.1", 11},
    {NULL, 0},
};

static const struct conf_enum proxied_names[] = {
    {"off", PROXIED_OFF},
    {"expired", PROXIED_EXPIRED},
    {"no-cache", PROXIED_NO_CACHE},
    {"no-store", PROXIED_NO_STORE},
    {"private", PROXIED_PRIVATE},
    {"no_last_modified", PROXIED_NO_LAST_MODIFIED},
    {"no_etag", PROXIED_NO_ETAG},
    {"auth", PROXIED_AUTH},
    {"any", PROXIED_ANY},
    {NULL, 0},
};

static void encoding_defaults(void *module_conf)
{
    struct encoding_conf *c = module_conf;
    c->http_version = 11;
    c->proxied = PROXIED_OFF;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive encoding_directives[] = {
    {.name = "gzip_vary",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct encoding_conf, vary),
     .default_text = "off",
     .help = "Send Vary: Accept-Encoding where it matters."},
    {.name = "gzip_http_version",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = offsetof(struct encoding_conf, http_version),
     .data = versions,
     .default_text = "1.1",
     .help = "The least version of a request whose answer is compressed."},
    {.name = "gzip_proxied",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = conf_set_bits,
     .offset = offsetof(struct encoding_conf, proxied),
     .data = proxied_names,
     .default_text = "off",
     .help = "What is compressed for requests that came through a proxy."},
    {.name = "gzip_disable",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = set_disable,
     .syntax = "REGEX | msie6 ...",
     .help = "User agents that get nothing compressed."},
    {.name = NULL},
};

struct conf_module encoding_module = {
    .name = "encoding",
    .size = sizeof(struct encoding_conf),
    .defaults = encoding_defaults,
    .directives = encoding_directives,
};

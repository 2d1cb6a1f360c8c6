/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "proxy_cache.h"

static void cache_defaults(void *module_conf)
{
    struct proxy_cache_conf *c = module_conf;
    c->methods = CACHE_GET | CACHE_HEAD;
    c->min_uses = 1;
    c->use_stale = NEXT_OFF;
    c->lock_timeout_ms = 5000;
    c->lock_age_ms = 5000;
    c->convert_head = true;
    c->max_range_offset = UINT64_MAX;
}

static int set_zone(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct value **zone = field;
    struct str text = conf_arg(node, 1);
    (void)scope, (void)row;

    *zone = NULL;
    if (str_eq(text, STR("off")))
        return 0;
    *zone = value_compile(conf, conf->variables, text);
    if (!*zone)
        return -1;
    if (value_is_constant(*zone) && !cache_zone_named(conf, text))
        return -1;
    return 0;
}

static void add_valid(struct conf *conf, struct conf_scope *scope,
                      struct conf_list *list, unsigned status, uint64_t seconds)
{
    struct cache_valid v = {status, seconds};
    conf_list_add(conf, scope, list, arena_copy(conf->arena, &v, sizeof v));
}

static int set_valid(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct str time = conf_arg(node, node->words_n - 1);
    uint64_t seconds, status;
    (void)row;

    if (!conf_parse_sec(time, &seconds))
        return conf_fail(conf, "invalid time value \"%.*s\"", STR_ARG(time));
    if (node->words_n == 2) {
        add_valid(conf, scope, field, 200, seconds);
        add_valid(conf, scope, field, 301, seconds);
        add_valid(conf, scope, field, 302, seconds);
    }
    for (size_t i = 1; i + 1 < node->words_n; i++) {
        struct str word = conf_arg(node, i);
        if (str_eq(word, STR("any")))
            status = 0;
        else if (!str_to_u64(word, 599, &status) || status < 100)
            return conf_fail(conf, "invalid status \"%.*s\"", STR_ARG(word));
        add_valid(conf, scope, field, (unsigned)status, seconds);
    }
    return 0;
}

/* GET and HEAD always are among them, as in nginx. */
static int set_methods(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    unsigned *methods = field;
    int rc = conf_set_bits(conf, scope, row, node, field);
    *methods |= CACHE_GET | CACHE_HEAD;
    return rc;
}

static const struct conf_enum method_names[] = {
    {"GET", CACHE_GET},
    {"HEAD", CACHE_HEAD},
    {"POST", CACHE_POST},
    {NULL, 0},
};

static const struct conf_enum stale_names[] = {
    {"error", NEXT_ERROR},
    {"timeout", NEXT_TIMEOUT},
    {"invalid_header", NEXT_INVALID_HEADER},
    {"updating", STALE_UPDATING},
    {"http_500", NEXT_500},
    {"http_502", NEXT_502},
    {"http_503", NEXT_503},
    {"http_504", NEXT_504},
    {"http_403", NEXT_403},
    {"http_404", NEXT_404},
    {"http_429", NEXT_429},
    {"off", NEXT_OFF},
    {NULL, 0},
};

/* The key that nginx takes when none is said. */
static int cache_on_scope(struct conf *conf, struct conf_scope *scope,
                          void *module_conf)
{
    struct proxy_cache_conf *c = module_conf;

    if (c->key || scope->context != CONF_HTTP)
        return 0;
    c->key = value_compile(conf, conf->variables,
                           STR("$scheme$proxy_host$request_uri"));
    return c->key ? 0 : -1;
}

enum { EVERYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION };

#define FIELD(name) offsetof(struct proxy_cache_conf, name)

static const struct directive proxy_cache_directives[] = {
    {.name = "proxy_cache",
     .syntax = "ZONE | off",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = set_zone,
     .offset = FIELD(zone),
     .default_text = "off",
     .help = "Keep responses in the cache of this zone (proxy_cache_path)."},
    {.name = "proxy_cache_key",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = value_set,
     .offset = FIELD(key),
     .default_text = "$scheme$proxy_host$request_uri",
     .help = "What requests must have in common to get one response."},
    {.name = "proxy_cache_valid",
     .syntax = "[STATUS ... | any] TIME",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_valid,
     .offset = FIELD(valid),
     .help = "How long responses of a status are good when their fields do "
             "not say; without a status 200, 301 and 302."},
    {.name = "proxy_cache_methods",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .set = set_methods,
     .offset = FIELD(methods),
     .data = method_names,
     .default_text = "GET HEAD",
     .help = "Of which methods responses are kept."},
    {.name = "proxy_cache_min_uses",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(min_uses),
     .default_text = "1",
     .min = 1,
     .max = UINT32_MAX,
     .help = "The how manieth request has its response kept."},
    {.name = "proxy_cache_use_stale",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .set = conf_set_bits,
     .offset = FIELD(use_stale),
     .data = stale_names,
     .default_text = "off",
     .help = "When an old response is better than what the upstream says."},
    {.name = "proxy_cache_lock",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(lock),
     .default_text = "off",
     .help = "Let only one request fetch what is not in the cache; others "
             "wait for it."},
    {.name = "proxy_cache_lock_timeout",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(lock_timeout_ms),
     .default_text = "5s",
     .help = "How long they wait; then they ask, and nothing is kept."},
    {.name = "proxy_cache_lock_age",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(lock_age_ms),
     .default_text = "5s",
     .help = "After how long another one may fetch it, too."},
    {.name = "proxy_cache_revalidate",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(revalidate),
     .default_text = "off",
     .help = "Ask only whether what expired has changed."},
    {.name = "proxy_cache_background_update",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(background_update),
     .default_text = "off",
     .help = "Give what expired and fetch anew behind it, where "
             "proxy_cache_use_stale updating allows."},
    {.name = "proxy_cache_convert_head",
     .contexts = EVERYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(convert_head),
     .default_text = "on",
     .help = "Ask with GET for a HEAD, so that the response can be kept."},
    {.name = "proxy_cache_max_range_offset",
     .syntax = "SIZE",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = conf_set_size,
     .offset = FIELD(max_range_offset),
     .help = "A range that begins behind it is the upstream's, and not "
             "kept."},
    {.name = "proxy_cache_bypass",
     .syntax = "CONDITION ...",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = value_list_add,
     .offset = FIELD(bypass),
     .help = "Do not answer from the cache when one of these is neither "
             "empty nor 0."},
    {.name = "proxy_no_cache",
     .syntax = "CONDITION ...",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = value_list_add,
     .offset = FIELD(no_cache),
     .help = "Do not keep the response when one of these is neither empty "
             "nor 0."},
    {.name = "proxy_cache_purge",
     .syntax = "CONDITION ...",
     .contexts = EVERYWHERE,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = value_list_add,
     .offset = FIELD(purge),
     .help = "Remove what is cached under the key, and answer 204, when one "
             "of these is neither empty nor 0; 404 when there was nothing."},
    {.name = NULL},
};

struct conf_module proxy_cache_module = {
    .name = "proxy_cache",
    .size = sizeof(struct proxy_cache_conf),
    .defaults = cache_defaults,
    .directives = proxy_cache_directives,
    .on_scope = cache_on_scope,
};

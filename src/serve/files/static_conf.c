/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "http/condition.h"
#include "serve/static.h"

static int set_index(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct static_conf *c = field;
    (void)row;

    for (size_t i = 1; i < node->words_n; i++) {
        struct str text = conf_arg(node, i);
        if (text.n == 0)
            return conf_fail(conf,
                             "index \"\" in \"index\" directive is invalid");
        if (text.p[0] == '/' && i != node->words_n - 1)
            conf_warn(conf, "only the last index in \"index\" directive "
                            "should be absolute");
        struct value *v = value_compile(conf, conf->variables, text);
        if (!v)
            return -1;
        conf_list_add(conf, scope, &c->index, v);
    }
    return 0;
}

/* In nearly every configuration: not worth a warning. */
static int accept_flag(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    (void)conf, (void)scope, (void)row, (void)node, (void)field;
    return 0;
}

static int static_on_scope(struct conf *conf, struct conf_scope *scope,
                           void *module_conf)
{
    struct static_conf *c = module_conf;
    if (scope->context != CONF_HTTP || c->index.n)
        return 0;
    struct value *v = value_compile(conf, conf->variables, STR("index.html"));
    conf_list_add(conf, scope, &c->index, v);
    return 0;
}

static int set_disable_symlinks(struct conf *conf, struct conf_scope *scope,
                                const struct directive *row,
                                const struct conf_node *node, void *field)
{
    struct file_conf *c = field;
    struct str mode = conf_arg(node, 1);
    (void)scope, (void)row;

    c->trust = NULL;
    if (str_eq(mode, STR("off")) && node->words_n == 2)
        c->symlinks = SYMLINKS_FOLLOWED;
    else if (str_eq(mode, STR("on")))
        c->symlinks = SYMLINKS_REFUSED;
    else if (str_eq(mode, STR("if_not_owner")))
        c->symlinks = SYMLINKS_OF_THEIR_OWNER;
    else
        return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(mode));
    if (node->words_n == 2)
        return 0;
    struct str from = conf_arg(node, 2);
    if (!str_starts(from, STR("from=")) || from.n == 5)
        return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(from));
    c->trust = value_compile(conf, conf->variables, str_slice(from, 5, from.n));
    return c->trust ? 0 : -1;
}

static void end_cache(void *arg)
{
    open_cache_destroy(arg);
}

static int set_open_file_cache(struct conf *conf, struct conf_scope *scope,
                               const struct directive *row,
                               const struct conf_node *node, void *field)
{
    struct file_conf *c = field;
    struct open_cache_settings s = {.how = OPEN_TO_READ, .inactive_ms = 60000};
    (void)scope, (void)row;

    c->cache = NULL;
    if (open_cache_parse(conf, node, &s, NULL) == -1)
        return -1;
    if (!s.max)
        return 0;
    c->cache = open_cache_create(&s);
    arena_on_destroy(conf->arena, end_cache, c->cache);
    return 0;
}

static void static_defaults(void *module_conf)
{
    struct static_conf *c = module_conf;
    c->etag = true;
    c->log_not_found = true;
    c->since = SINCE_EXACT;
    c->max_ranges = UINT64_MAX; /* as many as may be */
}

static const struct conf_enum since_names[] = {
    {"off", SINCE_OFF},
    {"exact", SINCE_EXACT},
    {"before", SINCE_BEFORE},
    {NULL, 0},
};

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
    ANYWHERE_IF = ANYWHERE | CONF_LOCATION_IF,
};

#define FIELD(name) offsetof(struct static_conf, name)
#define TUNING "Accepted; it changes nothing here."

static const struct directive static_directives[] = {
    {.name = "index",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_index,
     .default_text = "index.html",
     .syntax = "FILE...",
     .help = "Files that stand for a directory; the first that exists."},
    {.name = "etag",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(etag),
     .default_text = "on",
     .help = "Send ETag for files."},
    {.name = "if_modified_since",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_enum,
     .offset = FIELD(since),
     .data = since_names,
     .default_text = "exact",
     .help = "How If-Modified-Since is compared."},
    {.name = "max_ranges",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(max_ranges),
     .help = "Ranges that one request may ask for; 0 serves none."},
    {.name = "log_not_found",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(log_not_found),
     .default_text = "on",
     .help = "Log files that are not there."},
    {.name = "disable_symlinks",
     .contexts = ANYWHERE,
     .arity = ARGS_1 | ARGS_2,
     .set = set_disable_symlinks,
     .offset = FIELD(file),
     .default_text = "off",
     .syntax = "off | on [from=PART] | if_not_owner [from=PART]",
     .help = "Refuse paths with symbolic links in them, or with links that "
             "belong to another user than what they lead to."},
    {.name = "open_file_cache",
     .contexts = ANYWHERE,
     .arity = ARGS_1 | ARGS_2,
     .set = set_open_file_cache,
     .offset = FIELD(file),
     .default_text = "off",
     .syntax = "max=N [inactive=TIME] | off",
     .help = "Keep descriptors and what is known of files."},
    {.name = "open_file_cache_valid",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_ms,
     .offset = FIELD(file.rules.valid_ms),
     .default_text = "60s",
     .help = "How long before a file in the cache is looked at again."},
    {.name = "open_file_cache_min_uses",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .set = conf_set_number,
     .offset = FIELD(file.rules.min_uses),
     .default_text = "1",
     .min = 1,
     .max = INT32_MAX,
     .help = "Uses of a file before its descriptor stays in the cache."},
    {.name = "open_file_cache_errors",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = FIELD(file.rules.errors),
     .default_text = "off",
     .help = "Keep in the cache that a file could not be opened."},
    {.name = "sendfile",
     .contexts = ANYWHERE_IF,
     .arity = ARGS_FLAG,
     .set = accept_flag,
     .default_text = "off",
     .help = "Accepted; large files are always sent by the kernel."},
    {.name = "tcp_nopush",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = accept_flag,
     .default_text = "off",
     .help = "Accepted; a head leaves together with its body."},
    {.name = "postpone_output",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_IGNORED,
     .help = TUNING},
    {.name = "sendfile_max_chunk",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_IGNORED,
     .help = TUNING},
    {.name = "directio_alignment",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_IGNORED,
     .help = TUNING},
    {.name = "read_ahead",
     .contexts = ANYWHERE,
     .arity = ARGS_1,
     .flags = CONF_IGNORED,
     .help = TUNING},
    {.name = NULL},
};

struct conf_module static_module = {
    .name = "static",
    .size = sizeof(struct static_conf),
    .defaults = static_defaults,
    .directives = static_directives,
    .on_scope = static_on_scope,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "serve/cache.h"

struct cache_conf {
    struct cache *first; /* of the main scope */
};

static const struct zone_kind cache_zone_kind = {.name = "proxy_cache"};

struct zone *cache_zone_named(struct conf *conf, struct str name)
{
    return zone_declare(conf, name, 0, &cache_zone_kind);
}

struct cache *cache_find(const struct generation *g, struct str name)
{
    const struct cache_conf *main = conf_get(g->conf.main, &cache_module);
    struct cache *c = main->first;

    while (c && !str_eq(c->zone->name, name))
        c = c->next;
    return c;
}

/* ---- proxy_cache_path ---- */

static int set_levels(struct conf *conf, const struct directive *row,
                      struct str text, struct cache *c)
{
    struct str rest = text;
    size_t n = 0;

    while (rest.p) {
        if (n == TEMP_LEVELS_MAX)
            return conf_fail(conf, "invalid \"levels\" \"%.*s\"",
                             STR_ARG(text));
        if (temp_levels_read(conf, row, str_cut(&rest, ':'),
                             &c->files.levels[n++]) == -1)
            return -1;
    }
    return 0;
}

static int set_zone(struct conf *conf, struct str text, struct cache *c)
{
    c->zone = zone_declare_text(conf, text, text, &cache_zone_kind);
    if (!c->zone)
        return -1;
    if (c->zone->data)
        return conf_fail(conf, "duplicate zone \"%.*s\"",
                         STR_ARG(c->zone->name));
    c->zone->data = c;
    return 0;
}

/* "name=VALUE" of a count, size or time. */
static int set_amount(struct conf *conf, struct str word, struct cache *c)
{
    uint64_t unused; /* the numbers of files bound a step, not its time */
    const struct {
        const char *name;
        uint64_t *to;
        bool (*parse)(struct str text, uint64_t *out);
        bool positive;
    } amounts[] = {
        {"inactive=", &c->inactive_s, conf_parse_sec, false},
        {"max_size=", &c->max_size, conf_parse_size, false},
        {"min_free=", &c->min_free, conf_parse_size, false},
        {"manager_files=", &c->manager_files, conf_parse_size, true},
        {"manager_sleep=", &c->manager_sleep_ms, conf_parse_ms, false},
        {"manager_threshold=", &unused, conf_parse_ms, false},
        {"loader_files=", &c->loader_files, conf_parse_size, true},
        {"loader_sleep=", &c->loader_sleep_ms, conf_parse_ms, false},
        {"loader_threshold=", &unused, conf_parse_ms, false},
    };
    for (size_t i = 0; i < COUNT(amounts); i++) {
        struct str name = str_c(amounts[i].name);
        if (!str_starts(word, name))
            continue;
        if (!amounts[i].parse(str_slice(word, name.n, word.n), amounts[i].to) ||
            (amounts[i].positive && !*amounts[i].to))
            return conf_fail(conf, "invalid \"%.*s\"", STR_ARG(word));
        if (amounts[i].to == &unused)
            conf_warn(conf,
                      "the \"%.*s\" parameter has no effect here, ignored",
                      (int)name.n - 1, name.p);
        return 0;
    }
    return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
}

static int set_parameter(struct conf *conf, const struct directive *row,
                         struct str word, struct cache *c)
{
    struct str value = word;
    struct str name = str_cut(&value, '=');

    if (str_eq(name, STR("levels")))
        return set_levels(conf, row, value, c);
    if (str_eq(name, STR("keys_zone")))
        return set_zone(conf, value, c);
    if (str_eq(name, STR("use_temp_path"))) {
        c->use_temp_path = str_eq(value, STR("on"));
        if (c->use_temp_path || str_eq(value, STR("off")))
            return 0;
        return conf_fail(conf,
                         "invalid use_temp_path value \"%.*s\", it must be "
                         "\"on\" or \"off\"",
                         STR_ARG(value));
    }
    return set_amount(conf, word, c);
}

static int set_path(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct cache_conf *main = conf_get(conf->main, &cache_module);
    struct cache *c = arena_calloc(conf->arena, sizeof *c);
    (void)scope, (void)field;

    *c = (struct cache){
        .use_temp_path = true,
        .inactive_s = 600,
        .manager_files = 100,
        .manager_sleep_ms = 50,
        .loader_files = 100,
        .loader_sleep_ms = 50,
        .files.path = conf_full_path(conf, conf_arg(node, 1), false),
    };
    for (size_t i = 2; i < node->words_n; i++)
        if (set_parameter(conf, row, conf_arg(node, i), c) == -1)
            return -1;
    if (!c->zone)
        return conf_fail(conf, "\"proxy_cache_path\" must have \"keys_zone\" "
                               "parameter");
    /* What an index says is true of these files only. */
    c->zone->variant = arena_printf(conf->arena, "%s %u:%u:%u", c->files.path,
                                    c->files.levels[0], c->files.levels[1],
                                    c->files.levels[2]);
    temp_path_add(conf, c->files.path);
    struct cache **end = &main->first;
    while (*end)
        end = &(*end)->next;
    *end = c;
    return 0;
}

static const struct directive cache_directives[] = {
    {.name = "proxy_cache_path",
     .syntax = "PATH [levels=LEVELS] [use_temp_path=on|off] "
               "keys_zone=NAME:SIZE [inactive=TIME] [max_size=SIZE] "
               "[min_free=SIZE] [manager_files=NUMBER] [manager_sleep=TIME] "
               "[manager_threshold=TIME] [loader_files=NUMBER] "
               "[loader_sleep=TIME] [loader_threshold=TIME]",
     .contexts = CONF_HTTP,
     .arity = ARGS_2_MORE,
     .flags = CONF_REPEATABLE | CONF_DEFINES,
     .set = set_path,
     .help = "A directory of cached responses and the memory that knows "
             "them."},
    {.name = NULL},
};

struct conf_module cache_module = {
    .name = "cache",
    .size = sizeof(struct cache_conf),
    .directives = cache_directives,
};

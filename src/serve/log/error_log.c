/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "serve/core.h"

static int read_level(struct conf *conf, struct str text, enum log_level *level)
{
    *level = log_level_find(arena_cstr(conf->arena, text));
    if (!*level)
        return conf_fail(conf, "invalid log level \"%.*s\"", STR_ARG(text));
    return 0;
}

/* "stderr" is no file's name. */
static const char *path_of(struct conf *conf, struct str name)
{
    return str_eq(name, STR("stderr")) ? "stderr"
                                       : conf_full_path(conf, name, false);
}

static int error_log_set(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    struct error_log_conf *c = field;
    struct log_target *t = arena_calloc(conf->arena, sizeof *t);
    struct str name = conf_arg(node, 1);
    (void)row;

    t->level = LEVEL_ERROR;
    if (node->words_n == 3 &&
        read_level(conf, conf_arg(node, 2), &t->level) == -1)
        return -1;
    if (str_starts(name, STR("syslog:")) || str_starts(name, STR("memory:")))
        return conf_fail(conf,
                         "\"%.*s\" is not supported, expected a file or "
                         "\"stderr\"",
                         STR_ARG(name));
    const char *path = path_of(conf, name);
    for (size_t i = 0; i < c->targets.n && c->targets.owner == scope; i++) {
        const struct log_target *other = c->targets.items[i];
        if (strcmp(other->file->path, path) == 0)
            return conf_fail(conf, "duplicate \"%s\" error log", path);
    }
    t->file = generation_file(generation_of(conf), path);
    conf_list_add(conf, scope, &c->targets, t);
    return 0;
}

/* Chain the scope's targets once they are complete. */
static int error_log_on_scope(struct conf *conf, struct conf_scope *scope,
                              void *module_conf)
{
    struct error_log_conf *c = module_conf;

    if (!c->targets.n) {
        /* nginx's compiled-in default. */
        struct log_target *t = arena_calloc(conf->arena, sizeof *t);
        t->level = LEVEL_ERROR;
        t->file = generation_file(generation_of(conf),
                                  path_of(conf, str_c(error_log_default())));
        conf_list_add(conf, scope, &c->targets, t);
    }
    if (c->targets.owner == scope) {
        const struct log_target *next = NULL;
        for (size_t i = c->targets.n; i-- > 0;) {
            struct log_target *t = c->targets.items[i];
            t->next = (struct log_target *)(uintptr_t)next;
            next = t;
        }
        c->target = next;
    }
    struct core_conf *core = conf_get(scope, &core_module);
    core->log = c->target;
    return 0;
}

static const char *default_path = "logs/error.log";

const char *error_log_default(void)
{
    return default_path;
}

void error_log_set_default(const char *path)
{
    default_path = path;
}

static const struct directive error_log_directives[] = {
    {.name = "error_log",
     .syntax = "FILE | stderr [LEVEL]",
     .contexts = CONF_MAIN | CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = error_log_set,
     .default_text = "logs/error.log error",
     .help = "Where errors of this level and graver ones are written: a "
             "file or stderr; debug, info, notice, warn, error, crit, alert, "
             "emerg."},
    {.name = NULL},
};

struct conf_module error_log_module = {
    .name = "error_log",
    .size = sizeof(struct error_log_conf),
    .directives = error_log_directives,
    .on_scope = error_log_on_scope,
};

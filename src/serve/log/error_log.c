/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "log/syslog.h"
#include "serve/access.h"
#include "serve/core.h"
#include "serve/look_up.h"

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

/* ---- debug_connection ---- */

static int set_debug_connection(struct conf *conf, struct conf_scope *scope,
                                const struct directive *row,
                                const struct conf_node *node, void *field)
{
    struct generation *g = generation_of(conf);
    struct access_rule *rule = arena_calloc(conf->arena, sizeof *rule);
    struct str text = conf_arg(node, 1);
    (void)scope, (void)row, (void)field;

    int rc = str_eq(text, STR("all")) ? -1 : access_rule_read(rule, text);
    if (rc == -1) {
        struct address a;
        if (look_up_address(conf, "debug_connection", text, 1, &a) == -1)
            return -1;
        char ip[ADDRESS_TEXT_MAX];
        if (access_rule_read(rule, address_ip_text(&a, ip)) == -1)
            return conf_fail(conf, "invalid value");
    }
    if (rc == 1)
        conf_warn(conf, "low address bits of %.*s are meaningless",
                  STR_ARG(text));
    conf_list_add(conf, conf->main, &g->debug_connections, rule);
    log_debug_is_on = true;
    return 0;
}

bool error_log_debugs(const struct generation *g, const struct address *remote)
{
    for (size_t i = 0; i < g->debug_connections.n; i++)
        if (access_rule_fits(g->debug_connections.items[i], remote))
            return true;
    return false;
}

/* ---- error_log ---- */

static struct log_file no_file = {.path = "syslog", .fd = -1};

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
    if (t->level == LEVEL_DEBUG)
        log_debug_is_on = true;
    if (str_starts(name, STR("memory:")))
        return conf_fail(conf,
                         "\"%.*s\" is not supported, expected a file, "
                         "\"stderr\" or \"syslog:\"",
                         STR_ARG(name));
    if (str_starts(name, STR("syslog:"))) {
        t->file = &no_file;
        t->emit = syslog_emit;
        t->arg = syslog_parse(conf, name);
        if (t->arg)
            conf_list_add(conf, scope, &c->targets, t);
        return t->arg ? 0 : -1;
    }
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
     .syntax = "FILE | stderr | syslog:server=ADDRESS[,PARAMETER...] [LEVEL]",
     .contexts = CONF_MAIN | CONF_HTTP | CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_1 | ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = error_log_set,
     .default_text = "logs/error.log error",
     .help = "Where errors of this level and graver ones are written: a "
             "file, stderr or a syslog daemon; debug, info, notice, warn, "
             "error, crit, alert, "
             "emerg."},
    {.name = "debug_connection",
     .syntax = "ADDRESS | CIDR | unix:",
     .contexts = CONF_EVENTS,
     .arity = ARGS_1,
     .flags = CONF_REPEATABLE,
     .set = set_debug_connection,
     .help = "Log these clients' requests at level debug, whatever the level "
             "of error_log."},
    {.name = NULL},
};

struct conf_module error_log_module = {
    .name = "error_log",
    .size = sizeof(struct error_log_conf),
    .directives = error_log_directives,
    .on_scope = error_log_on_scope,
};

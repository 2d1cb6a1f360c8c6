/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/access_log.h"

#include "base/check.h"
#include "log_sink.h"
#include "serve/escape.h"

static const char combined[] =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status "
    "$body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

struct log_format {
    struct value *text;
    struct str absent;       /* what a variable without value becomes */
    value_escape_fn *escape; /* NULL: none */
};

struct access_log {
    struct log_sink *sink;
    const struct log_format *format;
    const struct value *condition; /* NULL: always */
};

/* ---- log_format ---- */

static struct access_log_conf *http_conf(const struct conf_scope *scope)
{
    while (scope->context != CONF_HTTP && scope->parent)
        scope = scope->parent;
    return conf_get(scope, &access_log_module);
}

static struct log_format *add_format(struct conf *conf, struct map *formats,
                                     struct str name, struct str text)
{
    struct log_format *f = arena_calloc(conf->arena, sizeof *f);
    f->absent = STR("-");
    f->escape = escape_log_default;
    f->text = value_compile(conf, conf->variables, text);
    if (!f->text)
        return NULL;
    if (!map_add(formats, arena_str(conf->arena, name), f)) {
        conf_fail(conf, "duplicate \"log_format\" name \"%.*s\"",
                  STR_ARG(name));
        return NULL;
    }
    return f;
}

/* Made by the first who asks, so that combined is always there. */
static struct map *formats_of(struct conf *conf, const struct conf_scope *scope)
{
    struct access_log_conf *c = http_conf(scope);
    if (c->formats)
        return c->formats;
    struct map *formats = arena_alloc(conf->arena, sizeof *formats);
    map_init(formats, conf->arena, false);
    if (!add_format(conf, formats, STR("combined"), str_c(combined)))
        return NULL;
    c->formats = formats;
    return formats;
}

static int set_escape(struct conf *conf, struct log_format *f, struct str how)
{
    if (str_eq(how, STR("default")))
        return 0;
    f->absent = STR("");
    if (str_eq(how, STR("json")))
        f->escape = escape_log_json;
    else if (str_eq(how, STR("none")))
        f->escape = NULL;
    else
        return conf_fail(conf, "unknown log format escaping \"%.*s\"",
                         STR_ARG(how));
    return 0;
}

static int set_log_format(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct map *formats = formats_of(conf, scope);
    struct str escape = {NULL, 0}, text = {NULL, 0};
    size_t i = 2;
    (void)row, (void)field;

    if (!formats)
        return -1;
    if (str_starts(conf_arg(node, i), STR("escape=")))
        escape = str_slice(conf_arg(node, i++), 7, SIZE_MAX);
    for (; i < node->words_n; i++)
        text = arena_printf(conf->arena, "%.*s%.*s", STR_ARG(text),
                            STR_ARG(conf_arg(node, i)));
    struct log_format *f = add_format(conf, formats, conf_arg(node, 1), text);
    if (!f)
        return -1;
    return escape.p ? set_escape(conf, f, escape) : 0;
}

/* ---- access_log ---- */

static void end_sink(void *arg)
{
    log_sink_fini(arg);
}

static int open_sink(struct conf *conf, const struct conf_scope *scope,
                     const char *path, struct access_log *log)
{
    struct access_log_conf *c = http_conf(scope);

    if (!c->sinks) {
        c->sinks = arena_alloc(conf->arena, sizeof *c->sinks);
        map_init(c->sinks, conf->arena, false);
    }
    log->sink = map_find(c->sinks, str_c(path));
    if (log->sink)
        return 0;
    struct log_file *file = generation_file(generation_of(conf), path);
    log->sink = arena_alloc(conf->arena, sizeof *log->sink);
    log_sink_init(log->sink, file);
    arena_on_destroy(conf->arena, end_sink, log->sink);
    map_add(c->sinks, str_c(path), log->sink);
    return 1;
}

struct log_options {
    uint64_t buffer, flush_ms;
    bool flush_said;
};

static int read_option(struct conf *conf, struct access_log *log,
                       struct log_options *o, struct str word)
{
    if (str_starts(word, STR("buffer="))) {
        if (!conf_parse_size(str_slice(word, 7, SIZE_MAX), &o->buffer) ||
            o->buffer == 0 || o->buffer > 64 << 20)
            return conf_fail(conf, "invalid buffer size \"%.*s\"",
                             STR_ARG(word));
        return 0;
    }
    if (str_starts(word, STR("flush="))) {
        o->flush_said = true;
        if (!conf_parse_ms(str_slice(word, 6, SIZE_MAX), &o->flush_ms) ||
            o->flush_ms == 0)
            return conf_fail(conf, "invalid flush time \"%.*s\"",
                             STR_ARG(word));
        return 0;
    }
    if (str_starts(word, STR("if="))) {
        log->condition =
            value_compile(conf, conf->variables, str_slice(word, 3, SIZE_MAX));
        return log->condition ? 0 : -1;
    }
    if (str_starts(word, STR("gzip")))
        return conf_fail(conf, "\"gzip\" of access_log is not supported");
    return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
}

static int check_path(struct conf *conf, struct str path)
{
    if (str_starts(path, STR("syslog:")))
        return conf_fail(conf, "access_log to syslog is not supported");
    if (str_find(path, '$', 0) < path.n)
        return conf_fail(conf, "variables in the path of access_log are not "
                               "supported");
    if (path.n == 0)
        return conf_fail(conf, "access_log needs a path");
    return 0;
}

static struct access_log *add_log(struct conf *conf, struct conf_scope *scope,
                                  struct access_log_conf *c, struct str path,
                                  struct str format, int *is_new)
{
    struct access_log *log = arena_calloc(conf->arena, sizeof *log);
    struct map *formats = formats_of(conf, scope);

    if (!formats)
        return NULL;
    log->format = map_find(formats, format);
    if (!log->format) {
        conf_fail(conf, "unknown log format \"%.*s\"", STR_ARG(format));
        return NULL;
    }
    *is_new = open_sink(conf, scope, conf_full_path(conf, path, false), log);
    conf_list_add(conf, scope, &c->logs, log);
    return log;
}

static int set_access_log(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct access_log_conf *c = field;
    struct log_options o = {.buffer = 0};
    int is_new;
    (void)row;

    c->is_set = true;
    if (str_eq(conf_arg(node, 1), STR("off"))) {
        if (node->words_n > 2)
            return conf_fail(conf, "invalid parameter \"%.*s\"",
                             STR_ARG(conf_arg(node, 2)));
        conf_list_clear(scope, &c->logs);
        return 0;
    }
    if (check_path(conf, conf_arg(node, 1)) == -1)
        return -1;
    struct str format = node->words_n > 2 ? conf_arg(node, 2) : STR("combined");
    struct access_log *log =
        add_log(conf, scope, c, conf_arg(node, 1), format, &is_new);
    if (!log)
        return -1;
    for (size_t i = 3; i < node->words_n; i++)
        if (read_option(conf, log, &o, conf_arg(node, i)) == -1)
            return -1;
    if (o.flush_said && !o.buffer)
        return conf_fail(conf, "no buffer is defined for access_log \"%.*s\"",
                         STR_ARG(conf_arg(node, 1)));
    if (!is_new &&
        (log->sink->buffer != o.buffer || log->sink->flush_ms != o.flush_ms))
        return conf_fail(conf,
                         "access_log \"%.*s\" already defined with "
                         "conflicting parameters",
                         STR_ARG(conf_arg(node, 1)));
    log->sink->buffer = (size_t)o.buffer;
    log->sink->flush_ms = o.flush_ms;
    return 0;
}

/* A server that nobody gave a log has nginx's. */
static int access_log_on_scope(struct conf *conf, struct conf_scope *scope,
                               void *module_conf)
{
    struct access_log_conf *c = module_conf;
    int is_new;

    if (scope->context != CONF_SERVER || c->is_set)
        return 0;
    c->is_set = true;
    return add_log(conf, scope, c, STR("logs/access.log"), STR("combined"),
                   &is_new)
               ? 0
               : -1;
}

static int set_open_log_file_cache(struct conf *conf, struct conf_scope *scope,
                                   const struct directive *row,
                                   const struct conf_node *node, void *field)
{
    (void)scope, (void)row, (void)field;
    /* Only paths with variables would use it. */
    if (!str_eq(conf_arg(node, 1), STR("off")))
        conf_warn(conf, "\"open_log_file_cache\" has no effect: log files "
                        "are opened once");
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive access_log_directives[] = {
    {.name = "log_format",
     .contexts = CONF_HTTP,
     .arity = ARGS_2_MORE,
     .flags = CONF_REPEATABLE | CONF_DEFINES,
     .set = set_log_format,
     .default_text = "combined \"...\"",
     .syntax = "NAME [escape=default|json|none] TEXT...",
     .help = "A form for the lines of access logs."},
    {.name = "access_log",
     .contexts = ANYWHERE | CONF_LOCATION_IF | CONF_LIMIT_EXCEPT,
     .arity = ARGS_1_MORE,
     .flags = CONF_REPEATABLE,
     .set = set_access_log,
     .default_text = "logs/access.log combined",
     .syntax = "PATH [FORMAT [buffer=SIZE] [flush=TIME] [if=CONDITION]] | off",
     .help = "Where a line for each request goes."},
    {.name = "open_log_file_cache",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = set_open_log_file_cache,
     .default_text = "off",
     .help = "Accepted; log files are opened once."},
    {.name = "log_subrequest",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .flags = CONF_IGNORED,
     .help = "Accepted; there are no subrequests."},
    {.name = NULL},
};

struct conf_module access_log_module = {
    .name = "access_log",
    .size = sizeof(struct access_log_conf),
    .directives = access_log_directives,
    .on_scope = access_log_on_scope,
};

/* ---- at run time ---- */

static bool is_wanted(struct request *r, const struct access_log *log)
{
    if (!log->condition)
        return true;
    struct str s = value_eval(log->condition, &r->eval);
    return s.n > 0 && !(s.n == 1 && s.p[0] == '0');
}

void access_log_write(struct request *r)
{
    const struct location *l = r->location;
    if (!l && r->server)
        l = r->server->root;
    if (!l)
        return;

    const struct access_log_conf *c = conf_get(l->scope, &access_log_module);
    for (size_t i = 0; i < c->logs.n; i++) {
        const struct access_log *log = c->logs.items[i];
        if (!is_wanted(r, log))
            continue;
        struct buf *line = log_sink_begin(log->sink);
        if (!line)
            continue;
        value_append(log->format->text, &r->eval, log->format->absent,
                     log->format->escape, line);
        buf_put_u8(line, '\n');
        log_sink_end(log->sink, request_loop(r));
    }
}

void access_log_flush_all(void)
{
    log_sink_flush_all();
}

uint64_t access_log_dropped(void)
{
    return log_sink_dropped();
}

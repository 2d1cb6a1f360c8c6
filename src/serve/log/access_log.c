/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access_log_parts.h"
#include "base/check.h"
#include "serve/escape.h"
#include "serve/open_cache.h"
#include "serve/path.h"
#include "serve/subrequest.h"

static const char combined[] =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status "
    "$body_bytes_sent \"$http_referer\" \"$http_user_agent\"";

enum {
    GZIP_BUFFER = 64 * 1024 /* bytes that are compressed at a time */
};

/* For locations with websocket_pass; compiled when it is asked for. */
static const char websocket[] =
    "$remote_addr - $remote_user [$time_local] \"$request\" $status "
    "$websocket_close_code $websocket_close_by "
    "$websocket_messages_in $websocket_messages_out "
    "$websocket_bytes_in $websocket_bytes_out $request_time $websocket_rtt "
    "$backend_name $backend_addr \"$http_user_agent\"";

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
    int gzip;
    bool flush_said;
};

static int read_gzip(struct conf *conf, struct log_options *o, struct str word)
{
    uint64_t level = 1;
    struct str value = word;

    if (!str_eq(str_cut(&value, '='), STR("gzip")))
        return conf_fail(conf, "invalid parameter \"%.*s\"", STR_ARG(word));
    if (value.p && (!str_to_u64(value, 9, &level) || !level))
        return conf_fail(conf, "invalid compression level \"%.*s\"",
                         STR_ARG(word));
    o->gzip = (int)level;
    if (!o->buffer)
        o->buffer = GZIP_BUFFER;
    return 0;
}

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
    return read_gzip(conf, o, word);
}

/* Where the lines go: log->sink, ->path or ->syslog. */
static int set_target(struct conf *conf, struct conf_scope *scope,
                      struct access_log *log, struct str path, int *is_new)
{
    *is_new = 1;
    if (path.n == 0)
        return conf_fail(conf, "access_log needs a path");
    if (str_starts(path, STR("syslog:"))) {
        log->syslog = syslog_parse(conf, path);
        return log->syslog ? 0 : -1;
    }
    if (str_find(path, '$', 0) < path.n) {
        log->path = value_compile(conf, conf->variables, path);
        return log->path ? 0 : -1;
    }
    *is_new = open_sink(conf, scope, conf_full_path(conf, path, false), log);
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
    if (!log->format && str_eq(format, STR("websocket"))) {
        log->format =
            add_format(conf, formats, STR("websocket"), str_c(websocket));
        if (!log->format)
            return NULL;
    }
    if (!log->format) {
        conf_fail(conf, "unknown log format \"%.*s\"", STR_ARG(format));
        return NULL;
    }
    if (set_target(conf, scope, log, path, is_new) == -1)
        return NULL;
    conf_list_add(conf, scope, &c->logs, log);
    return log;
}

static int apply_options(struct conf *conf, struct access_log *log,
                         const struct log_options *o, struct str path,
                         bool is_new)
{
    struct log_sink *sink = log->sink;

    if (o->flush_said && !o->buffer)
        return conf_fail(conf, "no buffer is defined for access_log \"%.*s\"",
                         STR_ARG(path));
    if (o->buffer && log->path)
        return conf_fail(conf, "buffered logs cannot have variables in name");
    if (o->buffer && log->syslog)
        return conf_fail(conf, "logs to syslog cannot be buffered");
    if (!sink)
        return 0;
    if (!is_new && (sink->buffer != o->buffer ||
                    sink->flush_ms != o->flush_ms || sink->gzip != o->gzip))
        return conf_fail(conf,
                         "access_log \"%.*s\" already defined with "
                         "conflicting parameters",
                         STR_ARG(path));
    sink->buffer = (size_t)o->buffer;
    sink->flush_ms = o->flush_ms;
    sink->gzip = o->gzip;
    return 0;
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
    struct str format = node->words_n > 2 ? conf_arg(node, 2) : STR("combined");
    struct access_log *log =
        add_log(conf, scope, c, conf_arg(node, 1), format, &is_new);
    if (!log)
        return -1;
    for (size_t i = 3; i < node->words_n; i++)
        if (read_option(conf, log, &o, conf_arg(node, i)) == -1)
            return -1;
    return apply_options(conf, log, &o, conf_arg(node, 1), is_new);
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

/* ---- open_log_file_cache ---- */

/* All of the process: a reopen closes what they hold. */
static struct list file_caches = {&file_caches, &file_caches};

struct file_cache {
    struct list link;
    struct open_cache *files;
    struct open_cache_rules rules;
};

static void end_file_cache(void *arg)
{
    struct file_cache *f = arg;
    list_remove(&f->link);
    open_cache_destroy(f->files);
}

static int set_open_log_file_cache(struct conf *conf, struct conf_scope *scope,
                                   const struct directive *row,
                                   const struct conf_node *node, void *field)
{
    struct access_log_conf *c = field;
    struct open_cache_settings s = {.how = OPEN_TO_LOG, .inactive_ms = 10000};
    struct open_cache_rules rules = {.valid_ms = 60000, .min_uses = 1};
    (void)scope, (void)row;

    c->files = NULL;
    if (open_cache_parse(conf, node, &s, &rules) == -1)
        return -1;
    if (!s.max)
        return 0;
    c->files = arena_calloc(conf->arena, sizeof *c->files);
    c->files->files = open_cache_create(&s);
    c->files->rules = rules;
    list_push_back(&file_caches, &c->files->link);
    arena_on_destroy(conf->arena, end_file_cache, c->files);
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
     .syntax = "PATH | syslog:server=ADDRESS[,PARAMETER...] [FORMAT "
               "[buffer=SIZE] [gzip[=LEVEL]] [flush=TIME] [if=CONDITION]] | "
               "off",
     .help = "Where a line for each request goes; a PATH may hold variables."},
    {.name = "open_log_file_cache",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = set_open_log_file_cache,
     .default_text = "off",
     .syntax = "max=N [inactive=TIME] [min_uses=N] [valid=TIME] | off",
     .help = "Keep log files open whose names hold variables."},
    {.name = "log_subrequest",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct access_log_conf, subrequests),
     .default_text = "off",
     .help = "Log what the server asks of itself too."},
    {.name = NULL},
};

struct conf_module access_log_module = {
    .name = "access_log",
    .size = sizeof(struct access_log_conf),
    .directives = access_log_directives,
    .on_scope = access_log_on_scope,
};

/* ---- at run time ---- */

bool access_log_is_wanted(struct request *r, const struct access_log *log)
{
    if (!log->condition)
        return true;
    struct str s = value_eval(log->condition, &r->eval);
    return s.n > 0 && !(s.n == 1 && s.p[0] == '0');
}

static struct buf scratch; /* a line that waits for nothing */

static struct buf *format_line(struct request *r, const struct access_log *log,
                               struct buf *line)
{
    value_append(log->format->text, &r->eval, log->format->absent,
                 log->format->escape, line);
    return line;
}

static void report_failure(struct request *r, const char *call,
                           const char *path)
{
    static struct log_limit limit;
    int error = errno;
    uint64_t skipped;

    if (log_limit_pass(&limit, &skipped))
        log_errno(&r->log, LEVEL_CRIT, error, "%s \"%s\" failed", call, path);
}

/* No log is made for a host whose files are not there. */
static bool root_is_there(struct request *r)
{
    struct stat st;
    return r->location && stat(arena_cstr(r->arena, path_root(r)), &st) == 0;
}

static void write_named(struct request *r, const struct access_log_conf *c,
                        const struct access_log *log)
{
    struct str name = value_eval(log->path, &r->eval);
    struct open_file one = {.fd = -1}, *f = &one;

    if (!name.n || memchr(name.p, 0, name.n) || !root_is_there(r))
        return;
    const char *path =
        name.p[0] == '/'
            ? arena_cstr(r->arena, name)
            : arena_printf(r->arena, "%s%.*s", r->generation->conf.prefix,
                           STR_ARG(name))
                  .p;
    if (c->files) {
        f = open_cache_get(c->files->files, &c->files->rules, path);
        errno = f->error;
    } else {
        f->fd = open(
            path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);
    }
    buf_put_u8(format_line(r, log, &scratch), '\n');
    if (f->fd == -1)
        report_failure(r, "open()", path);
    else if (write(f->fd, scratch.p, scratch.n) != (ssize_t)scratch.n)
        report_failure(r, "write() to", path);
    if (c->files)
        open_cache_give(c->files->files, f);
    else if (f->fd != -1)
        close(f->fd);
    buf_clear(&scratch);
}

static void write_one(struct request *r, const struct access_log_conf *c,
                      const struct access_log *log)
{
    if (log->sink) {
        struct buf *line = log_sink_begin(log->sink);
        if (!line)
            return;
        buf_put_u8(format_line(r, log, line), '\n');
        log_sink_end(log->sink, request_loop(r));
    } else if (log->syslog) {
        format_line(r, log, &scratch);
        syslog_send(log->syslog, log->syslog->severity, buf_str(&scratch));
        buf_clear(&scratch);
    } else {
        write_named(r, c, log);
    }
}

void access_log_write(struct request *r)
{
    const struct location *l = r->location;
    if (!l && r->server)
        l = r->server->root;
    if (!l)
        return;

    const struct access_log_conf *c = conf_get(l->scope, &access_log_module);
    if (r->log_kept || (request_is_sub(r) && !c->subrequests))
        return;
    for (size_t i = 0; i < c->logs.n; i++)
        if (access_log_is_wanted(r, c->logs.items[i]))
            write_one(r, c, c->logs.items[i]);
}

void access_log_flush_all(void)
{
    log_sink_flush_all();
    LIST_EACH(link, after, &file_caches)
    open_cache_clear(CONTAINER(link, struct file_cache, link)->files);
    buf_fini(&scratch);
}

uint64_t access_log_dropped(void)
{
    return log_sink_dropped();
}

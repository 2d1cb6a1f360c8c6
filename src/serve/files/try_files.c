/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/try_files.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/check.h"
#include "blocks.h"
#include "serve/file.h"
#include "serve/path.h"

/* ---- configuration ---- */

static int compile_file(struct conf *conf, struct try_files_conf *c,
                        struct str text)
{
    if (text.n && text.p[text.n - 1] == '/') {
        c->want_directory[c->n] = true;
        text.n--;
    }
    c->files[c->n] = value_compile(conf, conf->variables, text);
    return c->files[c->n++] ? 0 : -1;
}

static int compile_fallback(struct conf *conf, struct try_files_conf *c,
                            struct str text)
{
    uint64_t code;

    if (text.n && text.p[0] == '=') {
        if (!str_to_u64(str_slice(text, 1, text.n), 999, &code) || code < 200)
            return conf_fail(conf, "invalid code \"%.*s\"", STR_ARG(text));
        c->code = (unsigned)code;
        return 0;
    }
    c->fallback = value_compile(conf, conf->variables, text);
    return c->fallback ? 0 : -1;
}

static int set_try_files(struct conf *conf, struct conf_scope *scope,
                         const struct directive *row,
                         const struct conf_node *node, void *field)
{
    struct try_files_conf *c = field;
    size_t last = node->words_n - 1;
    (void)row;

    *c = (struct try_files_conf){.owner = scope};
    c->files = arena_calloc(conf->arena, last * sizeof *c->files);
    c->want_directory =
        arena_calloc(conf->arena, last * sizeof *c->want_directory);
    for (size_t i = 1; i < last; i++)
        if (compile_file(conf, c, conf_arg(node, i)) == -1)
            return -1;
    return compile_fallback(conf, c, conf_arg(node, last));
}

static const struct handler try_files_handler;

/* A handler that a sibling directive set is put behind the test for files.
 * Locations without one have static files, which ask by themselves. */
static int try_files_on_scope(struct conf *conf, struct conf_scope *scope,
                              void *module_conf)
{
    struct try_files_conf *c = module_conf;
    (void)conf;

    if (c->owner != scope)
        return 0;
    struct location *l = location_of_scope(scope);
    if (l->handler) {
        c->inner = l->handler;
        l->handler = &try_files_handler;
    }
    return 0;
}

static const struct directive try_files_directives[] = {
    {.name = "try_files",
     .contexts = CONF_SERVER | CONF_LOCATION,
     .arity = ARGS_2_MORE,
     .set = set_try_files,
     .syntax = "FILE... URI | @NAME | =CODE",
     .help = "Serve the first file that exists, else the last."},
    {.name = NULL},
};

struct conf_module try_files_module = {
    .name = "try_files",
    .size = sizeof(struct try_files_conf),
    .directives = try_files_directives,
    .on_scope = try_files_on_scope,
};

/* ---- at run time ---- */

static bool exists(struct request *r, const struct path *path,
                   bool want_directory)
{
    struct stat st;

    int error = file_stat(r, path, &st);
    if (!error)
        return S_ISDIR(st.st_mode) ? want_directory
                                   : !want_directory && S_ISREG(st.st_mode);
    if (error != ENOENT && error != ENOTDIR && error != ENAMETOOLONG &&
        error != ELOOP)
        log_errno(&r->log, LEVEL_CRIT, error, "stat() \"%s\" failed",
                  path->text.p);
    return false;
}

/*
 * Under an alias a file is looked up in what the alias stands for: with
 * variables in it the location's own text is taken off its front, and the
 * name is found behind the alias.
 */
static struct str uri_of_file(struct request *r, const struct value *file)
{
    const struct path_conf *p = request_conf(r, &path_module);
    struct str name = value_eval(file, &r->eval);

    if (!p->is_alias || p->alias_is_whole)
        return name;
    if (!value_is_constant(file) && str_starts(name, p->alias_stands_for))
        return name;
    return arena_printf(r->arena, "%.*s%.*s", STR_ARG(p->alias_stands_for),
                        STR_ARG(name));
}

static int fall_back(struct request *r, const struct try_files_conf *c)
{
    if (c->code)
        return (int)c->code;
    struct str uri = value_eval(c->fallback, &r->eval);
    if (uri.n && uri.p[0] == '@')
        return request_named_location(r, uri);

    struct str args = uri;
    uri = str_cut(&args, '?');
    if (!uri.n || uri.p[0] != '/') {
        log_err(&r->log, "the fallback \"%.*s\" of try_files is no URI",
                STR_ARG(uri));
        return 500;
    }
    return request_redirect_internally(r, uri, args);
}

int try_files_run(struct request *r)
{
    const struct try_files_conf *c = request_conf(r, &try_files_module);

    if (c->owner != r->location->scope)
        return VERDICT_DECLINED;
    for (size_t i = 0; i < c->n; i++) {
        struct path path;
        struct str uri = uri_of_file(r, c->files[i]);
        int status = path_of_uri(r, uri, &path);
        if (status == 500)
            return status;
        if (status == 0 && exists(r, &path, c->want_directory[i])) {
            if (!str_eq(uri, r->uri))
                r->uri_is_as_sent = false;
            r->uri = uri;
            return VERDICT_DECLINED;
        }
    }
    return fall_back(r, c);
}

static int try_files_start(struct request *r)
{
    const struct try_files_conf *c = request_conf(r, &try_files_module);
    int verdict = try_files_run(r);

    if (verdict != VERDICT_DECLINED)
        return verdict;
    r->handler = c->inner; /* what follows is told to it, not to us */
    return c->inner->start(r);
}

static const struct handler try_files_handler = {
    .name = "try_files",
    .start = try_files_start,
};

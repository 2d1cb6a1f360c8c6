/* SPDX-License-Identifier: BSD-2-Clause */
#include "serve/path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/check.h"
#include "blocks.h"

/* ---- configuration ---- */

static int keep_root(struct conf *conf, struct path_conf *c, struct str text)
{
    c->root = value_compile(conf, conf->variables, text);
    if (!c->root)
        return -1;
    c->constant = (struct str){NULL, 0};
    if (value_is_constant(c->root)) {
        c->constant = str_c(conf_full_path(conf, text, false));
        if (!c->is_alias && c->constant.n > 1 &&
            c->constant.p[c->constant.n - 1] == '/')
            c->constant.n--;
    }
    return 0;
}

/* True when the text names the variable that is being defined by it. */
static bool mentions(struct str text, const char *name)
{
    char *s = xmalloc(text.n + 1);
    memcpy(s, text.p, text.n);
    s[text.n] = 0;
    const char *at = strstr(s, name);
    bool found = at && at > s && (at[-1] == '$' || at[-1] == '{');
    free(s);
    return found;
}

static int check_root_text(struct conf *conf, const struct conf_node *node)
{
    struct str text = conf_arg(node, 1);
    static const char *const own[] = {"document_root", "realpath_root"};

    for (size_t i = 0; i < COUNT(own); i++)
        if (mentions(text, own[i]))
            return conf_fail(conf,
                             "the $%s variable cannot be used in the \"%.*s\" "
                             "directive",
                             own[i], STR_ARG(conf_arg(node, 0)));
    if (text.n == 0)
        return conf_fail(conf, "an empty path in the \"%.*s\" directive",
                         STR_ARG(conf_arg(node, 0)));
    if (memchr(text.p, 0, text.n))
        return conf_fail(conf, "invalid path \"%.*s\"", STR_ARG(text));
    return 0;
}

static int set_root(struct conf *conf, struct conf_scope *scope,
                    const struct directive *row, const struct conf_node *node,
                    void *field)
{
    struct path_conf *c = field;
    (void)row;

    /* root and alias are two names for one thing, so the engine's own check
     * for duplicates does not see the pair. */
    if (c->owner == scope)
        return conf_fail(conf,
                         "\"root\" directive is duplicate, \"%s\" directive "
                         "was specified earlier",
                         c->is_alias ? "alias" : "root");
    if (check_root_text(conf, node) == -1)
        return -1;
    c->owner = scope;
    c->is_alias = c->alias_is_whole = false;
    return keep_root(conf, c, conf_arg(node, 1));
}

static int set_alias(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct path_conf *c = field;
    const struct location *l = location_of_scope(scope);
    (void)row;

    if (c->owner == scope)
        return conf_fail(conf,
                         "\"alias\" directive is duplicate, \"%s\" directive "
                         "was specified earlier",
                         c->is_alias ? "alias" : "root");
    if (l->kind == LOCATION_NAMED)
        return conf_fail(conf, "the \"alias\" directive cannot be used inside "
                               "the named location");
    if (check_root_text(conf, node) == -1)
        return -1;
    c->owner = scope;
    c->is_alias = true;
    c->alias_is_whole =
        l->kind == LOCATION_REGEX || l->kind == LOCATION_REGEX_NOCASE;
    c->alias_stands_for = l->text;
    return keep_root(conf, c, conf_arg(node, 1));
}

static int path_on_scope(struct conf *conf, struct conf_scope *scope,
                         void *module_conf)
{
    struct path_conf *c = module_conf;
    if (scope->context != CONF_HTTP || c->root)
        return 0;
    return keep_root(conf, c, STR("html"));
}

static const struct directive path_directives[] = {
    {.name = "root",
     .syntax = "PATH",
     .contexts = CONF_HTTP | CONF_SERVER | CONF_LOCATION | CONF_LOCATION_IF,
     .arity = ARGS_1,
     .set = set_root,
     .default_text = "html",
     .help = "Directory that the URI is looked up in."},
    {.name = "alias",
     .syntax = "PATH",
     .contexts = CONF_LOCATION,
     .arity = ARGS_1,
     .set = set_alias,
     .help = "Path that stands for the location's prefix; in a regex "
             "location, for the whole URI."},
    {.name = NULL},
};

struct conf_module path_module = {
    .name = "path",
    .size = sizeof(struct path_conf),
    .directives = path_directives,
    .on_scope = path_on_scope,
};

/* ---- at run time ---- */

struct str path_root(struct request *r)
{
    const struct path_conf *c = request_conf(r, &path_module);
    if (c->constant.p)
        return c->constant;

    struct str root = value_eval(c->root, &r->eval);
    if (root.n == 0 || root.p[0] != '/')
        root = arena_printf(r->arena, "%s%.*s", r->generation->conf.prefix,
                            STR_ARG(root));
    if (!c->is_alias && root.n > 1 && root.p[root.n - 1] == '/')
        root.n--;
    return root;
}

/* Is there a segment ".." that ends behind from?  from may stand inside of
 * the first one: an alias "/a/" and a rest "../b" meet in the middle. */
static bool climbs(struct str path, size_t from)
{
    while (from > 0 && path.p[from - 1] != '/')
        from--;
    for (size_t i = from; i < path.n;) {
        size_t end = str_find(path, '/', i);
        if (str_eq(str_slice(path, i, end), STR("..")))
            return true;
        i = end + 1;
    }
    return false;
}

/* How many bytes of the root no client had a hand in.  A root with variables
 * is made of what was sent, unless the operator wrote ".." there himself. */
static size_t operators_part(struct request *r, const struct path_conf *c,
                             struct str root)
{
    if (c->constant.p || climbs(value_text(c->root), 0))
        return root.n;
    struct str prefix = str_c(r->generation->conf.prefix);
    return str_starts(root, prefix) ? prefix.n : 0;
}

static int outside(struct request *r, struct str path)
{
    log_err(&r->log, "\"%.*s\" is outside of its root", STR_ARG(path));
    return 404;
}

int path_of_uri(struct request *r, struct str uri, struct path *out)
{
    const struct path_conf *c = request_conf(r, &path_module);
    struct str root = path_root(r), rest = uri;

    if (c->is_alias && c->alias_is_whole) {
        rest = (struct str){"", 0};
    } else if (c->is_alias) {
        if (!str_starts(uri, c->alias_stands_for)) {
            log_write(&r->log, LEVEL_ERROR,
                      "\"alias\" could not be used in location \"%.*s\" where "
                      "URI was rewritten",
                      STR_ARG(c->alias_stands_for));
            return 500;
        }
        rest = str_slice(uri, c->alias_stands_for.n, uri.n);
    }

    /* A rewrite may have left no slash: "root" and "x" are not "rootx". */
    if (!c->is_alias && (rest.n == 0 || rest.p[0] != '/'))
        return outside(r, rest);
    char *p = arena_alloc(r->arena, root.n + rest.n + 1);
    memcpy(p, root.p, root.n);
    if (rest.n)
        memcpy(p + root.n, rest.p, rest.n);
    p[root.n + rest.n] = 0;
    out->text = str_n(p, root.n + rest.n);
    out->root_n = root.n;

    size_t ours = operators_part(r, c, root);
    if (p[ours] == '/')
        ours++;
    if (memchr(p, 0, out->text.n) || climbs(out->text, ours))
        return outside(r, out->text);
    return 0;
}

/* ---- variables ---- */

static bool get_document_root(struct evaluation *e, const struct variable *v,
                              struct str *out)
{
    (void)v;
    if (!e->request->location)
        return false;
    *out = path_root(e->request);
    return true;
}

static bool get_realpath_root(struct evaluation *e, const struct variable *v,
                              struct str *out)
{
    char real[PATH_MAX];
    (void)v;

    if (!e->request->location)
        return false;
    struct str root = path_root(e->request);
    if (!realpath(arena_cstr(e->arena, root), real)) {
        log_errno(&e->request->log, LEVEL_CRIT, errno,
                  "realpath() \"%.*s\" failed", STR_ARG(root));
        return false;
    }
    *out = arena_str(e->arena, str_c(real));
    return true;
}

static bool get_request_filename(struct evaluation *e, const struct variable *v,
                                 struct str *out)
{
    struct path path;
    (void)v;
    if (!e->request->location || e->request->uri.n == 0 ||
        path_of_uri(e->request, e->request->uri, &path) != 0)
        return false;
    *out = path.text;
    return true;
}

const struct variable path_variables[] = {
    {.name = "document_root", .get = get_document_root},
    {.name = "realpath_root", .get = get_realpath_root},
    {.name = "request_filename", .get = get_request_filename},
    {.name = NULL},
};

/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy_store: files that keep what an upstream answered. */
#include <errno.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/clock.h"
#include "proxy_parts.h"
#include "serve/path.h"
#include "serve/temp.h"

struct proxy_store_conf {
    bool on;            /* the path is that of root or alias and the URI */
    struct value *path; /* or this */
    unsigned access;    /* of the file; x goes with r for directories */
};

static const struct proxy_store_conf *conf_of(const struct proxy *p)
{
    return request_conf(p->request, &proxy_store_module);
}

/* ---- the end: the file gets its name ---- */

static mode_t directory_mode(unsigned access)
{
    return access | (access & 0444) >> 2;
}

/* What is above the file. */
static void make_directories(char *path, unsigned access)
{
    for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = 0;
        mkdir(path, directory_mode(access)); /* what is wrong rename() says */
        *at = '/';
    }
}

static int store_path(struct proxy *p, struct str *path)
{
    const struct proxy_store_conf *c = conf_of(p);
    struct request *r = p->request;
    struct path found;

    if (!c->on) {
        *path = value_eval(c->path, &r->eval);
        return path->n && path->p[0] == '/' ? 0 : -1;
    }
    if (path_of_uri(r, r->uri, &found) != 0)
        return -1;
    *path = found.text;
    return 0;
}

static void store_commit(struct proxy *p)
{
    unsigned access = conf_of(p)->access;
    struct spool *s = &p->spool;
    struct request *r = p->request;
    struct str text;

    if (store_path(p, &text) == -1 || text.p[text.n - 1] == '/')
        return;
    char *path = arena_cstr(r->arena, text);
    struct str modified = http_head_find(&p->response, STR("Last-Modified"));
    time_t seconds = modified.p ? clock_parse_http(modified) : -1;
    struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
    if (seconds != -1)
        futimens(s->fd, times);
    if (fchmod(s->fd, access) == -1)
        log_errno(&r->log, LEVEL_CRIT, errno, "fchmod() \"%s\" failed",
                  s->name.p);
    int rc = temp_file_move(s->fd, s->name.p, path, access);
    if (rc == -1 && errno == ENOENT) {
        make_directories(path, access);
        rc = temp_file_move(s->fd, s->name.p, path, access);
    }
    if (rc == 0)
        s->name.p = NULL; /* nothing to remove any more */
    else
        log_errno(&r->log, LEVEL_CRIT, errno, "rename() to \"%s\" failed",
                  path);
}

/* ---- the beginning ---- */

void proxy_store_begin(struct proxy *p)
{
    const struct proxy_store_conf *c = conf_of(p);
    const struct temp_conf *temp = request_conf(p->request, &temp_module);

    if ((!c->on && !c->path) || p->response.status != 200 || p->sends_head ||
        p->request->head.method == METHOD_HEAD)
        return;
    if (!proxy_spool_open(p, &temp->proxy))
        return;
    p->spool.whole = true;
    p->spool.commit = store_commit;
}

/* ---- directives ---- */

static int set_store(struct conf *conf, struct conf_scope *scope,
                     const struct directive *row, const struct conf_node *node,
                     void *field)
{
    struct proxy_store_conf *c = field;
    struct str text = conf_arg(node, 1);
    (void)scope, (void)row;

    c->on = str_eq(text, STR("on"));
    c->path = NULL;
    if (c->on || str_eq(text, STR("off")))
        return 0;
    const char *path = conf_full_path(conf, text, false);
    c->path = value_compile(conf, conf->variables, str_c(path));
    return c->path ? 0 : -1;
}

/* "user:rw group:rw all:r" */
static int set_access(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    static const struct {
        const char *text;
        unsigned shift;
    } who[] = {{"user:", 6}, {"group:", 3}, {"all:", 0}};
    unsigned *access = field;
    (void)scope, (void)row;

    *access = 0600;
    for (size_t i = 1; i < node->words_n; i++) {
        struct str word = conf_arg(node, i);
        size_t k = 0;
        while (k < COUNT(who) && !str_starts(word, str_c(who[k].text)))
            k++;
        if (k == COUNT(who))
            goto invalid;
        struct str right = str_slice(word, strlen(who[k].text), word.n);
        if (str_eq(right, STR("rw")))
            *access |= 6u << who[k].shift;
        else if (str_eq(right, STR("r")))
            *access |= 4u << who[k].shift;
        else
            goto invalid;
        continue;
    invalid:
        return conf_fail(conf, "invalid value \"%.*s\"", STR_ARG(word));
    }
    return 0;
}

enum { EVERYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION };

static void store_defaults(void *module_conf)
{
    struct proxy_store_conf *c = module_conf;
    c->access = 0600;
}

static const struct directive store_directives[] = {
    {.name = "proxy_store",
     .syntax = "on | off | PATH",
     .contexts = EVERYWHERE,
     .arity = ARGS_1,
     .set = set_store,
     .default_text = "off",
     .help = "Keep 200 responses as files, where root or alias would look for "
             "them or at PATH."},
    {.name = "proxy_store_access",
     .syntax = "user:RIGHTS | group:RIGHTS | all:RIGHTS ...",
     .contexts = EVERYWHERE,
     .arity = ARGS_1 | ARGS_2 | ARGS_3,
     .set = set_access,
     .offset = offsetof(struct proxy_store_conf, access),
     .default_text = "user:rw",
     .help = "Who may read (r) and write (rw) these files."},
    {.name = NULL},
};

struct conf_module proxy_store_module = {
    .name = "proxy_store",
    .size = sizeof(struct proxy_store_conf),
    .defaults = store_defaults,
    .directives = store_directives,
};

/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/check.h"
#include "charset_map.h"
#include "encoding.h"
#include "serve/body_filters.h"
#include "serve/subrequest.h"

enum {
    PIECE_SIZE = 16 * 1024, /* bytes that are made at a time */
};

struct charset_conf {
    struct value *charset; /* NULL: off */
    struct str source;     /* n 0: off */
    bool override;
    struct type_set types;
    struct conf_list maps; /* struct charset_map, of the http scope */
};

static const char *const default_types[] = {
    "text/html",
    "text/xml",
    "text/plain",
    "text/vnd.wap.wml",
    "application/javascript",
    "application/rss+xml",
    NULL,
};

/* ---- the body ---- */

struct recoder {
    const struct charset_map *map;
    bool back; /* from the map's second to its first */
    uint8_t cut[4];
    size_t cut_n; /* bytes of a character that goes on in the next piece */
};

static int take(struct filter *f, struct str *in, bool last)
{
    static uint8_t piece[PIECE_SIZE]; /* what is kept of it is copied */
    struct recoder *c = f->state;
    bool room = true;

    while (in->n && room) {
        size_t n = charset_recode(c->map, c->back, in, c->cut, &c->cut_n, piece,
                                  sizeof piece);
        room = filter_pass_str(f, str_n(piece, n));
    }
    if (in->n)
        return 0;
    if (last) {
        /* A character that was cut short. */
        filter_pass_str(f, c->cut_n ? STR("?") : STR(""));
        filter_pass_end(f);
    }
    return 1;
}

static const struct filter_type charset_type = {.name = "charset",
                                                .take = take};

/* ---- the head ---- */

/* "koi8-r" of "text/html; charset=koi8-r"; *bare: the type without it. */
static struct str charset_of(struct str content_type, struct str *bare)
{
    struct str rest = content_type;

    str_cut(&rest, ';');
    while (rest.p) {
        struct str one = str_trim(str_cut(&rest, ';'));
        if (!str_starts_nocase(one, STR("charset=")))
            continue;
        *bare = str_trim(
            str_slice(content_type, 0, str_find(content_type, ';', 0)));
        struct str name = str_slice(one, 8, one.n);
        if (name.n > 1 && name.p[0] == '"' && name.p[name.n - 1] == '"')
            name = str_slice(name, 1, name.n - 1);
        return name;
    }
    *bare = content_type;
    return (struct str){NULL, 0};
}

static const struct charset_map *find_map(const struct conf_list *maps,
                                          struct str from, struct str to,
                                          bool *back)
{
    for (size_t i = 0; i < maps->n; i++) {
        const struct charset_map *m = maps->items[i];
        *back = str_eq_nocase(m->to, from) && str_eq_nocase(m->from, to);
        if (*back || (str_eq_nocase(m->from, from) && str_eq_nocase(m->to, to)))
            return m;
    }
    return NULL;
}

/* What the client is to get; n 0: leave the response as it is. */
static struct str wanted(struct request *r, const struct charset_conf *c,
                         struct str has)
{
    struct str bare;

    if (request_is_sub(r))
        return charset_of(r->main->response.content_type, &bare);
    if (!c->charset)
        return STR("");
    if (has.n
            ? !c->override
            : !type_set_has(&c->types, default_types, r->response.content_type))
        return STR("");
    return value_eval(c->charset, &r->eval);
}

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302;
}

void charset_filter(struct request *r)
{
    const struct charset_conf *c = request_conf(r, &charset_module);
    struct response *p = &r->response;
    struct str bare;

    if ((!c->charset && !request_is_sub(r)) || !p->content_type.n)
        return;
    struct str has = charset_of(p->content_type, &bare);
    struct str want = wanted(r, c, has);
    struct str source = has.n ? has : c->source;
    if (!want.n)
        return;
    if (!is_redirect(p->status))
        p->content_type = arena_printf(r->arena, "%.*s; charset=%.*s",
                                       STR_ARG(bare), STR_ARG(want));
    if (!source.n || str_eq_nocase(source, want) ||
        response_find(r, STR("Content-Encoding")).n)
        return;
    struct recoder *recoder = arena_calloc(r->arena, sizeof *recoder);
    recoder->map = find_map(&c->maps, source, want, &recoder->back);
    if (!recoder->map) {
        log_err(&r->log,
                "no \"charset_map\" between the charsets \"%.*s\" and "
                "\"%.*s\"",
                STR_ARG(source), STR_ARG(want));
        return;
    }
    if (recoder->map->is_utf8) { /* else it is byte for byte */
        p->content_length = -1;
        p->allow_ranges = false;
    }
    filters_add(r, &charset_type, recoder);
}

/* ---- configuration ---- */

bool charset_is_on(const struct conf_scope *scope)
{
    const struct charset_conf *c = conf_get(scope, &charset_module);
    return c->charset != NULL;
}

static int set_charset(struct conf *conf, struct conf_scope *scope,
                       const struct directive *row,
                       const struct conf_node *node, void *field)
{
    struct value **v = field;
    (void)scope, (void)row;

    *v = NULL;
    if (str_eq(conf_arg(node, 1), STR("off")))
        return 0;
    *v = value_compile(conf, conf->variables, conf_arg(node, 1));
    return *v ? 0 : -1;
}

static int set_source(struct conf *conf, struct conf_scope *scope,
                      const struct directive *row, const struct conf_node *node,
                      void *field)
{
    struct str *name = field;
    (void)conf, (void)scope, (void)row;

    *name = conf_arg(node, 1);
    if (str_eq(*name, STR("off")))
        *name = STR("");
    return 0;
}

static int set_map(struct conf *conf, struct conf_scope *scope,
                   const struct directive *row, const struct conf_node *node,
                   void *field)
{
    struct charset_conf *c = field;
    struct charset_map *m = arena_calloc(conf->arena, sizeof *m);
    bool back;
    (void)row;

    m->from = conf_arg(node, 1);
    m->to = conf_arg(node, 2);
    if (str_eq_nocase(m->from, m->to))
        return conf_fail(conf,
                         "\"charset_map\" between the same charsets "
                         "\"%.*s\" and \"%.*s\"",
                         STR_ARG(m->from), STR_ARG(m->to));
    if (str_eq_nocase(m->from, STR("utf-8")))
        return conf_fail(conf, "\"charset_map\" from utf-8 is not supported, "
                               "expected it as the second charset");
    if (find_map(&c->maps, m->from, m->to, &back))
        return conf_fail(conf,
                         "duplicate \"charset_map\" between \"%.*s\" and "
                         "\"%.*s\"",
                         STR_ARG(m->from), STR_ARG(m->to));
    charset_map_init(m, conf->arena);
    const struct conf_node *line = NULL;
    int got;
    while ((got = conf_entry_next(conf, node, &line)) == 1) {
        if (line->words_n != 2)
            return conf_fail(conf, "invalid parameters number");
        if (!charset_map_add(m, conf->arena, conf_arg(line, 0),
                             conf_arg(line, 1)))
            return conf_fail(conf, "invalid value \"%.*s\" or \"%.*s\"",
                             STR_ARG(conf_arg(line, 0)),
                             STR_ARG(conf_arg(line, 1)));
    }
    if (got == 0)
        conf_list_add(conf, scope, &c->maps, m);
    return got;
}

/* Where both are known they must fit. */
static int charset_on_scope(struct conf *conf, struct conf_scope *scope,
                            void *module_conf)
{
    const struct charset_conf *c = module_conf;
    bool back;
    (void)scope;

    if (!c->charset || !value_is_constant(c->charset) || !c->source.n)
        return 0;
    struct str to = value_text(c->charset);
    if (str_eq_nocase(to, c->source) ||
        find_map(&c->maps, c->source, to, &back))
        return 0;
    return conf_fail(conf,
                     "no \"charset_map\" between the charsets \"%.*s\" and "
                     "\"%.*s\"",
                     STR_ARG(c->source), STR_ARG(to));
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive charset_directives[] = {
    {.name = "charset",
     .contexts = ANYWHERE | CONF_LOCATION_IF,
     .arity = ARGS_1,
     .set = set_charset,
     .offset = offsetof(struct charset_conf, charset),
     .default_text = "off",
     .syntax = "NAME | off",
     .help = "Say it in Content-Type, and recode into it what is another."},
    {.name = "source_charset",
     .contexts = ANYWHERE | CONF_LOCATION_IF,
     .arity = ARGS_1,
     .set = set_source,
     .offset = offsetof(struct charset_conf, source),
     .syntax = "NAME",
     .help = "The charset that responses are in when they do not say."},
    {.name = "override_charset",
     .contexts = ANYWHERE | CONF_LOCATION_IF,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct charset_conf, override),
     .default_text = "off",
     .help = "Recode what an upstream said the charset of, too."},
    {.name = "charset_types",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = type_set_set,
     .offset = offsetof(struct charset_conf, types),
     .default_text = "text/html text/xml text/plain text/vnd.wap.wml "
                     "application/javascript application/rss+xml",
     .syntax = "TYPE ... | *",
     .help = "Media types that charset is for, beside text/html."},
    {.name = "charset_map",
     .contexts = CONF_HTTP,
     .arity = ARGS_2,
     .flags = CONF_BLOCK | CONF_REPEATABLE | CONF_DEFINES,
     .set = set_map,
     .syntax = "CHARSET CHARSET { CODE CODE; ... }",
     .help = "How a charset of single bytes becomes another, or utf-8."},
    {.name = NULL},
};

struct conf_module charset_module = {
    .name = "charset",
    .size = sizeof(struct charset_conf),
    .directives = charset_directives,
    .on_scope = charset_on_scope,
};

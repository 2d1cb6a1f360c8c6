/* SPDX-License-Identifier: BSD-2-Clause */
#include "encoding.h"
#include "serve/body_filters.h"
#include "serve/subrequest.h"

enum {
    PIECES_MAX = 16, /* given to the next filter at once */
};

/* sub_filter STRING REPLACEMENT; */
struct sub_pair {
    struct value *pattern, *replacement;
};

struct sub_filter_conf {
    struct conf_list pairs; /* struct sub_pair */
    struct type_set types;
    bool once, last_modified;
};

/* ---- the search ---- */

struct sub_pattern {
    struct str text; /* in lower case */
    const struct sub_pair *pair;
    struct str replacement; /* p NULL: not evaluated yet */
    bool used_up;
};

struct sub_filter {
    struct sub_pattern *patterns; /* in order of the file */
    size_t n, left;               /* left: not used up */
    bool once;
    bool begins[256];   /* a pattern does so */
    struct buf pending; /* what may be the beginning of a match, or could not
                           be passed on */
};

/* What one scan gives, gathered. */
struct gathered {
    struct filter *f;
    struct iovec iov[PIECES_MAX];
    int n;
    bool room;
};

static void flush(struct gathered *g)
{
    if (g->n && !filter_pass(g->f, g->iov, g->n, false))
        g->room = false;
    g->n = 0;
}

static void give(struct gathered *g, struct str s)
{
    if (!s.n)
        return;
    g->iov[g->n++] = (struct iovec){(void *)(uintptr_t)s.p, s.n};
    if (g->n == PIECES_MAX)
        flush(g);
}

enum fit {
    FIT_NOT = 0,
    FIT_YES,
    FIT_MAYBE, /* as far as there are bytes */
};

static enum fit fits(struct str pattern, struct str at)
{
    size_t n = at.n < pattern.n ? at.n : pattern.n;

    for (size_t i = 0; i < n; i++)
        if (ascii_lower(at.p[i]) != pattern.p[i])
            return FIT_NOT;
    return n == pattern.n ? FIT_YES : FIT_MAYBE;
}

/* The pattern that stands at the front; *more: it takes more bytes to say. */
static struct sub_pattern *find(struct sub_filter *s, struct str at, bool *more)
{
    for (size_t i = 0; i < s->n; i++) {
        struct sub_pattern *p = &s->patterns[i];
        if (p->used_up)
            continue;
        enum fit fit = fits(p->text, at);
        if (fit == FIT_YES)
            return p;
        if (fit == FIT_MAYBE) {
            *more = true;
            return NULL;
        }
    }
    return NULL;
}

static struct str replacement_of(struct request *r, struct sub_filter *s,
                                 struct sub_pattern *p)
{
    if (!p->replacement.p)
        p->replacement = value_eval(p->pair->replacement, &r->eval);
    if (s->once) {
        p->used_up = true;
        s->left--;
    }
    return p->replacement;
}

/* Returns how much of text is done with. */
static size_t scan(struct sub_filter *s, struct gathered *g, struct str text,
                   bool last)
{
    size_t done = 0, i = 0;

    while (i < text.n && g->room && s->left) {
        if (!s->begins[(unsigned char)text.p[i]]) {
            i++;
            continue;
        }
        bool more = false;
        struct str at = str_slice(text, i, text.n);
        struct sub_pattern *p = find(s, at, &more);
        if (p) {
            give(g, str_slice(text, done, i));
            give(g, replacement_of(g->f->request, s, p));
            done = i += p->text.n;
        } else if (more && !last) {
            break;
        } else {
            i++;
        }
    }
    size_t end = s->left && g->room ? i : g->room ? text.n : done;
    give(g, str_slice(text, done, end));
    flush(g);
    return end;
}

static int take(struct filter *f, struct str *in, bool last)
{
    struct sub_filter *s = f->state;
    struct gathered g = {.f = f, .room = true};
    bool is_kept = s->pending.n > 0;
    struct str text = *in;

    if (is_kept) {
        buf_put(&s->pending, in->p, in->n);
        text = buf_str(&s->pending);
    }
    in->n = 0;
    size_t done = scan(s, &g, text, last);
    if (is_kept)
        buf_drop(&s->pending, done);
    else
        buf_put(&s->pending, text.p + done, text.n - done);
    if (last && !s->pending.n) {
        filter_pass_end(f);
        return 1;
    }
    return g.room && !last ? 1 : 0;
}

static const struct filter_type sub_filter_type = {.name = "sub_filter",
                                                   .take = take};

/* ---- the head ---- */

static void free_pending(void *arg)
{
    buf_fini(&((struct sub_filter *)arg)->pending);
}

static struct str lower_copy(struct request *r, struct str s)
{
    char *p = arena_alloc(r->arena, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(s.p[i]);
    return str_n(p, s.n);
}

static void add(struct sub_filter *s, struct sub_pattern p)
{
    s->patterns[s->n++] = p;
    unsigned char first = (unsigned char)p.text.p[0];
    s->begins[first] = true;
    if (first >= 'a' && first <= 'z')
        s->begins[first - 0x20] = true;
}

void sub_filter_filter(struct request *r)
{
    const struct sub_filter_conf *c = request_conf(r, &sub_filter_module);

    if (!c->pairs.n || !r->response.content_length ||
        !type_set_has(&c->types, NULL, r->response.content_type))
        return;
    struct sub_filter *s = arena_calloc(r->arena, sizeof *s);
    s->patterns = arena_alloc(r->arena, c->pairs.n * sizeof *s->patterns);
    s->once = c->once;
    for (size_t i = 0; i < c->pairs.n; i++) {
        const struct sub_pair *pair = c->pairs.items[i];
        struct str text = value_eval(pair->pattern, &r->eval);
        if (text.n)
            add(s, (struct sub_pattern){.text = lower_copy(r, text),
                                        .pair = pair});
    }
    s->left = s->n;
    if (!s->n)
        return;
    arena_on_destroy(r->arena, free_pending, s);
    response_body_changes(r);
    if (!c->last_modified && !request_is_sub(r))
        response_forget_validators(r);
    filters_add(r, &sub_filter_type, s);
}

/* ---- configuration ---- */

bool sub_filter_is_on(const struct conf_scope *scope)
{
    const struct sub_filter_conf *c = conf_get(scope, &sub_filter_module);
    return c->pairs.n > 0;
}

static int set_sub_filter(struct conf *conf, struct conf_scope *scope,
                          const struct directive *row,
                          const struct conf_node *node, void *field)
{
    struct sub_filter_conf *c = field;
    struct sub_pair *pair = arena_alloc(conf->arena, sizeof *pair);
    (void)row;

    if (!conf_arg(node, 1).n)
        return conf_fail(conf, "empty search pattern");
    pair->pattern = value_compile(conf, conf->variables, conf_arg(node, 1));
    if (!pair->pattern)
        return -1;
    pair->replacement = value_compile(conf, conf->variables, conf_arg(node, 2));
    if (!pair->replacement)
        return -1;
    conf_list_add(conf, scope, &c->pairs, pair);
    return 0;
}

enum {
    ANYWHERE = CONF_HTTP | CONF_SERVER | CONF_LOCATION,
};

static const struct directive sub_filter_directives[] = {
    {.name = "sub_filter",
     .contexts = ANYWHERE,
     .arity = ARGS_2,
     .flags = CONF_REPEATABLE,
     .set = set_sub_filter,
     .syntax = "STRING REPLACEMENT",
     .help = "Put other text in the place of a string, whatever its case."},
    {.name = "sub_filter_types",
     .contexts = ANYWHERE,
     .arity = ARGS_1_MORE,
     .set = type_set_set,
     .offset = offsetof(struct sub_filter_conf, types),
     .syntax = "TYPE ... | *",
     .help = "Media types that are searched beside text/html."},
    {.name = "sub_filter_once",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct sub_filter_conf, once),
     .default_text = "on",
     .help = "Replace the first of each string only."},
    {.name = "sub_filter_last_modified",
     .contexts = ANYWHERE,
     .arity = ARGS_FLAG,
     .set = conf_set_flag,
     .offset = offsetof(struct sub_filter_conf, last_modified),
     .default_text = "off",
     .help = "Keep Last-Modified of what is searched."},
    {.name = NULL},
};

struct conf_module sub_filter_module = {
    .name = "sub_filter",
    .size = sizeof(struct sub_filter_conf),
    .directives = sub_filter_directives,
};
